package cli

import (
	"fmt"
	"math"
	"strings"
	"time"

	"logsluice/internal/timetext"

	"github.com/dustin/go-humanize"
)

// The summary that run logs on a terminal, as one sentence.

// steadyGauges are in each summary, although they have no series while nothing is read or no
// document waits.
var steadyGauges = []string{"lag_seconds", "oldest_document_seconds"}

// summarySentence returns the summary of a period as text: the work done, how far reading has
// come, and all counts of problems that are not zero.
func summarySentence(period time.Duration, values map[string]float64) string {
	number := func(name string) string { return humanize.Comma(int64(math.Round(values[name]))) }
	seconds := func(name string) string { return roundedSeconds(values[name]) }
	parts := []string{fmt.Sprintf("%s: %s documents indexed of %s events in %s records", timetext.Format(period), number("documents_indexed"), number("events"), number("records"))}
	if values["put_to_acknowledged_seconds_count"] > 0 {
		parts[0] += fmt.Sprintf(", %s after Kinesis (99%%: %s)", seconds("put_to_acknowledged_seconds_p50"), seconds("put_to_acknowledged_seconds_p99"))
	}
	if _, found := values["lag_seconds"]; found {
		parts = append(parts, "lag "+seconds("lag_seconds"))
	}
	parts = append(parts, fmt.Sprintf("holding %s of %s shards", number("leases"), number("shards")))
	for _, trouble := range []struct{ name, words string }{
		{"shards_unread", "%s shards unread"},
		{"shards_paused", "%s shards paused"},
		{"gaps", "%s gaps"},
		{"documents_rejected", "%s documents rejected"},
		{"documents_conflicting", "%s documents conflicting"},
		{"documents_plain", "%s documents without fields"},
		{"dead_letters", "%s dead letters"},
		{"documents_retried", "%s documents retried"},
		{"bulk_requests_failed", "%s bulk requests failed"},
		{"indices_waited_for", "waiting for %s indices"},
		{"indices_given_up", "%s indices given up"},
	} {
		if values[trouble.name] > 0 {
			parts = append(parts, fmt.Sprintf(trouble.words, number(trouble.name)))
		}
	}
	if values["oldest_document_seconds"] >= 1 {
		parts = append(parts, "oldest document waits for "+seconds("oldest_document_seconds"))
	}
	return strings.Join(parts, "; ")
}

// roundedSeconds formats a number of seconds with about two significant digits.
func roundedSeconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
