package fakedynamodb

import (
	"fmt"
	"math/rand/v2"
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

func TestConformance_QueriesAndScans(t *testing.T) {
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
	// A limit that comes with the last item may make one more, empty page, or not.
	pages := func(client *dynamodb.Client, in dynamodb.QueryInput) string {
		var text strings.Builder
		for {
			out, err := client.Query(ctx, &in)
			if err != nil {
				return text.String() + code(err)
			}
			if out.ScannedCount == 0 {
				return text.String()
			}
			if text.Len() > 0 {
				text.WriteString(" | " + show(in.ExclusiveStartKey) + " ")
			}
			fmt.Fprint(&text, out.Count, "/", out.ScannedCount, " ")
			if out.ConsumedCapacity != nil {
				fmt.Fprint(&text, *out.ConsumedCapacity.CapacityUnits, " units ")
			}
			for _, it := range out.Items {
				delete(it, "x")
				text.WriteString(show(it))
			}
			if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
				return text.String()
			}
		}
	}
	for _, c := range []string{
		"k = :k", "k = :k AND r = :r", "k = :k AND r < :r", "k = :k AND r <= :r", "k = :k AND r > :r", "r >= :r AND k = :k", "k = :k AND r BETWEEN :r AND :t", "k = :k AND begins_with(r, :r)", "(k = :k) AND (r > :r)", "(k = :k AND r > :r)",
		"k = :k AND r <> :r", "k = :k OR r = :r", "k = :k AND NOT r = :r", "r = :r", "k > :k", "k = :k AND v = :r", "k = :k AND k = :k", "k = :r", "k = :k AND r = :k", "k = :k AND r = :r AND r = :t", ":k = k", "k = :k AND attribute_exists(r)", "k = :k AND r IN (:r)", "k = :k AND r > size(v)", "k = r", "k.a = :k", "",
		"begins_with(k, :k)", "k BETWEEN :k AND :k", "k = :k AND :r < r",
	} {
		values := attrs(`{":k":{"S":"1"},":r":{"N":"-3"},":t":{"N":"5"}}`)
		for name := range values {
			if !strings.Contains(c, name) {
				delete(values, name)
			}
		}
		if len(values) == 0 {
			values = nil
		}
		b.same("query "+c, func(client *dynamodb.Client) string {
			return pages(client, dynamodb.QueryInput{TableName: aws.String(ranged), KeyConditionExpression: &c, ExpressionAttributeValues: values})
		})
		for _, limit := range []int32{1, 4, 10} {
			for _, filter := range []string{"v = :f", "v <> zz", "k = :f", "r > :f", "v = :f AND"} {
				filtered := attrs(`{":f":{"N":"1"}}`)
				if !strings.Contains(filter, ":f") {
					filtered = nil
				}
				for name, v := range values {
					if filtered == nil {
						filtered = make(map[string]types.AttributeValue)
					}
					filtered[name] = v
				}
				b.same(fmt.Sprint("query ", c, " limit ", limit, " backward, filter ", filter), func(client *dynamodb.Client) string {
					return pages(client, dynamodb.QueryInput{TableName: aws.String(ranged), KeyConditionExpression: &c, ExpressionAttributeValues: filtered, Limit: &limit, ScanIndexForward: aws.Bool(false), FilterExpression: &filter, ReturnConsumedCapacity: "TOTAL"})
				})
			}
		}
	}
	for i, in := range []dynamodb.QueryInput{
		{Select: "COUNT"}, {Select: "COUNT", ConsistentRead: aws.Bool(true), ReturnConsumedCapacity: "TOTAL"}, {ProjectionExpression: aws.String("v, r")}, {Limit: aws.Int32(0)}, {Select: "SPECIFIC_ATTRIBUTES"}, {Select: "SPECIFIC_ATTRIBUTES", ProjectionExpression: aws.String("v")},
		{Select: "ALL_ATTRIBUTES", ProjectionExpression: aws.String("v")}, {Select: "COUNT", ProjectionExpression: aws.String("v")}, {Select: "ALL_ATTRIBUTES"}, {ProjectionExpression: aws.String("v, v")},
		{ExclusiveStartKey: attrs(`{"k":{"S":"1"},"r":{"N":"0"}}`)}, {ExclusiveStartKey: attrs(`{"k":{"S":"1"}}`)}, {ExclusiveStartKey: attrs(`{"k":{"S":"0"},"r":{"N":"0"}}`)}, {ExclusiveStartKey: attrs(`{"k":{"S":"1"},"r":{"N":"0.5"}}`)},
	} {
		in.TableName, in.KeyConditionExpression, in.ExpressionAttributeValues = aws.String(ranged), aws.String("k = :k"), attrs(`{":k":{"S":"1"}}`)
		b.same(fmt.Sprint("query options ", i), func(client *dynamodb.Client) string { return pages(client, in) })
	}
	for i, in := range []dynamodb.ScanInput{
		{}, {Limit: aws.Int32(3)}, {Limit: aws.Int32(20)}, {Limit: aws.Int32(0)}, {Select: "COUNT"}, {FilterExpression: aws.String("v = :f")}, {FilterExpression: aws.String("k = :f")}, {FilterExpression: aws.String("r >= :f"), ProjectionExpression: aws.String("v")}, {FilterExpression: aws.String("k.a >= :f")},
		{FilterExpression: aws.String("attribute_exists(zz)")}, {Segment: aws.Int32(0)}, {TotalSegments: aws.Int32(3)}, {Segment: aws.Int32(3), TotalSegments: aws.Int32(3)}, {FilterExpression: aws.String("v = :f AND")}, {ExclusiveStartKey: attrs(`{"k":{"S":"1"}}`)},
	} {
		in.TableName = aws.String(ranged)
		if strings.Contains(aws.ToString(in.FilterExpression), ":f") {
			in.ExpressionAttributeValues = attrs(`{":f":{"N":"1"}}`)
		}
		b.same(fmt.Sprint("scan ", i), func(client *dynamodb.Client) string {
			var items, counts []string
			for next := in; ; {
				out, err := client.Scan(ctx, &next)
				if err != nil {
					return code(err)
				}
				if out.ScannedCount > 0 {
					counts = append(counts, fmt.Sprint(out.ScannedCount))
				}
				for _, it := range out.Items {
					items = append(items, show(it))
				}
				if next.ExclusiveStartKey = out.LastEvaluatedKey; next.ExclusiveStartKey == nil {
					slices.Sort(items)
					return fmt.Sprint(counts, items)
				}
			}
		})
	}
	b.same("segments", func(client *dynamodb.Client) string {
		var items []string
		for i := range int32(5) {
			out, err := client.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String(ranged), Segment: &i, TotalSegments: aws.Int32(5)})
			if err != nil {
				return code(err)
			}
			for _, it := range out.Items {
				items = append(items, show(it))
			}
		}
		slices.Sort(items)
		return fmt.Sprint(items)
	})
}

