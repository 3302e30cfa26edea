package fakedynamodb

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"logsluice/local/localtest"
)

// both are the fake and DynamoDB Local with the same tables: one with the key k, and one with
// the key k and r.
type both struct {
	*testing.T
	fake, real *dynamodb.Client
}

const (
	single = "conformance-single"
	ranged = "conformance-ranged"
	made   = "conformance-made" // created by tests only
)

func newBoth(t *testing.T, opts Options) *both {
	t.Helper()
	b := &both{T: t, real: newClient(localtest.DynamoDB(t), http.DefaultTransport)}
	_, b.fake = newFake(opts)
	for _, client := range []*dynamodb.Client{b.fake, b.real} {
		drop := func() {
			for _, name := range []string{single, ranged, made} {
				_, _ = client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &name})
			}
		}
		drop()
		createTable(t, client, single, "k:S")
		createTable(t, client, ranged, "k:S", "r:N")
		t.Cleanup(drop)
	}
	return b
}

// knownDifferences are cases in which DynamoDB Local differs from the service's documentation.
// The fake follows the documentation.
var knownDifferences = map[string]string{
	"the word CONVERT":                          "ReservedWords has it",
	"the word SIZE":                             "ReservedWords has it",
	"the word TERMINATE":                        "ReservedWords has it",
	"create an on-demand table with throughput": "API_CreateTable: with PAY_PER_REQUEST, ProvisionedThroughput cannot be specified",
}

// same runs a function with both and fails if the results differ, or if they should differ and
// do not.
func (b *both) same(name string, do func(client *dynamodb.Client) string) {
	b.Helper()
	got, want := do(b.fake), do(b.real)
	if _, known := knownDifferences[name]; known != (got != want) {
		b.Errorf("%s\nfake: %s\nreal: %s", name, got, want)
	}
}

// request makes one request for an item and returns its answer.
type request func(ctx context.Context, client *dynamodb.Client) (string, error)

const setup = `{"k":{"S":"1"},"n":{"N":"5"},"s":{"S":"abc"},"l":{"L":[{"N":"1"},{"S":"x"},{"M":{"z":{"N":"3"}}}]},
	"m":{"M":{"a":{"N":"1"},"b":{"S":"q"},"ls":{"L":[{"N":"1"},{"N":"2"}]}}},"ss":{"SS":["a","b"]},"ns":{"NS":["1","2"]},
	"bs":{"BS":["AQ==","Ag=="]},"bo":{"BOOL":true},"nu":{"NULL":true},"b":{"B":"AQID"},"e":{"S":""},"u":{"S":"añ€😀"}}`

// names parses #name=attribute pairs.
func names(text string) map[string]string {
	var out map[string]string
	for _, pair := range strings.Fields(text) {
		if out == nil {
			out = make(map[string]string)
		}
		name, attribute, _ := strings.Cut(pair, "=")
		out[name] = attribute
	}
	return out
}

func key(k string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"k": &types.AttributeValueMemberS{Value: k}}
}

// rawAttrs returns attributes that the fake's own decoder would reject.
func rawAttrs(name string, v types.AttributeValue) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{name: v}
}

func condition(k, expression, substitutedNames string, values map[string]types.AttributeValue) request {
	return func(ctx context.Context, client *dynamodb.Client) (string, error) {
		out, err := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
			TableName: aws.String(single), Key: key(k), ConditionExpression: &expression, ReturnValues: "ALL_OLD",
			ExpressionAttributeNames: names(substitutedNames), ExpressionAttributeValues: values,
			ReturnValuesOnConditionCheckFailure: "ALL_OLD",
		})
		if err != nil {
			return "", err
		}
		return show(out.Attributes), nil
	}
}

func update(k, expression, substitutedNames string, values map[string]types.AttributeValue, returns types.ReturnValue) request {
	return func(ctx context.Context, client *dynamodb.Client) (string, error) {
		out, err := client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: aws.String(single), Key: key(k), UpdateExpression: &expression, ReturnValues: returns,
			ExpressionAttributeNames: names(substitutedNames), ExpressionAttributeValues: values,
		})
		if err != nil {
			return "", err
		}
		return show(out.Attributes), nil
	}
}

