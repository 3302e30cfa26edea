package indexer

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"logsluice/indexer/deadletter"
	"logsluice/opensearch"
)

// The outcome of a document depends on the status and the error of its item.
func TestOutcomes(t *testing.T) {
	f := func(status int, kind, why string, want outcome) {
		t.Helper()
		r := opensearch.Item{Status: status}
		if kind != "" {
			r.Error = &opensearch.Cause{Type: kind, Reason: why}
		}
		if got := outcomeOf(r); got != want {
			t.Errorf("%d %s %s: %v, want %v", status, kind, why, got, want)
		}
		if waits := Waits(r.Status, r.Error); waits != (want == blocked || want == failedAlone) {
			t.Errorf("%d %s %s: waits: %v", status, kind, why, waits)
		}
	}
	f(200, "", "", indexed)
	f(201, "", "", indexed)
	f(300, "", "", refused)
	f(0, "", "", busy)
	f(409, "", "", alreadyIndexed)
	f(429, "rejected_execution_exception", "", busy)
	f(429, "cluster_block_exception", "", blocked)
	f(400, "", "", refused)
	f(400, "mapper_parsing_exception", "", refused)
	f(400, "validation_exception", "", blocked)
	f(400, "illegal_argument_exception", "Limit of total fields [1000] has been exceeded", refused)
	f(400, "illegal_argument_exception", "no write index is defined for alias [a]", blocked)
	f(400, "illegal_argument_exception", "pipeline with id [p] does not exist", blocked)
	f(400, "mapper_parsing_exception", "pipeline with id [p] does not exist", refused)
	f(401, "", "", blocked)
	f(403, "", "", blocked)
	f(404, "", "", blocked)
	f(500, "", "", failedAlone)
	f(503, "unavailable_shards_exception", "", blocked)
}

// Blocks set on an index, and the one for a full disk, are distinguished.
func TestKindsOfBlocks(t *testing.T) {
	f := func(e *opensearch.Cause, state, flood bool) {
		t.Helper()
		if isStateOfIndex(e) != state || isFlood(e) != flood {
			t.Errorf("%+v: state %v, flood %v", e, isStateOfIndex(e), isFlood(e))
		}
	}
	f(nil, false, false)
	if causedBy(nil) != nil {
		t.Error("a nil error has a cause")
	}
	f(&opensearch.Cause{Type: "mapper_parsing_exception", Reason: "of /12/ fields"}, false, false)
	f(&opensearch.Cause{Type: "index_not_found_exception"}, false, false)
	f(&opensearch.Cause{Type: "index_closed_exception"}, true, false)
	f(&opensearch.Cause{Type: "cluster_block_exception", Reason: "[FORBIDDEN/8/index write (api)]"}, true, false)
	f(&opensearch.Cause{Type: "cluster_block_exception", Reason: "[TOO_MANY_REQUESTS/12/disk usage]"}, true, true)
}

