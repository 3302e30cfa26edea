package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

func TestAWSErrorText(t *testing.T) {
	t.Parallel()
	f := func(err error, found, remedy string) {
		t.Helper()
		err = fmt.Errorf("wrapped: %w", err)
		if got := awsErrorText(err); got != found {
			t.Errorf("%q, want %q", got, found)
		}
		if got := remedyOf(err, "x:Y"); !strings.HasPrefix(got, remedy) {
			t.Errorf("%v: %q, want %q", err, got, remedy)
		}
	}
	answer := func(status int, err error) error {
		return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err}
	}
	api := func(code, message string) error { return &smithy.GenericAPIError{Code: code, Message: message} }
	f(api("AccessDenied", "no"), "AccessDenied: no", "grant x:Y to the task role")
	f(answer(400, api("AccessDeniedException", "")), "AccessDeniedException", "grant x:Y to the task role")
	f(answer(400, api("LimitExceededException", "no")), "LimitExceededException: no", lookAtAWS)
	f(context.DeadlineExceeded, "no answer in time", noRoute)
	f(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, "dial tcp: connection refused", noRoute)
	f(answer(502, errors.New("invalid character '<'")), "the response is 502 Bad Gateway, not one from AWS", noRoute)
	f(answer(0, errors.New("no answer")), "wrapped: "+answer(0, errors.New("no answer")).Error(), noRoute)
	f(errors.New("other"), "wrapped: other", noRoute)
}