// outcome returns the result of a request on a table with the item of setup: the answer or the
// error, and the items after it.
func outcome(t testing.TB, client *dynamodb.Client, do request) string {
	t.Helper()
	ctx := t.Context()
	if _, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(single), Item: attrs(setup)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String(single), Key: key("2")}); err != nil {
		t.Fatal(err)
	}
	answer, err := do(ctx, client)
	return code(err) + " " + answer + " leaves " + content(t, client, single)
}

// content returns all items of a table, sorted.
func content(t testing.TB, client *dynamodb.Client, table string) string {
	t.Helper()
	out, err := client.Scan(t.Context(), &dynamodb.ScanInput{TableName: &table})
	if err != nil {
		t.Fatal(err)
	}
	var items []string
	for _, it := range out.Items {
		items = append(items, show(it))
	}
	slices.Sort(items)
	return strings.Join(items, " ")
}

func TestConformance_Conditions(t *testing.T) {
	b := newBoth(t, Options{})
	f := func(expression, values string, more ...string) {
		t.Helper()
		k, substitutes := "1", ""
		for _, m := range more {
			if strings.HasPrefix(m, "#") {
				substitutes = m
			} else {
				k = m
			}
		}
		b.same(fmt.Sprintf("%s with %s %s of %s", expression, values, substitutes, k), func(client *dynamodb.Client) string {
			return outcome(t, client, condition(k, expression, substitutes, attrs(values)))
		})
	}
	for _, e := range []string{
		// Comparators, and missing attributes.
		"n <> :v", "n = :v", "n < :v", "n <= :v", "n > :v", "n >= :v", "zz <> :v", "zz = :v", "zz < :v", "zz >= :v", ":v = :v", ":v <> zz", "s <> :v",
		"n = :v AND zz <> yy", "n = :v AND zz = yy", "n = :v AND s < n", "bo < s OR n = :v", "l = ss or n = :v", "n < bo and n = :v",
		"NOT zz = :v", "not not n = :v", "NOT n = :v AND n = :v", "NOT (n = :v AND n = :v)", "n = :v OR n = :v AND zz = :v", "(n = :v OR n = :v) AND zz = :v",
		"n <> :v AND zz < :v or n = :v", "n = (:v)", "(n) = :v", "((n)) = :v", "((n = :v))", "(n = :v) AND (n = :v)", "((n = :v) AND n = :v)", "NOT ((n = :v))",
		"attribute_exists((n)) and n = :v", "size((s)) < :v", "(size(s)) < :v", "(size(s) < :v)",
		// Ranges and lists.
		"n in (:v)", "n IN (:v, s)", "n IN (s)", "n in (n)", "n in (:v, n)", "n IN ()", "n IN :v", "zz in (:v)", "n between :v and :v", "n BETWEEN s AND :v",
		"n between n and n", "n between s and s and n = :v", "n between :v", "n between :v or :v", "zz between :v and :v", ":v between n and n", "n = :v and n between :v and :v and n = :v",
		// Functions.
		"attribute_exists(n) and n=:v", "attribute_not_exists(zz) and n=:v", "attribute_exists(m.a) and n=:v", "attribute_exists(m.a.b) or n=:v", "attribute_exists(:v)",
		"attribute_exists(size(s))", "attribute_exists(n, s)", "attribute_exists()", "ATTRIBUTE_EXISTS(n) and n=:v", "attribute_exists n", "attribute_exists(n) = :v",
		"size(s) < :v", "size(s) = :v", "size(n) = :v", "size(n) <> :v", "size(zz) = :v", "size(zz) <> :v", "NOT size(n) = :v", "size(l) < :v", "size(m) < :v", "size(ss) < :v", "size(b) < :v", "size(e) < :v",
		"size(bo) < :v", "size(nu) < :v", "size(u) >= :v", "size(u) > :v", "size(size(s)) = :v", "size(:v) = n", "size(s)", "size (s) < :v", "Size(s) < :v", "size(s) in (:v)", "size(l) between :v and :v",
		"size(s) = size(s) and n = :v", "size(s) = size(l) and n = :v", "n = :v and size(l) > size(ss)",
		"begins_with(s, :v)", "begins_with(n, s) or n = :v", "begins_with(:v, s)", "begins_with(s, s)", "begins_with(s,size(s))", "begins_with(s, e) and n = :v",
		"contains(s, :v)", "contains(l, :v)", "contains(n, :v)", "contains(:v, n)", "contains(n, n)", "contains(l, size(s)) or n=:v", "contains(zz, :v)", "contains(s, zz) or n = :v", "contains(ns, :v)",
		"contains(l, n) or n = :v", "attribute_type(s, :v)", "attribute_type(s, n)", "frob(n) = :v", "if_not_exists(n, :v) = :v", "list_append(n, :v) = :v",
		// Paths.
		"l[0] < :v", "l[2].z < :v", "l.a = :v", "m[0] = :v", "m.ls[1] < :v", "m . a < :v", "m.ls [1] < :v", "l[ 0 ] < :v", "l[02] < :v", "l[99999999999] < :v", "l[-1] < :v", "l[:v] < :v", "l[] < :v", "m. < :v", "m..a < :v", "m.a.ls < :v", ".m < :v", "l[0][0] = :v",
		"attribute_not_exists(k.a) and n = :v", "k.a = :v", "k[0] = :v", "k <> :v",
		// Syntax.
		"n=:v", "n = :v OR", "", "  ", "n == :v", "n = 5", "a-b = :v", "_a = :v", "$a = :v", "a_b = :v", "1a = :v", "n = :v-1", "n = :v :v", "n", ":v", "n = :v)", "(n = :v", "n AND :v", "NOT n", "n = :v AND n", "n != :v", "n = ':v'", "n = :v;", "n\t=\n:v",
		"n = n", "nu = nu", "l[0] = l[0]", "n + :v = :v", "n = n + :v", "(n = :v) = :v", "n = :v = :v", "n = (n = :v)", "n <> : v", "naïve = :v",
		"data = :v", "name = :v", "Hash = :v", "foo.data = :v", "and = :v", "n = :v and and n = :v", "SET = :v", "datas = :v",
	} {
		f(e, `{":v":{"N":"5"}}`)
	}
	for _, c := range [][]string{
		{"attribute_not_exists(k)", "", "2"},
		{"attribute_exists(k)", "", "2"},
		{"n <> :a", `{":a":{"N":"1"}}`, "2"},
		{"NOT n = :a", `{":a":{"N":"1"}}`, "2"},
		{"size(n) > :a", `{":a":{"N":"1"}}`, "2"},
		{"n < :a or n >= :a", `{":a":{"N":"1"}}`, "2"},
		{"k = :a", `{":a":{"S":"2"}}`, "2"},
		{"k = :a", `{":a":{"S":"1"}}`},
		{":a = :b", `{":a":{"S":"x"},":b":{"S":"x"}}`},
		{":a < :b", `{":a":{"S":"x"},":b":{"N":"1"}}`},
		{"n < :a", `{":a":{"BOOL":true}}`},
		{"n < :a", `{":a":{"L":[]}}`},
		{"n = :a", `{":a":{"L":[]}}`},
		{"n <> :a", `{":a":{"M":{}}}`},
		{"n < :a", `{":a":{"NULL":true}}`},
		{"n >= :a", `{":a":{"SS":["a"]}}`},
		{"n between :a and :b", `{":a":{"N":"5"},":b":{"N":"4"}}`},
		{"n between :a and :b", `{":a":{"N":"5"},":b":{"S":"4"}}`},
		{"n between :a and :b", `{":a":{"N":"4.5"},":b":{"N":"5.0"}}`},
		{"n between :a and s", `{":a":{"BOOL":true}}`},
		{"contains(ss, :a)", `{":a":{"SS":["a"]}}`},
		{"contains(ss, :a)", `{":a":{"S":"a"}}`},
		{"contains(ss, :a)", `{":a":{"S":"c"}}`},
		{"contains(bs, :a)", `{":a":{"B":"Ag=="}}`},
		{"contains(ns, :a)", `{":a":{"N":"2.0"}}`},
		{"contains(m, :a)", `{":a":{"S":"a"}}`},
		{"contains(l, :a)", `{":a":{"M":{"z":{"N":"3.0"}}}}`},
		{"contains(s, :a)", `{":a":{"S":""}}`},
		{"contains(b, :a)", `{":a":{"B":"AgM="}}`},
		{"contains(:a, s)", `{":a":{"S":"xxabcxx"}}`},
		{"contains(:a, s)", `{":a":{"BOOL":true}}`},
		{"begins_with(s, :a)", `{":a":{"S":"ab"}}`},
		{"begins_with(s, :a)", `{":a":{"S":"b"}}`},
		{"begins_with(b, :a)", `{":a":{"B":"AQI="}}`},
		{"begins_with(s, :a)", `{":a":{"B":"AQI="}}`},
		{"begins_with(:a, s)", `{":a":{"S":"abcd"}}`},
		{"begins_with(s, :a)", `{":a":{"SS":["a"]}}`},
		{"attribute_type(s, :a)", `{":a":{"S":"X"}}`},
		{"attribute_type(s, :a)", `{":a":{"S":"s"}}`},
		{"attribute_type(s, :a)", `{":a":{"S":"S"}}`},
		{"attribute_type(nu, :a)", `{":a":{"S":"NULL"}}`},
		{"attribute_type(zz, :a)", `{":a":{"S":"S"}}`},
		{"attribute_type(s, :a)", `{":a":{"SS":["S"]}}`},
		{"attribute_type(:a, :a)", `{":a":{"S":"S"}}`},
		{"size(:a) = n", `{":a":{"S":"12345"}}`},
		{"size(:a) = n", `{":a":{"BOOL":true}}`},
		{"size(u) = :a", `{":a":{"N":"4"}}`},
		{"size(u) = :a", `{":a":{"N":"5"}}`},
		{"size(u) = :a", `{":a":{"N":"10"}}`},
		{"s < :a", `{":a":{"S":"b"}}`},
		{"u < :a", `{":a":{"S":"b"}}`},
		{"b < :a", `{":a":{"B":"Ag=="}}`},
		{"ns = :a", `{":a":{"NS":["2","1.0"]}}`},
		{"ss = :a", `{":a":{"SS":["b","a"]}}`},
		{"m = :a", `{":a":{"M":{"b":{"S":"q"},"a":{"N":"1.0"},"ls":{"L":[{"N":"1"},{"N":"2"}]}}}}`},
		{"l <> :a", `{":a":{"L":[{"N":"1"}]}}`},
		{"bo = :a", `{":a":{"BOOL":true}}`},
		{"nu = :a", `{":a":{"NULL":true}}`},
		{"n=:a", `{":b":{"N":"1"},":a":{"N":"5"}}`},
		{"n=:a", `{"b":{"N":"1"}}`},
		{"n=:a", `{":b":{"N":"1"}}`},
		{"n=:a", `{":a":{"N":"1"},":":{"N":"1"}}`},
		{"n=:a", ""},
		{"n=:a", `{}`},
		{"n in (:a,:b,:c)", `{":a":{"N":"1"},":b":{"S":"5"},":c":{"N":"5"}}`},
		{"#a = :a", `{":a":{"N":"5"}}`, "#a=n"},
		{"#a = :a", `{":a":{"N":"5"}}`},
		{"#a = :a", `{":a":{"N":"5"}}`, "#a=n #b=x"},
		{"#a = :a", `{":a":{"N":"5"}}`, "#a=n b=x"},
		{"n = :a", `{":a":{"N":"5"}}`, "#a=n"},
		{"#a = :a", `{":a":{"N":"5"}}`, "#a="},
		{"#a-b = :a", `{":a":{"N":"5"}}`, "#a-b=n"},
		{"#1 = :1", `{":1":{"N":"5"}}`, "#1=n"},
		{"#a.#b = :a", `{":a":{"N":"1"}}`, "#a=m #b=a"},
		{"#a = :a", `{":a":{"N":"1"}}`, "#a=m.a"},
		{"#a = n and n = :a", `{":a":{"N":"5"}}`, "#a=n"},
		{"#a = :a", `{":a":{"N":"5"}}`, "#a=data"},
	} {
		f(c[0], c[1], c[2:]...)
	}
	var many strings.Builder
	values := attrs(`{":v":{"N":"5"}}`)
	for i := range 101 {
		fmt.Fprintf(&many, ",:x%d", i)
		values[fmt.Sprintf(":x%d", i)] = &types.AttributeValueMemberN{Value: fmt.Sprint(i)}
	}
	b.same("too many operands", func(client *dynamodb.Client) string {
		return outcome(t, client, condition("1", "n IN (:v"+many.String()+")", "", values))
	})
}

