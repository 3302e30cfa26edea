package fakedynamodb

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestConformance_Projections(t *testing.T) {
	b := newBoth(t, Options{})
	b.same("setup", func(client *dynamodb.Client) string { return outcome(t, client, update("1", "REMOVE zz", "", nil, "")) })
	for _, p := range []string{
		"n", "n, s", "l[1]", "l[2].z, l[0]", "l[2], l[0], l[7]", "m.a, m.ls[1]", "n, n", "m, m.a", "zz", "zz.a", "n.a", "n[0]", "l[9]", "", "n,", "data", "#a", "m.a, m[0]", "size(n)", ":v", "k", "k.a", "k, m.ls", "m.ls[0], m.ls[1], ss", "m.zz", "l.a", "m[0]", "l[0].a, l[2].z",
		"(n)", "n s", "n AND s",
	} {
		b.same("project "+p, func(client *dynamodb.Client) string {
			out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(single), Key: key("1"), ProjectionExpression: &p})
			if err != nil {
				return code(err)
			}
			return show(out.Item)
		})
	}
}

func TestConformance_Keys(t *testing.T) {
	b := newBoth(t, Options{})
	for _, table := range []string{single, ranged, "conformance-none", "x", ""} {
		for _, k := range []string{`{}`, `{"k":{"S":"1"}}`, `{"k":{"S":""}}`, `{"k":{"N":"1"}}`, `{"k":{"L":[]}}`, `{"j":{"S":"1"}}`, `{"k":{"S":"1"},"j":{"S":"1"}}`, `{"k":{"S":"1"},"r":{"N":"1.0"}}`, `{"k":{"S":"1"},"r":{"S":"1"}}`, `{"k":{"S":"1"},"r":{"N":"1"},"x":{"N":"1"}}`} {
			b.same("key "+k+" of "+table, func(client *dynamodb.Client) string {
				ctx, name, it := t.Context(), &table, attrs(k)
				_, put := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: name, Item: it})
				got, get := client.GetItem(ctx, &dynamodb.GetItemInput{TableName: name, Key: it, ConsistentRead: aws.Bool(true)})
				_, update := client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: name, Key: it})
				deleted, del := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: name, Key: it, ReturnValues: "ALL_OLD"})
				text := code(put) + code(get) + code(update) + code(del)
				if get == nil {
					text += show(got.Item)
				}
				if del == nil {
					text += show(deleted.Attributes)
				}
				return text
			})
		}
	}
	for _, returns := range []types.ReturnValue{"NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"} {
		b.same("returns "+string(returns), func(client *dynamodb.Client) string {
			text := ""
			for range 2 {
				out, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(single), Item: attrs(setup), ReturnValues: returns, ConditionExpression: aws.String("attribute_not_exists(k) OR n = :five"), ExpressionAttributeValues: attrs(`{":five":{"N":"5"}}`)})
				if text += code(err); err == nil {
					text += show(out.Attributes)
				}
				gone, err := client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(single), Key: key("1"), ReturnValues: returns})
				if text += code(err); err == nil {
					text += show(gone.Attributes)
				}
			}
			return text
		})
	}
	b.same("values without an expression", func(client *dynamodb.Client) string {
		_, err := client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String(single), Key: key("1"), ExpressionAttributeValues: attrs(setup)})
		return code(err)
	})
	for _, size := range []int{399 << 10, 400<<10 - 2, 400<<10 - 1, 401 << 10} {
		b.same(fmt.Sprint("an item of ", size), func(client *dynamodb.Client) string {
			_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(single), Item: map[string]types.AttributeValue{"k": &types.AttributeValueMemberS{Value: "1"}, "x": &types.AttributeValueMemberS{Value: strings.Repeat("x", size-1)}}})
			return code(err)
		})
	}
}

