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

// Access is how OpenSearch or Dashboards is asked, as far as remedies depend on it.
type Access struct {
	// URL has no credentials. Setting names the variable and the flag that have it.
	URL, Setting string
	// SigningService is that of opensearch.ClientConfig.
	SigningService string
	// HasPassword is set if requests have a password, by basic authentication.
	HasPassword bool
}

// Exposed returns what is found, and the remedy, where a password can be read on its way,
// otherwise "".
func (a Access) Exposed() (found, remedy string) {
	address, err := opensearch.ParseAddress(a.URL)
	if err != nil || !a.HasPassword || !address.IsInClear() {
		return "", ""
	}
	return "the password is sent unencrypted to " + a.URL, "give " + a.Setting + " an https:// address"
}

// Remedy returns what to do about the error of a request, "" if nothing is known.
func (a Access) Remedy(err error) string {
	var answer *opensearch.AnswerError
	switch {
	case errors.Is(err, opensearch.ErrNoPolicies):
		return "install its plugin opensearch-index-management, or give --skip=policy and have old indices deleted otherwise"
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

// Found returns what the error of a request says, in the words of a finding where the server
// has not answered as OpenSearch does.
func (a Access) Found(err error) string {
	switch {
	case errors.Is(err, opensearch.ErrOtherServer), errors.As(err, new(*json.SyntaxError)):
		return "what answers at " + a.URL + " is not " + a.server()
	case errors.As(err, new(*opensearch.AnswerError)):
		return err.Error()
	case hasNoAnswer(err):
		found, _ := a.unreachable(err, stageOf(err))
		return found
	}
	return err.Error()
}

// server is what is to answer.
func (a Access) server() string {
	if strings.HasPrefix(a.Setting, "DASHBOARDS_URL") {
		return "OpenSearch Dashboards"
	}
	return "OpenSearch"
}

func (a Access) remedyOfAnswer(err error, status int) string {
	switch {
	case isRefused(status):
		return a.prove(err, status)
	case strings.Contains(err.Error(), "same priority"):
		return "delete that template, narrow its index_patterns or give it another priority"
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status >= 300 && status < 400,
		strings.Contains(err.Error(), "no handler found for uri"): // OpenSearch in place of Dashboards
		return "correct " + a.Setting
	case status >= http.StatusInternalServerError:
		return "check the domain's health; run retries until it answers"
	}
	return ""
}

// hasNoAnswer reports whether a request had no answer.
func hasNoAnswer(err error) bool {
	var unreachable net.Error
	return errors.As(err, &unreachable) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(tls.RecordHeaderError)) ||
		strings.Contains(err.Error(), "HTTP response to HTTPS")
}

// stageOf is how far a request came that was not followed.
func stageOf(err error) stage {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return connecting
	}
	return asking
}

// ExplainAWS returns what the error of a call to Kinesis or DynamoDB says, with the call and
// without ids, and what to do about it, "" if nothing is known.
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
	found = call.Service() + " " + call.Operation() + ": " + said(err)
	switch {
	case consumer.AreCredentialsRefused(err):
		return found, RenewIdentity + ", and check this machine's clock"
	case consumer.IsDenied(err):
		return found, fmt.Sprintf("grant %s:%s to the task role (see TaskRole in deploy/logsluice.yaml)", strings.ToLower(call.Service()), call.Operation())
	case code(err) == "" && (status != 0 || hasNoAnswer(err)):
		return found, remedyOf(err, "")
	case isThrottled:
		return found, "it passes by itself; if it lasts, see which other programs use the account's limit, and have it raised"
	case status >= http.StatusInternalServerError:
		return found, "it passes by itself; if it lasts, see AWS's service health"
	}
	return found, ""
}
