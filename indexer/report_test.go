package indexer

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"logsluice/indexer/deadletter"
	"logsluice/internal/statelog"
	"logsluice/local/localtest"
	"logsluice/opensearch"
)

// Lines about bad records are limited and contain how many were left out.
func TestSampledLines(t *testing.T) {
	inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
		for period := range 3 {
			for i := range 1000 {
				letter := NewDeadLetter(Record{Source: Source{Shard: "a"}, Occurrence: 1000*period + i}, deadletter.StageParse, errors.New("bad"), []byte("x"))
				if err := v.Put(t.Context(), letter, 0, func(bool) {}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(reportPeriod)
		}
		if n := strings.Count(v.log.String(), "record kept as a dead letter"); n != 3*reportBurst {
			t.Errorf("%d lines for 3,000 dead letters in three periods", n)
		}
		if n := strings.Count(v.log.String(), fmt.Sprintf(`"lines_left_out":%d`, 1000-reportBurst)); n != 2 {
			t.Errorf("%d lines contain the number left out", n)
		}
	})
}

// Reasons are shared. When there are many, the parts in which they differ are left out.
func TestReasonsAreShared(t *testing.T) {
	var r reasons
	cause := func(i int) *opensearch.Cause {
		return &opensearch.Cause{Type: "mapper_parsing_exception", Reason: fmt.Sprintf("failed to parse field [took] in document with id '%d' %s", i, strings.Repeat("x", 300))}
	}
	if a, b := r.share(cause(1)), r.share(cause(1)); a != b || a.text != reasonOf(cause(1)).text {
		t.Errorf("%p %p %q", a, b, a.text)
	}
	different := make(map[*reason]bool)
	for i := range 370_000 {
		different[r.share(cause(i))] = true
	}
	bytes, without := 0, false
	for why := range different {
		bytes += len(why.text)
		without = without || why.text == "failed to parse field [took] in document with id …"
	}
	if bytes > maxReasons+maxReason || !without {
		t.Errorf("%d bytes of reasons, without quotations: %v", bytes, without)
	}
	for i := range 100_000 { // which differ before the quotation
		different[r.share(&opensearch.Cause{Type: "other", Reason: fmt.Sprint(i, strings.Repeat("y", 300))})] = true
	}
	if n := len(different); n > 10_000 {
		t.Errorf("%d different reasons are kept", n)
	}
	if r.share(nil) != nil || r.share(&opensearch.Cause{Type: "k", Reason: "t", CausedBy: &opensearch.Cause{Type: "c", Reason: "why"}}).kind != "k" {
		t.Error("wrong reason for no cause or for a nested cause")
	}
}

// A reason is what OpenSearch reports, with its cause, truncated if it is too long.
func TestReasonOf(t *testing.T) {
	f := func(e opensearch.Cause, want string) {
		t.Helper()
		if got := reasonOf(&e); got.text != want || got.kind != e.Type {
			t.Errorf("%+v", got)
		}
	}
	f(opensearch.Cause{Type: "k", Reason: "why"}, "why")
	f(opensearch.Cause{Type: "k", Reason: "why", CausedBy: &opensearch.Cause{Type: "c", Reason: "because"}}, "why: c: because")
	f(opensearch.Cause{Type: "k", Reason: "why", CausedBy: &opensearch.Cause{Type: "c"}}, "why")
	f(opensearch.Cause{Type: "k", Reason: strings.Repeat("x", maxReason)}, strings.Repeat("x", maxReason))
	f(opensearch.Cause{Type: "k", Reason: strings.Repeat("x", maxReason-1) + "é"}, strings.Repeat("x", maxReason-1)+"…")
	if text := (*reason)(nil).String(); text != "" {
		t.Errorf("a nil reason is %q", text)
	}
}

// Reasons are kept complete at the start of each period.
func TestReasonsOfAPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r reasons
		isWhole := func(i int) bool {
			cause := &opensearch.Cause{Type: "k", Reason: fmt.Sprintf("'%d' %s", i, strings.Repeat("x", 400))}
			return r.share(cause).text == cause.Reason
		}
		const many = maxReasons/400 + 1
		for i := range many {
			isWhole(i)
		}
		if !isWhole(0) || isWhole(many) {
			t.Errorf("known: whole %v, new: whole %v", isWhole(0), isWhole(many))
		}
		time.Sleep(reasonPeriod)
		if isWhole(many) {
			t.Error("whole within the period")
		}
		time.Sleep(time.Nanosecond)
		if !isWhole(many) {
			t.Error("not whole in the next period")
		}
	})
}

// Requests that fail as a whole are logged once while they fail in the same way, and once
// when they succeed again.
func TestReportOfFailedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log localtest.Buffer
		d := idleDispatcher(t, func(c *Config) {
			c.Log = zerolog.New(&log)
			c.Remedy = func(err error) string { return "mend " + err.Error() }
		})
		p, _ := taken(d, t.Context(), 0, 2)
		f := func(status int, err error, want string) {
			t.Helper()
			log.Reset()
			how := unanswered
			if err == nil {
				how = indexed
			}
			d.ix.report([]partOutcome{{part: p, outcome: how}}, status, err)
			if got := strings.TrimSuffix(log.String(), "\n"); got != want {
				t.Errorf("%d %v: %s", status, err, got)
			}
		}
		failed := func(level, err string) string {
			return `{"level":"` + level + `","error":"` + err + `","remedy":"mend ` + err + `","documents":1,"message":"bulk request failed, retrying: run logsluice doctor"}`
		}
		f(200, nil, "")
		f(0, errors.New("refused"), failed("warn", "refused"))
		f(0, errors.New("reset"), "")
		f(403, errors.New("denied"), failed("error", "denied"))
		time.Sleep(statelog.RepeatAfter)
		f(403, errors.New("denied"), failed("error", "denied"))
		f(200, nil, `{"level":"info","message":"OpenSearch answers bulk requests again"}`)
		f(200, nil, "")
	})
}

