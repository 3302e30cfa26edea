package fakedynamodb

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// An update over a socket and without one, with Changed and Usage.
func TestUpdateItem_Success(t *testing.T) {
	var changes []string
	d := New(Options{Changed: func(table string, before, after map[string]types.AttributeValue) {
		changes = append(changes, table+" "+show(before)+" "+show(after))
	}})
	server := httptest.NewServer(d)
	defer server.Close()
	_, inProcess := newFake(Options{})
	for _, client := range []*dynamodb.Client{newClient(server.URL, http.DefaultTransport), inProcess} {
		createTable(t, client, "jobs", "k:S")
		for _, want := range []string{"{k=\"a\" n=1}", "{k=\"a\" n=2}"} {
			out, err := client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
				TableName: aws.String("jobs"), Key: attrs(`{"k":{"S":"a"}}`), ReturnValues: "ALL_NEW",
				UpdateExpression:          aws.String("SET n = if_not_exists(n, :zero) + :one"),
				ExpressionAttributeValues: attrs(`{":zero":{"N":"0"},":one":{"N":"01.0"}}`),
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := show(out.Attributes); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		_, err := client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
			TableName: aws.String("jobs"), Key: attrs(`{"k":{"S":"a"}}`), ReturnValuesOnConditionCheckFailure: "ALL_OLD",
			ConditionExpression: aws.String("n < :n"), ExpressionAttributeValues: attrs(`{":n":{"N":"2"}}`),
		})
		if got, want := code(err), `ConditionalCheckFailedException {k="a" n=2}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if len(changes) != 2 || changes[1] != `jobs {k="a" n=1} {k="a" n=2}` {
		t.Errorf("changes: %q", changes)
	}
	if u := d.Usage(); u.WriteUnits != 3 || u.Calls["UpdateItem"] != 2 || u.Calls["DeleteItem"] != 1 {
		t.Errorf("usage: %+v", u)
	}
}

// Pages and conditions, for machines without DynamoDB Local.
func TestExpectations(t *testing.T) {
	d, client := newFake(Options{PageBytes: 64})
	createTable(t, client, "jobs", "k:S", "r:N")
	ctx, table := t.Context(), aws.String("jobs")
	for i := range 10 {
		it := attrs(fmt.Sprintf(`{"k":{"S":"a"},"r":{"N":"%d"},"x":{"S":"%s"}}`, i, strings.Repeat("x", 20)))
		if _, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: it}); err != nil {
			t.Fatal(err)
		}
	}
	pages := ""
	p := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{
		TableName: table, FilterExpression: aws.String("r < :r"),
		ProjectionExpression: aws.String("r"), ExpressionAttributeValues: attrs(`{":r":{"N":"7"}}`),
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range page.Items {
			pages += show(it)
		}
		pages += " "
	}
	if want := "{r=0}{r=1}{r=2} {r=3}{r=4}{r=5} {r=6}  "; pages != want {
		t.Errorf("pages %s, want %s", pages, want)
	}
	f := func(condition, values, want string) {
		t.Helper()
		_, err := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: table, Key: attrs(`{"k":{"S":"a"},"r":{"N":"1.0"}}`), ConditionExpression: &condition, ExpressionAttributeValues: attrs(values)})
		if got := code(err); got != want {
			t.Errorf("%s: got %s, want %s", condition, got, want)
		}
	}
	f("zz = :v", `{":v":{"N":"1"}}`, "ConditionalCheckFailedException {}")
	f("zz <> :v AND size(x) = :v", `{":v":{"N":"20"}}`, "ok")
	f("name = :v", `{":v":{"N":"1"}}`, "ValidationException")
	f("r = :v AND", `{":v":{"N":"1"}}`, "ValidationException")
	f("r = :v", `{":v":{"N":"1"},":w":{"N":"1"}}`, "ValidationException")
	if u := d.Usage(); u.ReadUnits != 2 || u.WriteUnits != 10+2 {
		t.Errorf("usage: %+v", u)
	}
}

// Features of the service that the fake does not have are rejected.
func TestUnsupported(t *testing.T) {
	_, client := newFake(Options{})
	createTable(t, client, "jobs", "k:S")
	f := func(name, want string, call func(ctx context.Context) error) {
		t.Helper()
		if got := code(call(t.Context())); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	scan := func(in dynamodb.ScanInput) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			in.TableName = aws.String("jobs")
			_, err := client.Scan(ctx, &in)
			return err
		}
	}
	f("a scan", "ok", scan(dynamodb.ScanInput{}))
	f("a segment", "ValidationException", scan(dynamodb.ScanInput{Segment: aws.Int32(0), TotalSegments: aws.Int32(2)}))
	f("a count", "ValidationException", scan(dynamodb.ScanInput{Select: types.SelectCount}))
	f("an index", "ValidationException", scan(dynamodb.ScanInput{IndexName: aws.String("i")}))
	f("a query", "UnknownOperationException", func(ctx context.Context) error {
		_, err := client.Query(ctx, &dynamodb.QueryInput{TableName: aws.String("jobs"), KeyConditionExpression: aws.String("k = :k"), ExpressionAttributeValues: attrs(`{":k":{"S":"a"}}`)})
		return err
	})
}

func TestNumber_Success(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		n, err := parseNumber(text)
		if err != nil || n.String() != want {
			t.Errorf("%s: got %s, %v, want %s", text, n, err, want)
		}
	}
	f("01.0", "1")
	f("-0", "0")
	f("+.5e1", "5")
	f("-1.50e-3", "-0.0015")
	f("12e3", "12000")
}

// Updates of a large table, like those of a simulation.
func BenchmarkUpdateItem(b *testing.B) {
	_, client := newFake(Options{})
	createTable(b, client, "jobs", "k:S")
	i := 0
	for b.Loop() {
		i++
		_, err := client.UpdateItem(b.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String("jobs"), Key: attrs(fmt.Sprintf(`{"k":{"S":"%d"}}`, i%1000)),
			UpdateExpression:          aws.String("SET #o = :o, n = if_not_exists(n, :zero) + :one, x = :x REMOVE y"),
			ConditionExpression:       aws.String("attribute_not_exists(#o) OR #o = :o"),
			ExpressionAttributeNames:  map[string]string{"#o": "owner"},
			ExpressionAttributeValues: attrs(`{":o":{"S":"me"},":zero":{"N":"0"},":one":{"N":"1"},":x":{"S":"2026-11-24T00:00:00Z"}}`),
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
