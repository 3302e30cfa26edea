package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"logsluice/internal/safetext"
)

// State is how a link of the chain is.
type State string

// States of a link.
const (
	// OK needs nothing to be done.
	OK State = "ok"
	// Warning is worth a look; logs flow, or may.
	Warning State = "warning"
	// Broken keeps logs from flowing, or is not what the settings say.
	Broken State = "broken"
	// Skipped was not looked at: it is not set, or cannot be as another link is broken.
	Skipped State = "skipped"
)

// Finding is what was found of a link.
type Finding struct {
	// Link is its name.
	Link  string `json:"link"`
	State State  `json:"state"`
	// Found is one line, and Remedy another, which says what to do; "" for nothing.
	Found  string `json:"found"`
	Remedy string `json:"remedy,omitempty"`

	remedies []string // that Remedy is made of
	blocks   bool     // what needs this link cannot be looked at
}

// note adds to what was found.
func (f *Finding) note(format string, args ...any) {
	f.Found = joined(f.Found, fmt.Sprintf(format, args...))
}

func (f *Finding) warn(remedy, format string, args ...any) {
	if f.State != Broken {
		f.State = Warning
	}
	f.tell(remedy, format, args...)
}

func (f *Finding) fail(remedy, format string, args ...any) {
	f.State = Broken
	f.tell(remedy, format, args...)
}

func (f *Finding) skip(format string, args ...any) {
	f.State, f.blocks = Skipped, true
	f.note(format, args...)
}

func (f *Finding) tell(remedy, format string, args ...any) {
	f.note(format, args...)
	if !strings.Contains(f.Remedy, remedy) {
		f.Remedy = joined(f.Remedy, remedy)
		f.remedies = append(f.remedies, joined("", remedy))
	}
}

// Remedies returns the parts of Remedy: one for each thing to do, on one line.
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

// callTimeout bounds one call, its retries among it.
const callTimeout = 5 * time.Second

// bounded makes a call that cannot hang.
func bounded(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return call(ctx)
}

// pause keeps calls apart. It is over at once, and false, if the walk is interrupted.
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

// link is a part of the chain.
type link struct {
	name string
	// unset is why it is not looked at, "" if it is.
	unset string
	// needs are links without which this one cannot be looked at.
	needs []string
	// after are links that it knows more by, if they are not broken.
	after []string
	check func(context.Context, *Finding)
}

// follow looks at all links, those that do not wait for each other at once, and
// returns what was found in the order of the links.
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