func TestConformance_Tables(t *testing.T) {
	b := newBoth(t, Options{})
	name := made
	s := types.AttributeDefinition{AttributeName: aws.String("s"), AttributeType: "S"}
	n := types.AttributeDefinition{AttributeName: aws.String("n"), AttributeType: "N"}
	hash := types.KeySchemaElement{AttributeName: aws.String("s"), KeyType: "HASH"}
	sort := types.KeySchemaElement{AttributeName: aws.String("n"), KeyType: "RANGE"}
	units := &types.ProvisionedThroughput{ReadCapacityUnits: aws.Int64(1), WriteCapacityUnits: aws.Int64(2)}
	for i, in := range []dynamodb.CreateTableInput{
		{},
		{BillingMode: "PAY_PER_REQUEST"},
		{BillingMode: "PAY_PER_REQUEST", ProvisionedThroughput: units},
		{BillingMode: "PROVISIONED", ProvisionedThroughput: units},
		{ProvisionedThroughput: units},
		{BillingMode: "PROVISIONED"},
		{BillingMode: "PAY_PER_REQUEST", AttributeDefinitions: []types.AttributeDefinition{s, n}},
		{BillingMode: "PAY_PER_REQUEST", AttributeDefinitions: []types.AttributeDefinition{s, n}, KeySchema: []types.KeySchemaElement{hash, sort}},
		{BillingMode: "PAY_PER_REQUEST", AttributeDefinitions: []types.AttributeDefinition{n}, KeySchema: []types.KeySchemaElement{hash}},
		{BillingMode: "PAY_PER_REQUEST", AttributeDefinitions: []types.AttributeDefinition{s, n}, KeySchema: []types.KeySchemaElement{sort, hash}},
		{BillingMode: "PAY_PER_REQUEST", KeySchema: []types.KeySchemaElement{hash, hash}},
		{BillingMode: "PAY_PER_REQUEST", TableName: aws.String("x")},
		{BillingMode: "PAY_PER_REQUEST", TableName: aws.String("conformance/made")},
		{BillingMode: "PAY_PER_REQUEST", TableName: aws.String(single)},
	} {
		if in.TableName == nil {
			in.TableName = &name
		}
		if in.AttributeDefinitions == nil {
			in.AttributeDefinitions = []types.AttributeDefinition{s}
		}
		if in.KeySchema == nil {
			in.KeySchema = []types.KeySchemaElement{hash}
		}
		label := fmt.Sprint("create ", i)
		if in.BillingMode == "PAY_PER_REQUEST" && in.ProvisionedThroughput != nil {
			label = "create an on-demand table with throughput"
		}
		b.same(label, func(client *dynamodb.Client) string {
			ctx, text := t.Context(), ""
			_, err := client.CreateTable(ctx, &in)
			text += code(err)
			out, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
			if text += " " + code(err); err == nil {
				d := out.Table
				text += fmt.Sprint(*d.TableName, d.TableStatus, *d.ItemCount, len(d.KeySchema), len(d.AttributeDefinitions), *d.ProvisionedThroughput.ReadCapacityUnits, *d.ProvisionedThroughput.WriteCapacityUnits, d.BillingModeSummary != nil)
			}
			list, err := client.ListTables(ctx, &dynamodb.ListTablesInput{})
			text += " " + code(err) + strings.Join(list.TableNames, ",")
			_, err = client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &name})
			return text + " " + code(err)
		})
	}
	b.same("pages of tables", func(client *dynamodb.Client) string {
		out, err := client.ListTables(t.Context(), &dynamodb.ListTablesInput{Limit: aws.Int32(1)})
		if err != nil {
			return code(err)
		}
		rest, err := client.ListTables(t.Context(), &dynamodb.ListTablesInput{ExclusiveStartTableName: out.LastEvaluatedTableName})
		return fmt.Sprint(out.TableNames, code(err), rest.TableNames, rest.LastEvaluatedTableName == nil)
	})
}