// The reserved words are those of DynamoDB Local, including both ends of the list.
func TestConformance_ReservedWords(t *testing.T) {
	b := newBoth(t, Options{})
	words := slices.Concat(strings.Fields(reservedWords), strings.Fields("ABORTS ACCESS ADMIN ANALYSE ARN BACKUPS CHECKPOINT COUNTS CREATED ENABLED EPOCH EVENT EXPIRES HEARTBEAT ID LEASE NODE OWNERS PAYLOAD PRIORITY QUEUE RETRY REVISION SEQ SHARDS STARTED TAG TITLE UPDATED VERSION WORKER ZONES"))
	for _, word := range words {
		b.same("the word "+word, func(client *dynamodb.Client) string {
			_, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(single), Key: key("1"), ProjectionExpression: aws.String(strings.ToLower(word))})
			return code(err)
		})
	}
}

// Written values are returned in their canonical form, or are rejected.
func TestConformance_Values(t *testing.T) {
	b := newBoth(t, Options{})
	n := func(text string) types.AttributeValue { return &types.AttributeValueMemberN{Value: text} }
	values := []types.AttributeValue{
		&types.AttributeValueMemberSS{}, &types.AttributeValueMemberSS{Value: []string{"a", "a"}}, &types.AttributeValueMemberSS{Value: []string{""}}, &types.AttributeValueMemberSS{Value: []string{"b", "a"}},
		&types.AttributeValueMemberNS{Value: []string{"1", "1.0"}}, &types.AttributeValueMemberNS{Value: []string{"3", "1.50", "2"}}, &types.AttributeValueMemberNS{Value: []string{"x"}},
		&types.AttributeValueMemberBS{Value: [][]byte{{2}, {1}}}, &types.AttributeValueMemberBS{Value: [][]byte{{1}, {1}}},
		&types.AttributeValueMemberNULL{Value: false}, &types.AttributeValueMemberNULL{Value: true}, &types.AttributeValueMemberS{}, &types.AttributeValueMemberB{Value: []byte{}}, &types.AttributeValueMemberS{Value: "<&>\"\\\u2028\x01é"},
		&types.AttributeValueMemberM{Value: rawAttrs("", n("1"))}, &types.AttributeValueMemberM{Value: rawAttrs("a", n("x"))}, &types.AttributeValueMemberL{Value: []types.AttributeValue{n("1"), n("x")}},
		&types.AttributeValueMemberM{}, &types.AttributeValueMemberL{}, &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberS{}}},
	}
	for _, text := range []string{
		"", "abc", " 5", "5 ", "5e0", ".5e1", "+5", "5.", ".", "-", "--1", "1e", "e1", "1e+5", "0x10", "1_000", "NaN", "Infinity", "-0", "0e5", "00.100", "-00.100", "01.0", "1E3",
		"123456789012345678901234567890123456789", "12345678901234567890123456789012345678", "12345678901234567890123456789012345678e10", "0.00000000000000000000000000000000000000000000000000001", "1e125", "9.9999e125", "1e126", "1e-130", "1.5e-130", "1e-131", "-1e126", "1e99999999999",
		"100000000000000000000000000000000000000000000000000",
	} {
		values = append(values, n(text))
	}
	for _, v := range values {
		b.same("SET x = "+showValue(v), func(client *dynamodb.Client) string {
			return outcome(t, client, update("1", "SET x = :a", "", rawAttrs(":a", v), "ALL_NEW"))
		})
		b.same("put "+showValue(v), func(client *dynamodb.Client) string {
			_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(single), Item: map[string]types.AttributeValue{"k": &types.AttributeValueMemberS{Value: "1"}, "x": v}})
			return code(err) + content(t, client, single)
		})
	}
}

