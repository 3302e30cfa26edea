package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"logsluice/consumer"
)

// Errors of AWS: their code, what is printed of them, and the remedy.

// code is that of an AWS error, "" if AWS did not answer.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// said is an AWS error as AWS says it, without what was being done and without ids.
func said(err error) string {
	var api smithy.APIError
	var dial *net.OpError
	var answer *smithyhttp.ResponseError
	switch {
	case errors.As(err, &api):
		return strings.TrimSuffix(api.ErrorCode()+": "+api.ErrorMessage(), ": ")
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &dial):
		return dial.Error()
	case errors.As(err, &answer) && answer.HTTPStatusCode() != 0: // by a proxy, such as a page in HTML
		return fmt.Sprintf("the answer is %d %s, and not one of AWS", answer.HTTPStatusCode(), http.StatusText(answer.HTTPStatusCode()))
	}
	return err.Error()
}

// allow is the remedy for what is denied.
func allow(actions string) string {
	return "allow " + actions + " to the task role (see TaskRole in deploy/logsluice.yaml)"
}

// remedyOf is what to do about a failed call to AWS. actions are its permission.
func remedyOf(err error, actions string) string {
	switch {
	case consumer.IsDenied(err):
		return allow(actions)
	case code(err) == "":
		return "AWS cannot be reached from here: look at the route (NAT gateway or VPC endpoints), the security group and AWS_ENDPOINT_URL"
	}
	return "try again; if it stays, look at AWS's service health"
}
