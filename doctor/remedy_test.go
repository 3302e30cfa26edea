package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"logsluice/opensearch"
)

func TestRemedy(t *testing.T) {
	t.Parallel()
	access := Access{URL: "https://host", Setting: "OPENSEARCH_URL (--opensearch-url)"}
	for want, err := range map[string]error{
		"check that it is running":               fmt.Errorf("read: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}),
		"set OPENSEARCH_CA_FILE":                 fmt.Errorf("read: %w", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}),
		"use http:// in":                         errors.New("http: server gave HTTP response to HTTPS client"),
		"the name of a domain in a VPC resolves": &net.DNSError{Name: "host", Err: "no such host"},
	} {
		if got := access.Remedy(err); !strings.Contains(got, want) {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
	if got := access.Remedy(errors.New("other")); got != "" {
		t.Errorf("another error: %q", got)
	}
}

func TestExplainAWS(t *testing.T) {
	t.Parallel()
	f := func(found, remedy string, err error) {
		t.Helper()
		gotFound, gotRemedy := ExplainAWS(&smithy.OperationError{ServiceID: "Kinesis", OperationName: "ListShards", Err: err})
		if gotFound != "Kinesis ListShards: "+found || (gotRemedy == "") != (remedy == "") || !strings.Contains(gotRemedy, remedy) {
			t.Errorf("%v: %q, %q, want %q, %q", err, gotFound, gotRemedy, found, remedy)
		}
	}
	answer := func(status int, err error) error {
		return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err}
	}
	f("dial: connection refused", "AWS cannot be reached from here", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
	f("AccessDeniedException: No", "grant kinesis:ListShards to the task role", &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "No"})
	f("ExpiredTokenException", "check this machine's clock", &smithy.GenericAPIError{Code: "ExpiredTokenException"})
	f("ThrottlingException", "usually temporary", &smithy.GenericAPIError{Code: "ThrottlingException"})
	f("InternalFailure", "AWS Health Dashboard", answer(http.StatusInternalServerError, &smithy.GenericAPIError{Code: "InternalFailure"}))
	f("the response is 502 Bad Gateway, not one from AWS", "AWS_ENDPOINT_URL", answer(http.StatusBadGateway, errors.New("invalid character '<'")))
	f("ValidationException", "", &smithy.GenericAPIError{Code: "ValidationException"})
	f("ValidationException", "", answer(http.StatusBadRequest, &smithy.GenericAPIError{Code: "ValidationException"}))
	f("ThrottlingException", "usually temporary", &smithyhttp.ResponseError{Err: &smithy.GenericAPIError{Code: "ThrottlingException"}})
	f("operation error Kinesis: ListShards, other", "", errors.New("other"))
	if found, remedy := ExplainAWS(errors.New("other")); found != "other" || remedy != "" {
		t.Errorf("%q, %q", found, remedy)
	}
}

// A password that is sent to another machine by plain HTTP is reported.
func TestExposed(t *testing.T) {
	f := func(url string, hasPassword bool, want string) {
		t.Helper()
		access := Access{URL: url, Setting: "DASHBOARDS_URL (--dashboards-url)", HasPassword: hasPassword}
		found, remedy := access.Exposed()
		if found != want || (found != "") != (remedy == "use https:// in DASHBOARDS_URL (--dashboards-url)") {
			t.Errorf("%s: %q, %q", url, found, remedy)
		}
	}
	f("http://dashboards.example.com", true, "the password is sent unencrypted to http://dashboards.example.com")
	f("http://10.0.0.1:5601", true, "the password is sent unencrypted to http://10.0.0.1:5601")
	f("https://dashboards.example.com", true, "")
	f("http://dashboards.example.com", false, "")
	f("http://localhost:9200", true, "")
	f("http://127.0.0.1:9200", true, "")
	f("", true, "")
}

// The error of a request that no OpenSearch answered is explained as in a finding. Otherwise
// it is OpenSearch's own error.
func TestAccess(t *testing.T) {
	t.Parallel()
	const search, dashboards = "OPENSEARCH_URL (--opensearch-url)", "DASHBOARDS_URL (--dashboards-url)"
	f := func(setting string, err error, found, remedy string) {
		t.Helper()
		err = fmt.Errorf("ask: %w", err)
		access := Access{URL: "http://localhost:1", Setting: setting}
		if got := access.Found(err); got != found {
			t.Errorf("found %q, want %q", got, found)
		}
		if got := access.Remedy(err); !strings.HasPrefix(got, remedy) || (got == "") != (remedy == "") {
			t.Errorf("%v: %q, want %q", err, got, remedy)
		}
	}
	syntax := func(text string) error { return json.Unmarshal([]byte(text), new(any)) }
	f(search, opensearch.ErrNoPolicies, "ask: "+opensearch.ErrNoPolicies.Error(), "install its plugin opensearch-index-management, or use --skip=policy")
	f(search, opensearch.ErrOtherServer, "the server at http://localhost:1 is not OpenSearch", "correct "+search)
	f(search, syntax("<html>"), "the server at http://localhost:1 is not OpenSearch", "correct "+search)
	f(dashboards, syntax("<html>"), "the server at http://localhost:1 is not OpenSearch Dashboards", "correct "+dashboards)
	f(search, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, "http://localhost:1 cannot be connected to (TCP): dial tcp: connection refused", "check that it is running")
	f(search, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}, "http://localhost:1 closes the connection without an answer: read tcp: connection reset by peer", "use https:// in "+search)
	f(search, context.DeadlineExceeded, "http://localhost:1 accepts connections but does not answer in time", "check its load")
	f(search, &tls.CertificateVerificationError{Err: errors.New("expired")}, "TLS: the certificate of http://localhost:1 is not valid: expired", "renew the certificate")
	f(search, tls.RecordHeaderError{Msg: "no TLS"}, "TLS: http://localhost:1 does not use TLS", "use http:// in "+search)
	f(search, errors.New("other"), "ask: other", "")

	answers := func(status int, body, remedy string) {
		t.Helper()
		err := answerError(status, body)
		f(search, err, "ask: "+err.Error(), remedy)
	}
	answers(401, "no", giveUser)
	answers(403, forbidden[len("403 "):], giveRole)
	answers(400, `{"error":{"type":"illegal_argument_exception","reason":"index template [a] has the same priority as [b]"}}`, "delete that template, narrow its index_patterns")
	answers(404, "no", correctSearch)
	answers(405, "no", correctSearch)
	answers(301, "no", correctSearch)
	answers(399, "no", correctSearch)
	answers(400, `{"error":"no handler found for uri [/api/status] and method [GET]"}`, correctSearch)
	answers(500, "no", "check the domain's health; run retries until it answers")
	answers(503, "", "check the domain's health; run retries until it answers")
	answers(502, "http: server gave HTTP response to HTTPS client", "check the domain's health; run retries until it answers")
	answers(300, "no", correctSearch)
	answers(299, "no", "")
	answers(400, "no", "")
	answers(499, "no", "")
}