func TestConformance_Updates(t *testing.T) {
	b := newBoth(t, Options{})
	f := func(expression, values string, k string, returns types.ReturnValue) {
		t.Helper()
		b.same(fmt.Sprintf("%s with %s of %s, %s", expression, values, k, returns), func(client *dynamodb.Client) string {
			return outcome(t, client, update(k, expression, "", attrs(values), returns))
		})
	}
	for _, e := range []string{
		"SET x = :v", "set x = :v, y = :v", "SET x = :v SET y = :v", "SET l[1] = :v", "SET l[9] = :v", "SET l[9] = :v, l[7] = n", "SET l[3] = :v, l[3] = n", "SET zz[0] = :v", "SET zz.a = :v", "SET m.q = :v", "SET m.q.r = :v", "SET n.a = :v",
		"SET l.a = :v", "SET m[0] = :v", "SET x = zz + :v", "SET x = s + :v", "SET x = n + :v", "SET x = n - :v", "SET x = n - :v - :v", "SET x = :v + :v", "SET x = (n + :v)", "SET x = (n) + (:v)", "SET x = ((n)) + :v", "SET x = (n + :v) - :v", "SET (x) = :v",
		"SET x = if_not_exists(zz, :v) + n", "SET x = if_not_exists(zz, :v + n)", "SET x = if_not_exists(if_not_exists(zz,n), :v)", "SET x = if_not_exists(zz, if_not_exists(yy, :v))", "SET x = if_not_exists(:v, :v)", "SET x = if_not_exists(x, n) REMOVE y ADD w :v",
		"SET x = list_append(l, l), y = :v", "SET x = list_append(l, :v)", "SET x = list_append(l, s), y = :v", "SET x = list_append(zz, l), y = :v", "SET x = list_append(if_not_exists(zz,l),l), y = :v", "SET x = list_append(l, l) + :v", "SET x = list_append(l, n + :v)", "SET x = list_append(l)",
		"SET x = size(s), y = :v", "SET x = attribute_exists(n), y = :v", "SET x = IF_NOT_EXISTS(x, :v)",
		"SET x = :v, x = :v", "SET m = :v, m.a = :v", "SET m.a = :v, m[0] = :v", "SET m.a = :v REMOVE m", "SET m.a = :v, m.b = :v", "SET n = :v ADD n :v", "SET l[0] = :v REMOVE l[0]", "SET l[0] = :v, l[1] = n REMOVE l[2]",
		"REMOVE zz SET y = :v", "REMOVE zz.a SET y = :v", "REMOVE zz[0] SET y = :v", "REMOVE n.a SET y = :v", "REMOVE n[0] SET y = :v", "REMOVE l.a SET y = :v", "REMOVE m.zz SET y = :v", "REMOVE m.zz.y SET y = :v", "REMOVE m[0] SET y = :v", "REMOVE m.ls[0] SET y = :v", "REMOVE l[0], l[1] SET y = :v", "REMOVE l[1], l[0], l[2] SET y = :v",
		"REMOVE l[8] SET y = :v", "REMOVE l[0] SET l[1] = :v", "REMOVE l[0] SET l[8] = :v", "REMOVE l[0], l[2].z SET y = :v", "REMOVE m.ls[0], m.ls[1], m.a SET y = :v", "REMOVE n, s SET y = :v",
		"ADD n :v", "ADD zz :v", "ADD s :v", "ADD m.a :v", "ADD m.zz :v", "ADD zz.a :v", "ADD l[0] :v", "ADD l[7] :v", "ADD l[1] :v", "ADD n n SET y = :v", "ADD n (:v)", "ADD n :v, zz :v", "ADD n = :v", "ADD ns ns SET y = :v", "DELETE ns :v", "DELETE n :v SET y = :v",
		"SET k = :v", "SET k.a = :v", "REMOVE k SET y = :v", "ADD k :v", "SET", "", "SET x", "SET x = ", "SET x = :v,", "SET x = :v REMOVE", "SET x = :v, REMOVE n", "SET x = :v AND y = :v", "x = :v", "SET x = :v y = :v", "SET n = n + :v, y = n", "SET l[0] = l[1], l[1] = l[0], y = :v",
		"SET x = n = :v", "SET data = :v", "SET x = data, y = :v", "SET x = l[0] + :v", "SET x = m.a + l[2].z, y = :v", "SET #a = :v", "SET x = if_not_exists(zz, yy), y = :v", "SET x = :v ADD y :v DELETE z :v", "SET m.ls[5] = :v", "SET n = n, y = :v", "SET x = -:v", "SET x = :v; REMOVE n", "SET x = k, y = :v", "SET x = k.a, y = :v", "SET :v = x",
		"SET x = if_not_exists(n, n), y = :v", "SET x = if_not_exists(n, zz), y = :v", "SET x = if_not_exists(zz, n), y = :v", "SET x = n + n, y = :v", "SET x = m, y = :v", "SET m = m.ls, y = :v", "SET s = n, n = s, y = :v",
	} {
		f(e, `{":v":{"N":"5"}}`, "1", "UPDATED_NEW")
	}
	for _, c := range [][2]string{
		{"ADD ss :a", `{":a":{"SS":["b","c"]}}`}, {"ADD ss :a", `{":a":{"NS":["1"]}}`}, {"ADD zz :a", `{":a":{"SS":["b"]}}`}, {"ADD n :a", `{":a":{"SS":["b"]}}`}, {"ADD ss :a", `{":a":{"N":"1"}}`}, {"ADD n :a", `{":a":{"S":"b"}}`}, {"ADD n :a", `{":a":{"L":[]}}`}, {"ADD n :a", `{":a":{"BOOL":true}}`},
		{"ADD bs :a", `{":a":{"BS":["Aw=="]}}`}, {"ADD ns :a", `{":a":{"NS":["2.0","3"]}}`}, {"ADD n :a", `{":a":{"N":"-5.5"}}`},
		{"DELETE ss :a", `{":a":{"SS":["b"]}}`}, {"DELETE ss :a", `{":a":{"SS":["b","a"]}}`}, {"DELETE ss :a", `{":a":{"SS":["q"]}}`}, {"DELETE zz :a", `{":a":{"SS":["b"]}}`}, {"DELETE ss :a", `{":a":{"NS":["1"]}}`}, {"DELETE n :a", `{":a":{"NS":["1"]}}`}, {"DELETE m.zz :a", `{":a":{"NS":["1"]}}`},
		{"DELETE zz.zz :a", `{":a":{"NS":["1"]}}`}, {"DELETE l[9] :a", `{":a":{"NS":["1"]}}`}, {"DELETE ns :a", `{":a":{"NS":["1.0"]}}`}, {"DELETE ns :a", `{":a":{"L":[]}}`},
		{"SET x = n + :a", `{":a":{"N":"1e-37"}}`}, {"SET x = n + :a", `{":a":{"N":"1e-38"}}`}, {"SET x = n + :a", `{":a":{"N":"1e125"}}`}, {"SET x = n - :a", `{":a":{"N":"99999999999999999999999999999999999999"}}`}, {"SET x = n + :a", `{":a":{"N":"99999999999999999999999999999999999999"}}`},
		{"SET x = :a + :a", `{":a":{"N":"9e125"}}`}, {"SET x = :a + :a", `{":a":{"S":"9"}}`}, {"SET x = n + :a", `{":a":{"S":"9"}}`}, {"SET x = list_append(:a,:a)", `{":a":{"L":[]}}`}, {"SET x = list_append(l,:a)", `{":a":{"L":[{"S":""}]}}`}, {"SET x = list_append(:a, l)", `{":a":{"SS":["a"]}}`},
		{"SET x = if_not_exists(zz,:a) + :b", `{":a":{"S":"x"},":b":{"N":"1"}}`}, {"SET x = if_not_exists(n,:a) + :b", `{":a":{"S":"x"},":b":{"N":"1"}}`}, {"SET x = :a", `{":a":{"N":"1"},":b":{"N":"1"}}`}, {"SET n = n - :a", `{":a":{"N":"5"}}`},
		{"SET x = :a", `{}`}, {"REMOVE n", `{}`}, {"REMOVE n", ""}, {"REMOVE zz", ""}, {"REMOVE zz.a", ""}, {"REMOVE m.a, m.b, m.ls", ""},
	} {
		f(c[0], c[1], "1", "UPDATED_NEW")
	}
	for _, returns := range []types.ReturnValue{"", "NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW", "BOGUS"} {
		for _, k := range []string{"1", "2"} {
			for _, e := range []string{"SET y = :v", "SET y = :v REMOVE n, s", "SET n = :v, y = :v", "SET zz.y = :v", "ADD n :v", "SET m.ls[1] = :v, m.q = :v", "SET n = :v, m.b = :v, l[1] = :v, l[9] = :v, y = :v REMOVE s, m.ls[0]", "REMOVE l[0] SET l[2].z = :v"} {
				f(e, `{":v":{"N":"6"}}`, k, returns)
			}
			for _, e := range []string{"REMOVE y", "REMOVE n", "REMOVE l[0], l[1]", "REMOVE m.a"} {
				f(e, "", k, returns)
			}
		}
	}
}
