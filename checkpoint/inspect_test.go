package checkpoint

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/rs/zerolog"
)

// described is a DynamoDB that describes one table and fails to scan it.
type described struct {
	DynamoDB
	table *types.TableDescription
	err   error
}

var errScanned = errors.New("scanned")

func (d described) DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error) {
	return &dynamodb.DescribeTableOutput{Table: d.table}, d.err
}

func (described) Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	return nil, errScanned
}

func leaseTableOf(status types.TableStatus, key string, kind types.ScalarAttributeType) *types.TableDescription {
	return &types.TableDescription{
		TableStatus:          status,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(key), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(key), AttributeType: kind}},
	}
}

// Check does not read a table that is missing or being created, and rejects a table that is not
// a lease table.
func TestCheck(t *testing.T) {
	f := func(what string, db described, want error) {
		t.Helper()
		table, err := New(Config{Table: "t", Worker: "w", LeaseDuration: leaseDuration, Log: zerolog.Nop()}, db)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(table.Close)
		if got := table.Check(t.Context(), Stream{Name: "logs"}); !errors.Is(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	failed := errors.New("failed")
	is := func(status types.TableStatus) described {
		return described{table: leaseTableOf(status, attrShard, types.ScalarAttributeTypeS)}
	}
	f("missing", described{err: &types.ResourceNotFoundException{}}, nil)
	f("another error", described{err: failed}, failed)
	f("being created", is(types.TableStatusCreating), nil)
	f("being deleted", is(types.TableStatusDeleting), ErrDeleting)
	f("active", is(types.TableStatusActive), errScanned)
	f("being updated", is(types.TableStatusUpdating), errScanned)
	f("another key", described{table: leaseTableOf(types.TableStatusActive, "id", types.ScalarAttributeTypeS)}, ErrNotLeaseTable)
	f("another type of key", described{table: leaseTableOf(types.TableStatusActive, attrShard, types.ScalarAttributeTypeN)}, ErrNotLeaseTable)
	f("another key, being deleted", described{table: leaseTableOf(types.TableStatusDeleting, "id", types.ScalarAttributeTypeS)}, ErrNotLeaseTable)
}

func TestDescribe(t *testing.T) {
	if _, err := Describe(t.Context(), described{}, "t"); err == nil || !strings.Contains(err.Error(), "the response is not from DynamoDB") {
		t.Error(err)
	}
	table := leaseTableOf(types.TableStatusActive, attrShard, types.ScalarAttributeTypeS)
	if d, err := Describe(t.Context(), described{table: table}, "t"); err != nil || d.Billing != "PROVISIONED" || d.Status != "ACTIVE" || !d.Ready {
		t.Errorf("%+v, %v", d, err)
	}
	table.BillingModeSummary = &types.BillingModeSummary{BillingMode: types.BillingModePayPerRequest}
	if d, err := Describe(t.Context(), described{table: table}, "t"); err != nil || d.Billing != "PAY_PER_REQUEST" {
		t.Errorf("%+v, %v", d, err)
	}
}
