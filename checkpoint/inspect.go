package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Checks of a table for the start of a worker and for doctor: whether it is a lease table,
// which stream it belongs to, and whether it can be written to.

var (
	// ErrNotLeaseTable is returned for a table whose key is not that of a lease table.
	ErrNotLeaseTable = errors.New("is not a lease table")
	// ErrDeleting is returned while the table is being deleted.
	ErrDeleting = errors.New("the lease table is being deleted")
)

// Check returns ErrNotLeaseTable if the table exists and is not a lease table,
// *OtherStreamError if it belongs to another stream, and ErrDeleting while it is being
// deleted. It creates nothing.
func (t *Table) Check(ctx context.Context, stream Stream) error {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	d, err := Describe(ctx, t.db, t.cfg.Table)
	switch {
	case errors.Is(err, ErrNoTable):
		return nil
	case err == nil && d.Status == string(types.TableStatusDeleting):
		return fmt.Errorf("%s: %w", t.cfg.Table, ErrDeleting)
	case err != nil || !d.Ready:
		return err
	}
	view, err := ReadView(ctx, t.db, t.cfg.Table)
	if err != nil {
		return err
	}
	return view.CheckStream(stream)
}

// Description describes a lease table as DynamoDB reports it.
type Description struct {
	// Status and Billing are DynamoDB's values, such as ACTIVE and PAY_PER_REQUEST.
	Status, Billing string
	// Ready reports whether the table can be read and written to.
	Ready bool
}

// Describe describes a lease table. It returns ErrNoTable if the table does not exist and
// ErrNotLeaseTable if its key is not that of a lease table.
func Describe(ctx context.Context, db DynamoDB, table string) (Description, error) {
	answer, err := db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		return Description{}, fmt.Errorf("%s: %w", table, ErrNoTable)
	case err != nil:
		return Description{}, fmt.Errorf("describe the lease table %s: %w", table, err)
	case answer.Table == nil:
		return Description{}, fmt.Errorf("describe the lease table %s: the response is not from DynamoDB", table)
	}
	t := answer.Table
	d := Description{Status: string(t.TableStatus), Billing: string(types.BillingModeProvisioned)} // the default
	if t.BillingModeSummary != nil {
		d.Billing = string(t.BillingModeSummary.BillingMode)
	}
	d.Ready = t.TableStatus == types.TableStatusActive || t.TableStatus == types.TableStatusUpdating
	var key []string
	for _, k := range t.KeySchema {
		key = append(key, aws.ToString(k.AttributeName))
	}
	if !slices.Equal(key, []string{attrShard}) { // a single key is a hash key
		return d, fmt.Errorf("%q %w (its key is %s, not %s)", table, ErrNotLeaseTable, strings.Join(key, " and "), attrShard)
	}
	for _, a := range t.AttributeDefinitions {
		if aws.ToString(a.AttributeName) == attrShard && a.AttributeType != types.ScalarAttributeTypeS {
			return d, fmt.Errorf("%q %w (its key %s is of type %s, not %s)", table, ErrNotLeaseTable, attrShard, a.AttributeType, types.ScalarAttributeTypeS)
		}
	}
	return d, nil
}

// TryWrites returns an error if these credentials cannot write to a lease table. It changes
// nothing: its requests have a condition that never holds, and DynamoDB evaluates the
// condition only for callers with the permission.
func TryWrites(ctx context.Context, db DynamoDB, table string) error {
	const key = "logsluice-doctor"
	never := all(rowExists(), absent(attrShard))
	var c change
	c.set(attrOwner, str(key))
	if _, _, err := updateRow(ctx, db, table, key, c, never, viewTimeout); err != nil {
		return fmt.Errorf("try to update a row of %s: %w", table, err)
	}
	if _, err := deleteRow(ctx, db, table, key, never, viewTimeout); err != nil {
		return fmt.Errorf("try to delete a row of %s: %w", table, err)
	}
	return nil
}
