package checkpoint

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Every write to the lease table consists of a condition on one row and a change to it.
// This file builds both. The SDK's feature/dynamodb/expression builds arbitrary expressions;
// these few need no attribute name placeholders and read like what is sent.

// condition is a DynamoDB condition expression on a row, with its values.
type condition struct {
	text   string
	values item
}

func rowExists() condition {
	return condition{text: "attribute_exists(" + attrShard + ")"}
}

func absent(attribute string) condition {
	return condition{text: "attribute_not_exists(" + attribute + ")"}
}

func is(attribute string, value types.AttributeValue) condition {
	return condition{attribute + " = :is" + attribute, item{":is" + attribute: value}}
}

func isNot(attribute string, value types.AttributeValue) condition {
	return condition{attribute + " <> :not" + attribute, item{":not" + attribute: value}}
}

func epochIsBelow(epoch int64) condition {
	return condition{attrEpoch + " < :below" + attrEpoch, item{":below" + attrEpoch: num(epoch)}}
}

// asRead returns the condition that an attribute is as readRow returned it: an attribute
// that is empty or 0 may be absent.
func asRead(attribute string, value types.AttributeValue) condition {
	if v := text(value); v == "" || v == "0" {
		return either(absent(attribute), is(attribute, value))
	}
	return is(attribute, value)
}

// finished returns the condition that the row's shard is read to its end.
func finished() condition { return is(attrCheckpoint, str(ShardEnd)) }

// unfinished returns the opposite of finished.
func unfinished() condition {
	return either(absent(attrCheckpoint), isNot(attrCheckpoint, str(ShardEnd)))
}

// all returns the condition that all conditions hold.
func all(conditions ...condition) condition { return join(" AND ", conditions) }

// either returns the condition that at least one condition holds.
func either(conditions ...condition) condition {
	c := join(" OR ", conditions)
	c.text = "(" + c.text + ")"
	return c
}

func join(operator string, conditions []condition) condition {
	joined := condition{values: make(item)}
	texts := make([]string, len(conditions))
	for i, c := range conditions {
		texts[i] = c.text
		maps.Copy(joined.values, c.values)
	}
	joined.text = strings.Join(texts, operator)
	return joined
}

// change is the update expression for a row.
type change struct {
	sets, removed []string
	values        item
}

func (c *change) set(attribute string, value types.AttributeValue) {
	c.assign(attribute, ":"+attribute, ":"+attribute, value)
}

// setOnce sets an attribute unless the row already has it.
func (c *change) setOnce(attribute string, value types.AttributeValue) {
	c.assign(attribute, "if_not_exists("+attribute+", :"+attribute+")", ":"+attribute, value)
}

// increment adds 1 to an attribute, or to otherwise if the row lacks it.
func (c *change) increment(attribute string, otherwise int64) {
	c.assign(attribute, "if_not_exists("+attribute+", :"+attribute+") + :one", ":"+attribute, num(otherwise))
	c.values[":one"] = num(1)
}

func (c *change) assign(attribute, expression, name string, value types.AttributeValue) {
	if c.values == nil {
		c.values = make(item)
	}
	c.sets = append(c.sets, attribute+" = "+expression)
	c.values[name] = value
}

func (c *change) remove(attributes ...string) {
	c.removed = append(c.removed, attributes...)
}

func (c *change) expression() string {
	expression := "SET " + strings.Join(c.sets, ", ")
	if len(c.removed) > 0 {
		expression += " REMOVE " + strings.Join(c.removed, ", ")
	}
	return expression
}

// update changes one row if a condition holds, and returns the new row. When the condition
// fails, it returns the unchanged row and conditionFailed.
func (t *Table) update(ctx context.Context, key string, c change, when condition, timeout time.Duration) (it item, conditionFailed bool, err error) {
	return updateRow(ctx, t.db, t.cfg.Table, key, c, when, timeout)
}

func updateRow(ctx context.Context, db DynamoDB, table, key string, c change, when condition, timeout time.Duration) (it item, conditionFailed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	values := make(item, len(c.values)+len(when.values))
	maps.Copy(values, c.values)
	maps.Copy(values, when.values)
	out, err := db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                           aws.String(table),
		Key:                                 item{attrShard: str(key)},
		UpdateExpression:                    aws.String(c.expression()),
		ConditionExpression:                 aws.String(when.text),
		ExpressionAttributeValues:           values,
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &failed):
		return failed.Item, true, nil
	case err != nil:
		return nil, false, err
	}
	return out.Attributes, false, nil
}

// deleteRow deletes one row if a condition holds.
func deleteRow(ctx context.Context, db DynamoDB, table, key string, when condition, timeout time.Duration) (conditionFailed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	in := &dynamodb.DeleteItemInput{TableName: aws.String(table), Key: item{attrShard: str(key)}, ConditionExpression: aws.String(when.text)}
	if len(when.values) > 0 { // DynamoDB rejects an empty map
		in.ExpressionAttributeValues = when.values
	}
	_, err = db.DeleteItem(ctx, in)
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return true, nil
	}
	return false, err
}
