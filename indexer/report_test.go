package indexer

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"logsluice/domain"
)

// Lines about bad records are few, and say how many were left out.
func TestSampledLines(t *testing.T) {
	inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
		for period := range 3 {
			for i := range 1000 {
				letter := NewDeadLetter(Record{Source: Source{Shard: "a"}, Occurrence: 1000*period + i}, StageParse, errors.New("bad"), []byte("x"))
				if err := v.Put(t.Context(), letter, 0, func(bool) {}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(reportPeriod)
		}
		if n := v.log.count("record kept as a dead letter"); n != 3*reportBurst {
			t.Errorf("%d lines for 3,000 dead letters in three periods", n)
		}
		if n := v.log.count(fmt.Sprintf(`"lines_left_out":%d`, 1000-reportBurst)); n != 2 {
			t.Errorf("%d lines say how many were left out", n)
		}
	})
}

// Reasons are shared, and what differs in them is left out when there is much of it.
func TestReasonsAreShared(t *testing.T) {
	var r reasons
	cause := func(i int) *domain.Cause {
		return &domain.Cause{Type: "mapper_parsing_exception", Reason: fmt.Sprintf("failed to parse field [took] in document with id '%d' %s", i, strings.Repeat("x", 300))}
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
		t.Errorf("%d bytes of reasons, without what they quote: %v", bytes, without)
	}
	for i := range 100_000 { // that differ before what they quote
		different[r.share(&domain.Cause{Type: "other", Reason: fmt.Sprint(i, strings.Repeat("y", 300))})] = true
	}
	if n := len(different); n > 10_000 {
		t.Errorf("%d different reasons are kept", n)
	}
	if r.share(nil) != nil || r.share(&domain.Cause{Type: "k", Reason: "t", CausedBy: &domain.Cause{Type: "c", Reason: "why"}}).kind != "k" {
		t.Error("of no cause, or of one with a cause")
	}
}
