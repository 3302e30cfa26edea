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

// Errors of AWS: code, text and remedy.

// code returns the code of an AWS error, or "" if AWS did not answer.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// awsErrorText returns the text of an AWS error without the operation and without request ids.
func awsErrorText(err error) string {
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
	case errors.As(err, &answer) && answer.HTTPStatusCode() != 0: // a proxy's response, such as an HTML page
		return fmt.Sprintf("the response is %d %s, not one from AWS", answer.HTTPStatusCode(), http.StatusText(answer.HTTPStatusCode()))
	}
	return err.Error()
}

// allowRemedy returns the remedy for denied actions.
func allowRemedy(actions string) string {
	return "grant " + actions + " to the task role (see TaskRole in deploy/logsluice.yaml)"
}

// remedyOf returns the remedy for a failed call to AWS. actions are the permissions it needs.
func remedyOf(err error, actions string) string {
	switch {
	case consumer.IsDenied(err):
		return allowRemedy(actions)
	case code(err) == "":
		return "AWS cannot be reached from here: check the route (NAT gateway or VPC endpoints), the security group and AWS_ENDPOINT_URL"
	}
	return "try again; if it persists, see the AWS Health Dashboard"
}
