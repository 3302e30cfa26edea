package consumer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/prometheus/client_golang/prometheus"
)

// A worker that has claimed a lease does not wait forever while OpenSearch accepts nothing.
func TestHandoverDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, db := leased(t)
		const bound = 10 * time.Second
		// This ends the drain if nothing else does. Otherwise heartbeats would keep the bubble's
		// clock running forever.
		draining, giveUp := context.WithTimeout(t.Context(), 100*bound)
		defer giveUp()
		c := &Consumer{cfg: Config{DrainTimeout: bound}, table: table, metrics: newMetrics(), shards: new(shards), reading: t.Context(), draining: draining, mapper: newMapper(t),
			indexer: newIndexer(t, 1, prometheus.NewRegistry(), away{})}
		c.stream = newStream(t.Context(), Config{Stream: "s"}, table, c.metrics, c.shards)
		p := c.newProcessor(heldShard)
		p.marks.add("1", 1) // never gets an outcome
		if _, err := db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String("leases"), Key: map[string]types.AttributeValue{"ShardID": &types.AttributeValueMemberS{Value: heldShard}},
			UpdateExpression:          aws.String("SET ClaimRequest = :other"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":other": &types.AttributeValueMemberS{Value: "other"}},
		}); err != nil {
			t.Fatal(err)
		}
		<-table.Lease(heldShard).Reading().Done()
		begun := time.Now()
		// The reader may be waiting at the end of the shard.
		p.Shutdown(func() error { t.Error("the end of the shard is written"); return nil })
		if err := table.Release(heldShard); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took < bound || took > bound+time.Second {
			t.Errorf("released after %s", took)
		}
		if p.owned.Err() == nil {
			t.Error("records that were not drained are still sent")
		}
	})
}