// A request with documents that were not accepted is logged in one line: a warning if
// documents are sent again, an error if dead letters are made or refused.
func TestReportOfRequest(t *testing.T) {
	var log localtest.Buffer
	d := idleDispatcher(t, func(c *Config) { c.Log = zerolog.New(&log) })
	p, _ := taken(d, t.Context(), 0, 2)
	one := p.slice(0, 1)
	why := &reason{"kind", "text"}
	minimal, plain := one.withFallback(fallback{kind: minimalFallback}), one.withFallback(fallback{kind: plainFallback, reason: why})
	origin := one.withFallback(fallback{kind: plainFallback, reason: why, withOrigin: true})
	dead := one.letter(deadletter.StageIndex, 400, why)
	f := func(name string, status int, err error, want string, outcomes ...partOutcome) {
		t.Helper()
		d.ix.retriesLog, d.ix.refusedLog = sampler{}, sampler{}
		log.Reset()
		d.ix.report(outcomes, status, err)
		if got := log.String(); strings.TrimSuffix(got, "\n") != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	line := func(level, counts, reasons string) string {
		return `{"level":"` + level + `",` + counts + `,"lines_left_out":0,"reasons":"` + reasons + `","message":"OpenSearch did not accept all documents"}`
	}
	f("all accepted", 200, nil, "", partOutcome{part: p, outcome: indexed}, partOutcome{part: p, outcome: alreadyIndexed})
	f("busy", 429, nil, line("warn", `"retried":2,"waiting":0,"plain":0,"dead_letters":0,"dead_letters_refused":0`, "kind: text"), partOutcome{part: p, outcome: busy, reason: why})
	f("blocked", 200, nil, line("warn", `"retried":0,"waiting":3,"plain":0,"dead_letters":0,"dead_letters_refused":0`, ""), partOutcome{part: p, outcome: blocked}, partOutcome{part: one, outcome: failedAlone})
	f("plain is sent", 200, nil, line("warn", `"retried":0,"waiting":0,"plain":1,"dead_letters":0,"dead_letters_refused":0`, ""), partOutcome{part: one, outcome: refused})
	f("plain is sent without its origin", 200, nil, line("warn", `"retried":0,"waiting":0,"plain":1,"dead_letters":0,"dead_letters_refused":0`, ""), partOutcome{part: origin, outcome: refused})
	f("refused as plain", 200, nil, line("error", `"retried":0,"waiting":0,"plain":0,"dead_letters":1,"dead_letters_refused":0`, ""), partOutcome{part: plain, outcome: refused})
	f("in conflict", 200, nil, line("error", `"retried":0,"waiting":0,"plain":0,"dead_letters":1,"dead_letters_refused":0`, ""), partOutcome{part: one, outcome: conflicting})
	f("a dead letter", 200, nil, line("error", `"retried":0,"waiting":0,"plain":0,"dead_letters":0,"dead_letters_refused":1`, ""), partOutcome{part: dead, outcome: blocked})
	f("a minimal fallback", 200, nil, "", partOutcome{part: minimal, outcome: refused})
	f("a minimal fallback and others", 200, nil, line("warn", `"retried":2,"waiting":0,"plain":0,"dead_letters":0,"dead_letters_refused":0`, ""),
		partOutcome{part: minimal, outcome: refused, reason: why}, partOutcome{part: p, outcome: busy})
	var many []partOutcome
	for i := range 8 {
		many = append(many, partOutcome{part: one, outcome: busy, reason: &reason{fmt.Sprint("k", i), "one"}}, partOutcome{part: one, outcome: busy, reason: &reason{fmt.Sprint("k", i), "two"}})
	}
	f("many reasons", 200, nil, line("warn", `"retried":16,"waiting":0,"plain":0,"dead_letters":0,"dead_letters_refused":0`, "k0: one; k1: one; k2: one; k3: one; k4: one"), many...)

	for _, v := range []partOutcome{{part: plain, outcome: refused}, {part: dead, outcome: blocked}} {
		d.ix.retriesLog, d.ix.refusedLog = sampler{}, sampler{}
		for range 2 * reportBurst {
			d.ix.report([]partOutcome{{part: p, outcome: busy}}, 429, nil)
		}
		log.Reset()
		if d.ix.report([]partOutcome{v}, 200, nil); log.String() == "" {
			t.Error("lines about retries suppress those about refusals")
		}
		if d.ix.report([]partOutcome{{part: p, outcome: busy}}, 429, nil); strings.Count(log.String(), "\n") != 1 {
			t.Error("too many lines")
		}
	}
}

// Repeated lines of the same error are limited.
func TestSampledErrors(t *testing.T) {
	var log localtest.Buffer
	var s sampler
	for range 10 * reportBurst {
		s.error(zerolog.New(&log), io.EOF, "it failed")
	}
	if n := strings.Count(log.String(), "it failed"); n != reportBurst {
		t.Errorf("%d lines", n)
	}
}
