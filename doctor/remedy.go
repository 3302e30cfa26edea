package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"logsluice/consumer"
	"logsluice/opensearch"
)

// Access describes how requests reach OpenSearch or Dashboards, as far as remedies depend on it.
type Access struct {
	// URL has no credentials. Setting names its variable and flag.
	URL, Setting string
	// SigningService is as in opensearch.ClientConfig.
	SigningService string
	// HasPassword is set if requests have a password (basic authentication).
	HasPassword bool
}

// Exposed returns a finding and a remedy if a password is sent unencrypted, or "".
func (a Access) Exposed() (found, remedy string) {
	address, err := opensearch.ParseAddress(a.URL)
	if err != nil || !a.HasPassword || !address.IsUnencrypted() {
		return "", ""
	}
	return "the password is sent unencrypted to " + a.URL, "use https:// in " + a.Setting
}

// Remedy returns the remedy for the error of a request, or "" if none is known.
func (a Access) Remedy(err error) string {
	var answer *opensearch.AnswerError
	switch {
	case errors.Is(err, opensearch.ErrNoPolicies):
		return "install its plugin opensearch-index-management, or use --skip=policy and delete old indices in another way"
	case errors.Is(err, opensearch.ErrOtherServer), errors.As(err, new(*json.SyntaxError)):
		return "correct " + a.Setting
	case errors.As(err, &answer):
		return a.remedyOfAnswer(err, answer.Status)
	case hasNoAnswer(err):
		_, remedy := a.unreachable(err, stageOf(err))
		return remedy
	}
	return ""
}

// Found returns the text of the error of a request. If the server did not answer as OpenSearch
// does, the text describes why.
func (a Access) Found(err error) string {
	switch {
	case errors.Is(err, opensearch.ErrOtherServer), errors.As(err, new(*json.SyntaxError)):
		return "the server at " + a.URL + " is not " + a.server()
	case errors.As(err, new(*opensearch.AnswerError)):
		return err.Error()
	case hasNoAnswer(err):
		found, _ := a.unreachable(err, stageOf(err))
		return found
	}
	return err.Error()
}

// server returns the name of the expected server.
func (a Access) server() string {
	if strings.HasPrefix(a.Setting, "DASHBOARDS_URL") {
		return "OpenSearch Dashboards"
	}
	return "OpenSearch"
}

func (a Access) remedyOfAnswer(err error, status int) string {
	switch {
	case isRefused(status):
		return a.authRemedy(err, status)
	case strings.Contains(err.Error(), "same priority"):
		return "delete that template, narrow its index_patterns or give it another priority"
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status >= 300 && status < 400,
		strings.Contains(err.Error(), "no handler found for uri"): // OpenSearch instead of Dashboards
		return "correct " + a.Setting
	case status >= http.StatusInternalServerError:
		return "check the domain's health; run retries until it answers"
	}
	return ""
}

// hasNoAnswer reports whether a request failed without a response.
func hasNoAnswer(err error) bool {
	var unreachable net.Error
	return errors.As(err, &unreachable) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(tls.RecordHeaderError)) ||
		strings.Contains(err.Error(), "HTTP response to HTTPS")
}

// stageOf returns how far a request got, from its error.
func stageOf(err error) stage {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return connecting
	}
	return requesting
}

// ExplainAWS returns the text of an error of Kinesis or DynamoDB, with the operation and without
// request ids, and the remedy, or "" if none is known.
func ExplainAWS(err error) (found, remedy string) {
	var call *smithy.OperationError
	if !errors.As(err, &call) {
		return err.Error(), ""
	}
	var answer *smithyhttp.ResponseError
	status := 0
	if errors.As(err, &answer) && answer.Response != nil {
		status = answer.HTTPStatusCode()
	}
	_, isThrottled := retry.DefaultThrottleErrorCodes[code(err)]
	found = call.Service() + " " + call.Operation() + ": " + awsErrorText(err)
	switch {
	case consumer.AreCredentialsRefused(err):
		return found, RenewIdentity + ", and check this machine's clock"
	case consumer.IsDenied(err):
		return found, fmt.Sprintf("grant %s:%s to the task role (see TaskRole in deploy/logsluice.yaml)", strings.ToLower(call.Service()), call.Operation())
	case code(err) == "" && (status != 0 || hasNoAnswer(err)):
		return found, remedyOf(err, "")
	case isThrottled:
		return found, "usually temporary; if it lasts, find out which other programs use up the account's quota, and have it raised"
	case status >= http.StatusInternalServerError:
		return found, "usually temporary; if it lasts, see the AWS Health Dashboard"
	}
	return found, ""
}
