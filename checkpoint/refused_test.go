package checkpoint

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Refused is set while every read since the start was refused. A worker that has read before
// fails CanRead if it reads nothing for a while.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := unconnected(t, "a")
		r := &a.refusals
		refusal := func(what string) error { return fmt.Errorf("%s: %w", what, ErrRefused) }
		begun := time.Now()
		check := func(name string, since time.Time, cause, unready string) {
			t.Helper()
			at, err := a.Refused()
			if !at.Equal(since) || (err == nil) != (cause == "") || err != nil && !strings.HasPrefix(err.Error(), cause+":") {
				t.Errorf("%s: refused since %s: %v", name, at, err)
			}
			err = a.CanRead()
			if (err == nil) != (unready == "") || err != nil && !strings.HasPrefix(err.Error(), unready+":") {
				t.Errorf("%s: can read: %v", name, err)
			}
		}
		none := time.Time{}
		check("at its start", none, "", "")
		r.add(shard0, errBroken, "a", row{})
		check("a transient error", none, "", "")
		r.add(shard0, refusal("one"), "a", row{})
		check("refused", begun, "one", "this worker reads nothing: one")
		time.Sleep(time.Second)
		r.add(parent1, refusal("two"), "a", row{})
		check("refused twice", begun, "two", "this worker reads nothing: two")
		r.noteRead()
		check("it reads", none, "", "")
		time.Sleep(time.Hour)
		check("it has read", none, "", "")
		r.add(shard0, refusal("three"), "a", row{})
		check("refused after it has read", none, "", "")
		time.Sleep(unreadFor - time.Nanosecond)
		r.add(parent1, refusal("four"), "a", row{})
		check("nothing is read for a moment", none, "", "")
		time.Sleep(time.Nanosecond)
		check("nothing is read for a long time", none, "", "this worker reads nothing: four")
		r.noteRead()
		check("it reads again", none, "", "")
		r.noteListing(refusal("five"))
		r.noteRead()
		time.Sleep(unreadFor)
		check("listings are refused, but it reads", none, "", "the shards cannot be listed: five")
	})
}

// No shard can be read if all listed and unfinished shards fail.
func TestCanRead(t *testing.T) {
	f := func(name string, rows map[string]row, cause error, want string) {
		t.Helper()
		a := unconnected(t, "a")
		shards := []Shard{{ID: shard0, First: "1"}, {ID: parent1, First: "2", Last: "9", Closed: true}}
		a.observe(append(shards, Shard{ID: parent2, First: "3"}), rows, time.Now(), time.Now())
		a.observe(shards, rows, time.Now(), time.Now()) // the last shard is not listed
		a.cooldown.cause = cause
		err := a.CanRead()
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	failing, finished := row{failures: failingAt, failedBy: "b"}, row{checkpoint: "SHARD_END"}
	f("none fails", map[string]row{}, nil, "")
	f("one fails", map[string]row{shard0: failing}, nil, "")
	f("both fail", map[string]row{shard0: failing, parent1: failing}, errors.New("because"), "no shard can be read: because")
	f("both fail, for others", map[string]row{shard0: failing, parent1: failing}, nil, "no shard can be read: see the logs of the other workers for the cause")
	f("the only unfinished one fails", map[string]row{shard0: failing, parent1: finished}, errors.New("because"), "no shard can be read: because")
	f("all are finished", map[string]row{shard0: finished, parent1: finished}, nil, "")
}
