package indexer

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"logsluice/indexer/deadletter"
	"logsluice/opensearch"
)

// What becomes of a document goes by the status and the error of its item.
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
	f(300, "", "", refusedForGood)
	f(0, "", "", busy)
	f(409, "", "", alreadyThere)
	f(429, "rejected_execution_exception", "", busy)
	f(429, "cluster_block_exception", "", blocked)
	f(400, "", "", refusedForGood)
	f(400, "mapper_parsing_exception", "", refusedForGood)
	f(400, "validation_exception", "", blocked)
	f(400, "illegal_argument_exception", "Limit of total fields [1000] has been exceeded", refusedForGood)
	f(400, "illegal_argument_exception", "no write index is defined for alias [a]", blocked)
	f(400, "illegal_argument_exception", "pipeline with id [p] does not exist", blocked)
	f(400, "mapper_parsing_exception", "pipeline with id [p] does not exist", refusedForGood)
	f(401, "", "", blocked)
	f(403, "", "", blocked)
	f(404, "", "", blocked)
	f(500, "", "", failedAlone)
	f(503, "unavailable_shards_exception", "", blocked)
}

// What blocks an index is told apart: what somebody did to it, and a disk that is full.
func TestKindsOfBlocks(t *testing.T) {
	f := func(e *opensearch.Cause, state, flood bool) {
		t.Helper()
		if isStateOfIndex(e) != state || isFlood(e) != flood {
			t.Errorf("%+v: state %v, flood %v", e, isStateOfIndex(e), isFlood(e))
		}
	}
	f(nil, false, false)
	if causedBy(nil) != nil {
		t.Error("no error is a cause")
	}
	f(&opensearch.Cause{Type: "mapper_parsing_exception", Reason: "of /12/ fields"}, false, false)
	f(&opensearch.Cause{Type: "index_not_found_exception"}, false, false)
	f(&opensearch.Cause{Type: "index_closed_exception"}, true, false)
	f(&opensearch.Cause{Type: "cluster_block_exception", Reason: "[FORBIDDEN/8/index write (api)]"}, true, false)
	f(&opensearch.Cause{Type: "cluster_block_exception", Reason: "[TOO_MANY_REQUESTS/12/disk usage]"}, true, true)
}