// Consecutive documents with the same outcome are one run. Documents that are refused
// permanently or in conflict are one run each, and blocked or failing ones are separated
// by index.
func TestOutcomesOf(t *testing.T) {
	docs := NewDocuments(Source{}, 0)
	for i, index := range []string{"app-x", "app-x", "app-y", "app-y"} {
		docs.Body = fmt.Appendf(docs.Body, "{\"create\":{\"_index\":%q,\"_id\":\"%d\"}}\n{\"message\":\"m\"}\n", index, i)
		docs.Next(i)
	}
	p := part{docs: docs, to: 4}
	type run struct {
		outcome outcome
		n       int
		index   string
	}
	f := func(name string, p part, hasTargets bool, statuses []int, kinds map[int]opensearch.Cause, want ...run) {
		t.Helper()
		d := idleDispatcher(t, nil)
		d.ix.hasTargets.Store(hasTargets)
		items := make([]opensearch.Item, len(statuses))
		for i, status := range statuses {
			items[i].Status = status
			if e, ok := kinds[i]; ok {
				items[i].Error = &e
			}
		}
		var got []run
		for _, v := range d.ix.outcomesOf([]part{p}, items) {
			got = append(got, run{v.outcome, v.count(), v.index})
			if (v.reason == nil) != (v.outcome.isAccepted() || len(kinds) == 0 && v.outcome != conflicting) {
				t.Errorf("%s: reason %v of outcome %v", name, v.reason, v.outcome)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	f("accepted", p, false, []int{201, 201, 201, 201}, nil, run{indexed, 4, ""})
	f("accepted while an index is blocked", p, true, []int{201, 201, 201, 201}, nil, run{indexed, 2, "app-x"}, run{indexed, 2, "app-y"})
	f("two outcomes", p, false, []int{201, 429, 429, 201}, nil, run{indexed, 1, ""}, run{busy, 2, ""}, run{indexed, 1, ""})
	f("blocked", p, false, []int{403, 403, 403, 403}, nil, run{blocked, 2, "app-x"}, run{blocked, 2, "app-y"})
	f("failing", p, false, []int{500, 500, 500, 500}, nil, run{failedAlone, 2, "app-x"}, run{failedAlone, 2, "app-y"})
	f("refused for good", p.slice(0, 2), false, []int{400, 400}, nil, run{refused, 1, ""}, run{refused, 1, ""})
	elsewhere := opensearch.Cause{Reason: "[other]: version conflict"}
	f("in conflict", p.slice(0, 3), false, []int{409, 409, 409}, map[int]opensearch.Cause{0: {Reason: "[0]: version conflict"}, 1: elsewhere},
		run{alreadyIndexed, 1, ""}, run{conflicting, 1, ""}, run{alreadyIndexed, 1, ""})
	letter := p.slice(0, 1).letter(deadletter.StageIndex, 400, noOutcome)
	f("a dead letter", letter, false, []int{201}, nil, run{indexed, 1, "app-dead-letter"})
	f("a dead letter that exists", letter, false, []int{409}, nil, run{alreadyIndexed, 1, "app-dead-letter"})
	f("a dead letter, busy", letter, false, []int{429}, nil, run{busy, 1, "app-dead-letter"})
	f("a dead letter, refused", letter, false, []int{400}, nil, run{blocked, 1, "app-dead-letter"})
	f("a dead letter, failing", letter, false, []int{500}, nil, run{blocked, 1, "app-dead-letter"})
}

// A refused document is sent as text, then as a dead letter and a minimal fallback;
// without its origin if that may be the cause.
func TestFallbacks(t *testing.T) {
	with := part{docs: record(nil, 0, 1), to: 1}
	without := part{docs: NewDocuments(Source{}, 0), to: 1}
	without.docs.Body = append(without.docs.Body, with.docs.Body...)
	without.docs.Next(0)
	f := func(name string, p part, how outcome, want ...fallback) {
		t.Helper()
		why := &reason{"k", "t"}
		fallbacks := partOutcome{part: p, outcome: how, status: 400, reason: why}.fallbacks()
		if len(fallbacks) != len(want) {
			t.Fatalf("%s: %d fallbacks", name, len(fallbacks))
		}
		for i, p := range fallbacks {
			if p.fallback.kind != want[i].kind || p.fallback.withOrigin != want[i].withOrigin || p.fallback.kind == letterFallback && p.fallback.reason == nil {
				t.Errorf("%s: fallback %d: %+v", name, i, p.fallback)
			}
		}
	}
	as := func(p part, fallback fallback) part { return p.withFallback(fallback) }
	f("as it is", with, refused, fallback{kind: plainFallback, withOrigin: true})
	f("as it is, of unknown origin", without, refused, fallback{kind: plainFallback})
	f("as text", as(with, fallback{kind: plainFallback, withOrigin: true}), refused, fallback{kind: plainFallback})
	f("as text without its origin", as(with, fallback{kind: plainFallback, reason: noOutcome}), refused, fallback{kind: letterFallback}, fallback{kind: minimalFallback, withOrigin: true})
	f("as text, of unknown origin", as(without, fallback{kind: plainFallback, reason: noOutcome}), refused, fallback{kind: letterFallback}, fallback{kind: minimalFallback})
	f("minimal", as(with, fallback{kind: minimalFallback, withOrigin: true}), refused, fallback{kind: minimalFallback})
	f("minimal without its origin", as(with, fallback{kind: minimalFallback}), refused)
	f("in conflict", with, conflicting, fallback{kind: letterFallback})
}

// Accepted documents are counted by kind.
func TestCountedOutcomes(t *testing.T) {
	f := func(name string, change func(p part) part, how outcome, want string) {
		t.Helper()
		d := idleDispatcher(t, nil)
		p, _ := taken(d, t.Context(), 0, 1)
		d.ix.count(partOutcome{part: change(p), outcome: how})
		m := &d.ix.metrics
		got := ""
		for what, n := range map[string]prometheus.Counter{"indexed": m.indexed, "there": m.alreadyIndexed, "conflict": m.conflicts, "letter": m.deadLetters} {
			if testutil.ToFloat64(n) == 1 {
				got += what
			}
		}
		if testutil.ToFloat64(m.plain) == 1 {
			got += " plain"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	same := func(p part) part { return p }
	asLetter := func(p part) part { return p.letter(deadletter.StageIndex, 400, noOutcome) }
	f("indexed", same, indexed, "indexed")
	f("indexed as text", func(p part) part { return p.withFallback(fallback{kind: plainFallback}) }, indexed, "indexed plain")
	f("there", same, alreadyIndexed, "there")
	f("in conflict", same, conflicting, "conflict")
	f("a dead letter", asLetter, indexed, "letter")
	f("a dead letter that exists", asLetter, alreadyIndexed, "there")
	f("refused", same, refused, "")
	f("a dead letter refused", asLetter, blocked, "")
}
