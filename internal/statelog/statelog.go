// Package statelog decides when a state that lasts is logged.
package statelog

import (
	"errors"
	"sync"
	"time"

	"github.com/aws/smithy-go"
)

// RepeatAfter is the time after which a state that has not changed is logged again.
const RepeatAfter = 5 * time.Minute

// Changes follows the state of one service. The zero value is of one that works.
type Changes struct {
	mu    sync.Mutex
	state string // "" while it works
	at    time.Time
}

// Failed notes an error of the service, and reports whether to log it: errors of the same
// kind are one state.
func (c *Changes) Failed(kind string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kind == c.state && time.Since(c.at) < RepeatAfter {
		return false
	}
	c.state, c.at = kind, time.Now()
	return true
}

// Worked notes that the service works, and reports whether it did not before.
func (c *Changes) Worked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	failed := c.state != ""
	c.state = ""
	return failed
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
