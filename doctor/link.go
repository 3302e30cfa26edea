package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"logsluice/internal/safetext"
)

// State is the state of a link of the chain.
type State string

// States of a link.
const (
	// OK means that nothing needs to be done.
	OK State = "ok"
	// Warning means that a person should look at the link, but logs can flow.
	Warning State = "warning"
	// Broken means that logs cannot flow, or that the link contradicts the settings.
	Broken State = "broken"
	// Skipped means that the link was not checked, because it is not configured or because
	// another link is broken.
	Skipped State = "skipped"
)

// Finding is the result for a link.
type Finding struct {
	// Link is the name of the link.
	Link  string `json:"link"`
	State State  `json:"state"`
	// Found and Remedy are one line each. Remedy is "" if nothing needs to be done.
	Found  string `json:"found"`
	Remedy string `json:"remedy,omitempty"`

	remedies []string // the parts of Remedy
	blocks   bool     // links that need this one cannot be checked
}

// note adds a text to Found.
func (f *Finding) note(format string, args ...any) {
	f.Found = joined(f.Found, fmt.Sprintf(format, args...))
}

func (f *Finding) warn(remedy, format string, args ...any) {
	if f.State != Broken {
		f.State = Warning
	}
	f.add(remedy, format, args...)
}

func (f *Finding) fail(remedy, format string, args ...any) {
	f.State = Broken
	f.add(remedy, format, args...)
}

func (f *Finding) skip(format string, args ...any) {
	f.State, f.blocks = Skipped, true
	f.note(format, args...)
}

func (f *Finding) add(remedy, format string, args ...any) {
	f.note(format, args...)
	if !strings.Contains(f.Remedy, remedy) {
		f.Remedy = joined(f.Remedy, remedy)
		f.remedies = append(f.remedies, joined("", remedy))
	}
}

// Remedies returns the parts of Remedy: one line for each thing to do.
func (f *Finding) Remedies() []string { return f.remedies }

// joined appends a text to another, on one line and without control characters.
func joined(text, more string) string {
	more = safetext.Escape(more)
	more = strings.TrimSuffix(strings.Join(strings.Fields(more), " "), ";") // one line
	if text == "" {
		return more
	}
	return text + "; " + more
}

// callTimeout bounds one call with its retries.
const callTimeout = 5 * time.Second

// bounded runs call with callTimeout.
func bounded(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return call(ctx)
}

// pause waits for d, or until ctx ends. It reports whether it waited for all of d.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// link is a link of the chain.
type link struct {
	name string
	// unset is the reason why the link is not checked, or "".
	unset string
	// needs are the links without which this one cannot be checked.
	needs []string
	// after are the links whose results this one uses if they are not broken.
	after []string
	check func(context.Context, *Finding)
}

// follow checks all links concurrently, as far as they do not wait for each other, and returns
// the findings in the order of the links.
func follow(ctx context.Context, links []link) []Finding {
	findings, done, index := make([]Finding, len(links)), make([]chan struct{}, len(links)), map[string]int{}
	for i, l := range links {
		findings[i], done[i], index[l.name] = Finding{Link: l.name, State: OK}, make(chan struct{}), i
	}
	for i, l := range links {
		go func() {
			defer close(done[i])
			f := &findings[i]
			for _, name := range l.after {
				<-done[index[name]]
			}
			for _, name := range l.needs {
				<-done[index[name]]
				if findings[index[name]].blocks && l.unset == "" {
					l.unset = name + " is broken"
				}
			}
			if l.unset != "" {
				f.skip("%s", l.unset)
				return
			}
			l.check(ctx, f)
		}()
	}
	for _, d := range done {
		<-d
	}
	return findings
}