// Pages end by their bytes as those of DynamoDB Local do.
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
			text := ""
			in := dynamodb.QueryInput{TableName: aws.String(ranged), KeyConditionExpression: aws.String("k = :k"), ExpressionAttributeValues: attrs(`{":k":{"S":"1"}}`), Select: "COUNT", ReturnConsumedCapacity: "TOTAL"}
			for {
				out, err := client.Query(t.Context(), &in)
				if err != nil {
					return code(err)
				}
				if out.Count == 0 {
					return text
				}
				text += fmt.Sprint(out.Count, " ", *out.ConsumedCapacity.CapacityUnits, ", ")
				if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
					return text
				}
			}
		})
	}
}

func TestConformance_BatchesAndTransactions(t *testing.T) {
	b := newBoth(t, Options{})
	b.same("setup", func(client *dynamodb.Client) string { return outcome(t, client, update("1", "REMOVE zz", "", nil, "")) })
	k := func(names ...string) []map[string]types.AttributeValue {
		var keys []map[string]types.AttributeValue
		for _, name := range names {
			keys = append(keys, key(name))
		}
		return keys
	}
	var many []string
	for i := range 101 {
		many = append(many, fmt.Sprint(i))
	}
	batch := func(in map[string]types.KeysAndAttributes) func(client *dynamodb.Client) string {
		return func(client *dynamodb.Client) string {
			out, err := client.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: in, ReturnConsumedCapacity: "TOTAL"})
			if err != nil {
				return code(err)
			}
			text := fmt.Sprint(len(out.UnprocessedKeys))
			for _, table := range []string{single, ranged} {
				for _, it := range out.Responses[table] {
					text += show(it)
				}
			}
			total := 0.0
			for _, c := range out.ConsumedCapacity {
				total += *c.CapacityUnits
			}
			return text + fmt.Sprint(total)
		}
	}
	for i, in := range []map[string]types.KeysAndAttributes{
		{single: {Keys: k("1")}}, {single: {Keys: k("1", "1")}}, {single: {}}, {}, {single: {Keys: k(many...)}}, {"conformance-none": {Keys: k("1")}}, {single: {Keys: k("1"), ProjectionExpression: aws.String("n, #s"), ExpressionAttributeNames: names("#s=s")}},
		{single: {Keys: k("1"), ProjectionExpression: aws.String("n,")}}, {single: {Keys: k("1"), ExpressionAttributeNames: names("#s=s")}}, {ranged: {Keys: k("1")}}, {single: {Keys: k("")}},
	} {
		b.same(fmt.Sprint("batch ", i), batch(in))
	}
	b.same("batch of keys that are not there", batch(map[string]types.KeysAndAttributes{single: {Keys: k("1", "2", "3")}}))

	table, values := aws.String(single), attrs(`{":v":{"N":"5"}}`)
	put := func(k string, condition *string) types.TransactWriteItem {
		p := &types.Put{TableName: table, Item: key(k), ConditionExpression: condition, ReturnValuesOnConditionCheckFailure: "ALL_OLD"}
		return types.TransactWriteItem{Put: p}
	}
	update := func(k, expression string, condition *string) types.TransactWriteItem {
		return types.TransactWriteItem{Update: &types.Update{TableName: table, Key: key(k), UpdateExpression: &expression, ConditionExpression: condition, ExpressionAttributeValues: values, ReturnValuesOnConditionCheckFailure: "ALL_OLD"}}
	}
	check := func(k, condition string) types.TransactWriteItem {
		return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: table, Key: key(k), ConditionExpression: &condition}}
	}
	remove := func(k string, condition *string) types.TransactWriteItem {
		return types.TransactWriteItem{Delete: &types.Delete{TableName: table, Key: key(k), ConditionExpression: condition}}
	}
	transact := func(in []types.TransactWriteItem) func(client *dynamodb.Client) string {
		return func(client *dynamodb.Client) string {
			if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table, Item: attrs(setup)}); err != nil {
				return code(err)
			}
			for _, k := range []string{"2", "3"} {
				if _, err := client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: table, Key: key(k)}); err != nil {
					return code(err)
				}
			}
			_, err := client.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: in})
			return code(err) + content(t, client, single)
		}
	}
	for i, in := range [][]types.TransactWriteItem{
		{put("2", nil)}, {put("1", aws.String("attribute_not_exists(k)"))}, {put("2", nil), put("2", nil)}, {put("2", nil), update("1", "SET n = n + :v", nil)}, {put("2", nil), update("1", "SET n = n + :v", aws.String("n <> :v"))}, {check("1", "attribute_exists(k)"), remove("2", nil), put("3", nil)},
		{check("1", "attribute_not_exists(k)"), remove("2", nil)}, {check("2", "attribute_not_exists(k)"), remove("1", aws.String("attribute_exists(n)"))}, {check("1", "attribute_not_exists(k)"), put("2", nil), put("3", aws.String("attribute_exists(k)"))}, {update("1", "SET k = :v", nil)},
		{update("1", "SET n =", nil)}, {check("1", "")}, {}, {{}}, {put("", nil)}, {update("2", "ADD n :v", nil), update("3", "ADD n :v", nil)}, {{Put: put("2", nil).Put, Delete: remove("3", nil).Delete}},
	} {
		b.same(fmt.Sprint("transaction ", i), transact(in))
	}
	b.same("transaction with a wrong type", transact([]types.TransactWriteItem{update("1", "SET s = s + :v", nil), put("2", nil)}))
	b.same("transaction with a wrong path", transact([]types.TransactWriteItem{update("1", "SET n.a = :v", nil)}))
	token := fmt.Sprint(rand.Uint64()) // DynamoDB Local remembers those of earlier runs
	b.same("a transaction that comes again", func(client *dynamodb.Client) string {
		in := &dynamodb.TransactWriteItemsInput{ClientRequestToken: &token, TransactItems: []types.TransactWriteItem{update("4", "ADD n :v", nil)}}
		text := ""
		for range 2 {
			_, err := client.TransactWriteItems(t.Context(), in)
			text += code(err) + " "
		}
		in.TransactItems = []types.TransactWriteItem{update("5", "ADD n :v", nil)}
		_, err := client.TransactWriteItems(t.Context(), in)
		return text + code(err) + content(t, client, single)
	})
}

// What requests cost is what DynamoDB Local says that they do.
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
