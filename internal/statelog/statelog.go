// Package statelog decides when a state that lasts, or a warning that repeats, is logged.
package statelog

import (
	"errors"
	"sync"
	"time"

	"github.com/aws/smithy-go"
)

const (
	// RepeatAfter is the time after which a state that has not changed is logged again.
	RepeatAfter = 5 * time.Minute
	// quietFor is the time for which a state that comes back is not logged: some calls
	// succeed while others fail.
	quietFor = time.Minute
)

// Changes follows the state of one service. The zero value is of one that works.
type Changes struct {
	mu      sync.Mutex
	failing string // kind of its errors, "" while it works
	logged  string // the kind that was logged last
	at      time.Time
	open    bool // the line of the end is to come
}

// Failed notes an error of the service, and reports whether to log it: errors of the same
// kind are one state.
func (c *Changes) Failed(kind string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	quiet := RepeatAfter
	if c.failing == "" {
		quiet = quietFor
	}
	c.failing = kind
	if kind == c.logged && time.Since(c.at) < quiet {
		return false
	}
	c.logged, c.at, c.open = kind, time.Now(), true
	return true
}

// Worked notes that the service works, and reports whether to log that, after an error
// that was logged.
func (c *Changes) Worked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	open := c.open
	c.failing, c.open = "", false
	return open
}

// Kind returns what errors of the same kind have in common: the code of an answer of AWS,
// or else the cause at the bottom.
func Kind(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}
