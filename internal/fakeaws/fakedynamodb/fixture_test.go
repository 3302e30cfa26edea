package fakedynamodb

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"logsluice/internal/fakeaws"
	"logsluice/internal/ownbody"
)

func newClient(url string, transport http.RoundTripper) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(url),
		Credentials:  credentials.NewStaticCredentialsProvider("id", "secret", ""),
		HTTPClient:   ownbody.Client(&http.Client{Transport: transport}),
		Retryer:      aws.NopRetryer{},
	})
}

func newFake(opts Options) (*DynamoDB, *dynamodb.Client) {
	d := New(opts)
	return d, newClient("http://dynamodb.invalid", fakeaws.RoundTripper(d))
}

// createTable creates a table with a hash key and optionally a range key, each given as
// name:type.
func createTable(t testing.TB, client *dynamodb.Client, name string, key ...string) {
	t.Helper()
	in := &dynamodb.CreateTableInput{TableName: &name, BillingMode: types.BillingModePayPerRequest}
	for i, k := range key {
		attribute, kind, _ := strings.Cut(k, ":")
		in.KeySchema = append(in.KeySchema, types.KeySchemaElement{AttributeName: &attribute, KeyType: []types.KeyType{"HASH", "RANGE"}[i]})
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: &attribute, AttributeType: types.ScalarAttributeType(kind)})
	}
	_, err := client.CreateTable(t.Context(), in)
	must(t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// attrs parses attributes in the protocol's JSON.
func attrs(text string) map[string]types.AttributeValue {
	if text == "" {
		return nil
	}
	var it item
	if err := json.Unmarshal([]byte(text), &it); err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	return it.sdk()
}

// show returns attributes as text, with canonical numbers and sorted sets: DynamoDB Local
// returns numbers as they were written.
func show(m map[string]types.AttributeValue) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s=%s ", name, showValue(m[name]))
	}
	return "{" + strings.TrimSpace(b.String()) + "}"
}

func showValue(v types.AttributeValue) string {
	one := func(text string) string {
		n, err := parseNumber(text)
		if err != nil {
			return err.Error()
		}
		return n.String()
	}
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return fmt.Sprintf("%q", v.Value)
	case *types.AttributeValueMemberN:
		return one(v.Value)
	case *types.AttributeValueMemberB:
		return fmt.Sprintf("b%q", v.Value)
	case *types.AttributeValueMemberBOOL:
		return fmt.Sprint(v.Value)
	case *types.AttributeValueMemberNULL:
		return "null"
	case *types.AttributeValueMemberM:
		return show(v.Value)
	case *types.AttributeValueMemberL:
		var list []string
		for _, e := range v.Value {
			list = append(list, showValue(e))
		}
		return fmt.Sprint(list)
	case *types.AttributeValueMemberSS:
		return fmt.Sprintf("SS%q", slices.Sorted(slices.Values(v.Value)))
	case *types.AttributeValueMemberNS:
		var list []string
		for _, text := range v.Value {
			list = append(list, one(text))
		}
		return fmt.Sprintf("NS%q", slices.Sorted(slices.Values(list)))
	case *types.AttributeValueMemberBS:
		var list []string
		for _, b := range v.Value {
			list = append(list, string(b))
		}
		return fmt.Sprintf("BS%q", slices.Sorted(slices.Values(list)))
	}
	return fmt.Sprintf("%T", v)
}

// code returns the exception of an error, with the items that it contains.
func code(err error) string {
	if err == nil {
		return "ok"
	}
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return "ConditionalCheckFailedException " + show(failed.Item)
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return err.Error()
}