// Documents with the same outcome have one verdict, but each that is refused for good or
// in conflict its own, and what is blocked or fails one of each index.
func TestJudge(t *testing.T) {
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
	f := func(name string, p part, watched bool, statuses []int, kinds map[int]opensearch.Cause, want ...run) {
		t.Helper()
		d := idleDispatcher(t, nil)
		d.ix.watched.Store(watched)
		items := make([]opensearch.Item, len(statuses))
		for i, status := range statuses {
			items[i].Status = status
			if e, ok := kinds[i]; ok {
				items[i].Error = &e
			}
		}
		var got []run
		for _, v := range d.ix.judge([]part{p}, items) {
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
	f("accepted while an index is not", p, true, []int{201, 201, 201, 201}, nil, run{indexed, 2, "app-x"}, run{indexed, 2, "app-y"})
	f("two outcomes", p, false, []int{201, 429, 429, 201}, nil, run{indexed, 1, ""}, run{busy, 2, ""}, run{indexed, 1, ""})
	f("blocked", p, false, []int{403, 403, 403, 403}, nil, run{blocked, 2, "app-x"}, run{blocked, 2, "app-y"})
	f("failing", p, false, []int{500, 500, 500, 500}, nil, run{failedAlone, 2, "app-x"}, run{failedAlone, 2, "app-y"})
	f("refused for good", p.slice(0, 2), false, []int{400, 400}, nil, run{refusedForGood, 1, ""}, run{refusedForGood, 1, ""})
	elsewhere := opensearch.Cause{Reason: "[other]: version conflict"}
	f("in conflict", p.slice(0, 3), false, []int{409, 409, 409}, map[int]opensearch.Cause{0: {Reason: "[0]: version conflict"}, 1: elsewhere},
		run{alreadyThere, 1, ""}, run{conflicting, 1, ""}, run{alreadyThere, 1, ""})
	letter := p.slice(0, 1).letter(deadletter.StageIndex, 400, undecided)
	f("a dead letter", letter, false, []int{201}, nil, run{indexed, 1, "app-dead-letter"})
	f("a dead letter that is there", letter, false, []int{409}, nil, run{alreadyThere, 1, "app-dead-letter"})
	f("a dead letter, no room", letter, false, []int{429}, nil, run{busy, 1, "app-dead-letter"})
	f("a dead letter, refused", letter, false, []int{400}, nil, run{blocked, 1, "app-dead-letter"})
	f("a dead letter, failing", letter, false, []int{500}, nil, run{blocked, 1, "app-dead-letter"})
}

// A document that is refused goes out as text, then as a dead letter and bare; without
// its origin where that may be the cause.
func TestOtherForms(t *testing.T) {
	with := part{docs: record(nil, 0, 1), to: 1}
	without := part{docs: NewDocuments(Source{}, 0), to: 1}
	without.docs.Body = append(without.docs.Body, with.docs.Body...)
	without.docs.Next(0)
	f := func(name string, p part, how outcome, want ...form) {
		t.Helper()
		why := &reason{"k", "t"}
		forms := verdict{part: p, outcome: how, status: 400, reason: why}.otherForms()
		if len(forms) != len(want) {
			t.Fatalf("%s: %d forms", name, len(forms))
		}
		for i, p := range forms {
			if p.form.kind != want[i].kind || p.form.origin != want[i].origin || p.form.kind == letter && p.form.reason == nil {
				t.Errorf("%s: form %d: %+v", name, i, p.form)
			}
		}
	}
	as := func(p part, form form) part { return p.formOf(form) }
	f("as it is", with, refusedForGood, form{kind: plain, origin: true})
	f("as it is, of no known origin", without, refusedForGood, form{kind: plain})
	f("as text", as(with, form{kind: plain, origin: true}), refusedForGood, form{kind: plain})
	f("as text without its origin", as(with, form{kind: plain, reason: undecided}), refusedForGood, form{kind: letter}, form{kind: bare, origin: true})
	f("as text, of no known origin", as(without, form{kind: plain, reason: undecided}), refusedForGood, form{kind: letter}, form{kind: bare})
	f("bare", as(with, form{kind: bare, origin: true}), refusedForGood, form{kind: bare})
	f("bare without its origin", as(with, form{kind: bare}), refusedForGood)
	f("in conflict", with, conflicting, form{kind: letter})
}

// Accepted documents are counted by what they are.
func TestCountedOutcomes(t *testing.T) {
	f := func(name string, change func(p part) part, how outcome, want string) {
		t.Helper()
		d := idleDispatcher(t, nil)
		p, _ := taken(d, t.Context(), 0, 1)
		d.ix.count(verdict{part: change(p), outcome: how})
		m := &d.ix.metrics
		got := ""
		for what, n := range map[string]prometheus.Counter{"indexed": m.indexed, "there": m.alreadyThere, "conflict": m.conflicts, "letter": m.deadLetters} {
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
	asLetter := func(p part) part { return p.letter(deadletter.StageIndex, 400, undecided) }
	f("indexed", same, indexed, "indexed")
	f("indexed as text", func(p part) part { return p.formOf(form{kind: plain}) }, indexed, "indexed plain")
	f("there", same, alreadyThere, "there")
	f("in conflict", same, conflicting, "conflict")
	f("a dead letter", asLetter, indexed, "letter")
	f("a dead letter that is there", asLetter, alreadyThere, "there")
	f("refused", same, refusedForGood, "")
	f("a dead letter refused", asLetter, blocked, "")
}
