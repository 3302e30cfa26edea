// Package statelog decides when a lasting state or a repeated warning is logged.
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
	// quietFor is the time for which a recurring state is not logged, because some calls may
	// succeed while others fail.
	quietFor = time.Minute
)

// Changes tracks the state of one service. The zero value is a working service.
type Changes struct {
	mu      sync.Mutex
	failing string // kind of the current error, "" while the service works
	logged  string // the kind that was last logged
	at      time.Time
	open    bool // the end of the error is not logged yet
}

// Failed records an error of the service and reports whether to log it. Errors of the same
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

// Worked records that the service works. It reports whether to log that, because an error
// was logged before.
func (c *Changes) Worked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	open := c.open
	c.failing, c.open = "", false
	return open
}

// Kind returns the kind of an error: the error code of AWS, or otherwise the text of the
// innermost cause.
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
