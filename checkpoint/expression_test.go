package checkpoint

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Conditions hold for the intended rows, with DynamoDB Local and with the fake.
func TestConditions(t *testing.T) { onBoth(t, testConditions) }

func testConditions(t *testing.T, db *dynamodb.Client) {
	name := tableName()
	openPatient(t, db, name, "a")
	f := func(what string, it item, when condition, want bool) {
		t.Helper()
		if it == nil {
			if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &name, Key: item{attrShard: str(shard0)}}); err != nil {
				t.Fatal(err)
			}
		} else {
			it[attrShard] = str(shard0)
			putRow(t, db, name, it)
		}
		var c change
		c.set(attrPrefix, str("changed"))
		c.setOnce(attrDomain, str("once"))
		c.increment(attrGaps, 4)
		c.remove(attrReadAt)
		after, failed, err := updateRow(t.Context(), db, name, shard0, c, when, time.Minute)
		if err != nil || failed == want {
			t.Errorf("%s: failed: %v, %v", what, failed, err)
			return
		}
		if want && (text(after[attrPrefix]) != "changed" || text(after[attrDomain]) != "once" || text(after[attrGaps]) != "5") {
			t.Errorf("%s: changed to %v", what, after)
		}
		if failed, err := deleteRow(t.Context(), db, name, shard0, when, time.Minute); what != "no row" && (err != nil || failed == want) {
			t.Errorf("%s: deleted: %v, %v", what, !failed, err)
		}
	}
	f("no row", nil, absent(attrShard), true)
	f("a row that is absent", nil, rowExists(), false)
	f("a row", item{}, rowExists(), true)

	f("no checkpoint", item{}, unfinished(), true)
	f("a checkpoint", item{attrCheckpoint: str("7")}, unfinished(), true)
	f("the end", item{attrCheckpoint: str(ShardEnd)}, unfinished(), false)
	f("finished, with the end", item{attrCheckpoint: str(ShardEnd)}, finished(), true)
	f("unfinished, without a checkpoint", item{}, finished(), false)

	f("empty as absent", item{}, asRead(attrOwner, str("")), true)
	f("empty as empty", item{attrOwner: str("")}, asRead(attrOwner, str("")), true)
	f("empty, but it exists", item{attrOwner: str("a")}, asRead(attrOwner, str("")), false)
	f("another", item{attrOwner: str("b")}, asRead(attrOwner, str("a")), false)
	f("one that no longer exists", item{}, asRead(attrOwner, str("a")), false)
	f("0 as absent", item{}, asRead(attrEpoch, num(0)), true)

	f("all", item{attrOwner: str("a"), attrEpoch: num(2)}, all(is(attrOwner, str("a")), either(epochIsBelow(2), is(attrEpoch, num(2)))), true)
	f("not all", item{attrOwner: str("a"), attrEpoch: num(3)}, all(is(attrOwner, str("a")), either(epochIsBelow(2), is(attrEpoch, num(2)))), false)
	f("either", item{attrOwner: str("b"), attrEpoch: num(1)}, all(isNot(attrOwner, str("a")), either(epochIsBelow(2), is(attrEpoch, num(2)))), true)

	ours, kcl := row{owner: "a", counter: 3, timeout: "1"}, row{owner: "a", timeout: "1"}
	f("the same counter", item{attrOwner: str("a"), attrCounter: num(3), attrTimeout: str("2")}, ours.unchanged(), true)
	f("another counter", item{attrOwner: str("a"), attrCounter: num(4), attrTimeout: str("1")}, ours.unchanged(), false)
	f("the same timeout", item{attrOwner: str("a"), attrTimeout: str("1")}, kcl.unchanged(), true)
	f("another timeout", item{attrOwner: str("a"), attrTimeout: str("2")}, kcl.unchanged(), false)
	f("a counter since then", item{attrOwner: str("a"), attrCounter: num(1), attrTimeout: str("1")}, kcl.unchanged(), false)
	f("no owner, whatever the counter", item{attrCounter: num(9)}, row{counter: 3}.unchanged(), true)
	f("an owner since then", item{attrOwner: str("a"), attrCounter: num(3)}, row{counter: 3}.unchanged(), false)
}