func TestConformance_Scans(t *testing.T) {
	b := newBoth(t, Options{})
	ctx := t.Context()
	for _, client := range []*dynamodb.Client{b.fake, b.real} {
		for i := range 20 {
			it := fmt.Sprintf(`{"k":{"S":"%d"},"r":{"N":"%d"},"v":{"N":"%d"},"x":{"S":"%s"}}`, i%2, i-10, i%3, strings.Repeat("x", i*40))
			if _, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(ranged), Item: attrs(it)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, in := range []dynamodb.ScanInput{
		{}, {Limit: aws.Int32(3)}, {Limit: aws.Int32(20)}, {Limit: aws.Int32(0)}, {ConsistentRead: aws.Bool(true)}, {FilterExpression: aws.String("v = :f")}, {FilterExpression: aws.String("v <> zz")}, {FilterExpression: aws.String("k = :f")}, {FilterExpression: aws.String("r >= :f"), ProjectionExpression: aws.String("v")}, {FilterExpression: aws.String("k.a >= :f")},
		{FilterExpression: aws.String("v = :f"), Limit: aws.Int32(1)}, {FilterExpression: aws.String("v = :f"), Limit: aws.Int32(10)}, {ProjectionExpression: aws.String("v, r")}, {ProjectionExpression: aws.String("v, v")},
		{FilterExpression: aws.String("attribute_exists(zz)")}, {FilterExpression: aws.String("v = :f AND")}, {FilterExpression: aws.String("")}, {ExclusiveStartKey: attrs(`{"k":{"S":"1"}}`)},
	} {
		in.TableName, in.ReturnConsumedCapacity = aws.String(ranged), "TOTAL"
		if strings.Contains(aws.ToString(in.FilterExpression), ":f") {
			in.ExpressionAttributeValues = attrs(`{":f":{"N":"1"}}`)
		}
		b.same(fmt.Sprint("scan ", i), func(client *dynamodb.Client) string { return scan(ctx, client, in) })
	}
}

// scan reads all pages. It returns the counts and costs of each page, and the items sorted,
// because DynamoDB Local uses another hash. Empty pages are left out, because a limit that is
// reached with the last item may or may not add one.
func scan(ctx context.Context, client *dynamodb.Client, in dynamodb.ScanInput) string {
	var items, pages []string
	read := 0
	for {
		out, err := client.Scan(ctx, &in)
		if err != nil {
			return fmt.Sprint(pages, code(err))
		}
		read += int(out.Count)
		if out.ScannedCount > 0 {
			pages = append(pages, fmt.Sprint(out.ScannedCount, " for ", *out.ConsumedCapacity.CapacityUnits))
		}
		for _, it := range out.Items {
			delete(it, "x")
			items = append(items, show(it))
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
			slices.Sort(items)
			return fmt.Sprint(pages, read, items)
		}
	}
}

// Items with one hash key are sorted by range key, and pages end at the same size as those of
// DynamoDB Local.
func TestConformance_PageBytes(t *testing.T) {
	b := newBoth(t, Options{})
	for _, size := range []int{100<<10 - 3, 128<<10 - 5, 128<<10 - 4, 300 << 10} {
		b.same(fmt.Sprint("items of ", size), func(client *dynamodb.Client) string {
			for i := range 12 {
				it := attrs(fmt.Sprintf(`{"k":{"S":"1"},"r":{"N":"%d"}}`, i+1))
				it["x"] = &types.AttributeValueMemberS{Value: strings.Repeat("x", size)}
				if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(ranged), Item: it}); err != nil {
					return code(err)
				}
			}
			return scan(t.Context(), client, dynamodb.ScanInput{TableName: aws.String(ranged), ReturnConsumedCapacity: "TOTAL"})
		})
	}
	for _, start := range []string{`{"k":{"S":"1"},"r":{"N":"10"}}`, `{"k":{"S":"1"},"r":{"N":"2.5"}}`, `{"k":{"S":"1"},"r":{"N":"12"}}`} {
		for _, limit := range []int32{1, 2, 4} {
			b.same(fmt.Sprint("limit ", limit, " after ", start), func(client *dynamodb.Client) string {
				out, err := client.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(ranged), ExclusiveStartKey: attrs(start), Limit: &limit, ProjectionExpression: aws.String("r")})
				if err != nil {
					return code(err)
				}
				text := ""
				for _, it := range out.Items {
					text += show(it)
				}
				return text
			})
		}
	}
}

// Requests consume the same capacity as in DynamoDB Local.
func TestConformance_Capacity(t *testing.T) {
	b := newBoth(t, Options{})
	for _, size := range []int{1, 500, 1000, 1020, 4096, 9000} {
		b.same(fmt.Sprint("an item of about ", size), func(client *dynamodb.Client) string {
			ctx, table, text := t.Context(), aws.String(single), ""
			add := func(c *types.ConsumedCapacity) { text += fmt.Sprint(" ", *c.CapacityUnits) }
			it := attrs(setup)
			it["x"] = &types.AttributeValueMemberS{Value: strings.Repeat("x", size)}
			put, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: it, ReturnConsumedCapacity: "TOTAL"})
			must(t, err)
			add(put.ConsumedCapacity)
			for _, consistent := range []bool{false, true} {
				none, err := client.GetItem(ctx, &dynamodb.GetItemInput{TableName: table, Key: key("none"), ConsistentRead: &consistent, ReturnConsumedCapacity: "TOTAL"})
				must(t, err)
				add(none.ConsumedCapacity)
				get, err := client.GetItem(ctx, &dynamodb.GetItemInput{TableName: table, Key: key("1"), ConsistentRead: &consistent, ReturnConsumedCapacity: "TOTAL"})
				must(t, err)
				add(get.ConsumedCapacity)
				scan, err := client.Scan(ctx, &dynamodb.ScanInput{TableName: table, ConsistentRead: &consistent, ReturnConsumedCapacity: "TOTAL"})
				must(t, err)
				add(scan.ConsumedCapacity)
			}
			update, err := client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: table, Key: key("1"), UpdateExpression: aws.String("REMOVE x"), ReturnConsumedCapacity: "TOTAL"})
			must(t, err)
			add(update.ConsumedCapacity)
			gone, err := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: table, Key: key("1"), ReturnConsumedCapacity: "TOTAL"})
			must(t, err)
			add(gone.ConsumedCapacity)
			return text
		})
	}
}
