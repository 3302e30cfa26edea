package statelog

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
)

func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Changes
		failed := func(kind string, want bool) {
			t.Helper()
			if got := c.Failed(kind); got != want {
				t.Errorf("%s: %t", kind, got)
			}
		}
		worked := func(want bool) {
			t.Helper()
			if got := c.Worked(); got != want {
				t.Errorf("worked: %t", got)
			}
		}
		worked(false)
		failed("a", true)
		failed("a", false)
		failed("b", true)
		failed("a", true)
		time.Sleep(RepeatAfter - time.Second)
		failed("a", false)
		time.Sleep(time.Second)
		failed("a", true)
		failed("a", false)
		worked(true)
		worked(false)
		failed("a", false) // it is intermittent
		worked(false)
		failed("b", true)
		worked(true)
		time.Sleep(quietFor)
		failed("b", true)
	})
}

func TestKind(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for want, err := range map[string]error{
		"connection refused":    fmt.Errorf("describe: %w", refused),
		"AccessDeniedException": fmt.Errorf("describe: %w", &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "No."}),
		"other":                 errors.New("other"),
	} {
		if got := Kind(err); got != want {
			t.Errorf("%v: %q", err, got)
		}
	}
}
