package doctor

import (
	"crypto/tls"
	"crypto/x509"
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

func TestRemedy(t *testing.T) {
	access := Access{URL: "https://host", Setting: "OPENSEARCH_URL (--opensearch-url)"}
	for want, err := range map[string]error{
		"check that it is running":   fmt.Errorf("read: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}),
		"set OPENSEARCH_CA_FILE":     fmt.Errorf("read: %w", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}),
		"with http://":               errors.New("http: server gave HTTP response to HTTPS client"),
		"a domain in a VPC is known": &net.DNSError{Name: "host", Err: "no such host"},
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
	f("ThrottlingException", "passes by itself", &smithy.GenericAPIError{Code: "ThrottlingException"})
	f("InternalFailure", "AWS's service health", answer(http.StatusInternalServerError, &smithy.GenericAPIError{Code: "InternalFailure"}))
	f("the answer is 502 Bad Gateway, and not one of AWS", "AWS_ENDPOINT_URL", answer(http.StatusBadGateway, errors.New("invalid character '<'")))
	f("ValidationException", "", &smithy.GenericAPIError{Code: "ValidationException"})
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
		if found != want || (found != "") != (remedy == "give DASHBOARDS_URL (--dashboards-url) an https:// address") {
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
