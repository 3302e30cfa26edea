package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/smithy-go"
)

func TestRemedy(t *testing.T) {
	access := Access{URL: "https://host", Setting: "OPENSEARCH_URL (--opensearch-url)"}
	for want, err := range map[string]error{
		"see that it runs":           fmt.Errorf("read: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}),
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

func TestRemedyOfAWS(t *testing.T) {
	for want, err := range map[string]error{
		"AWS cannot be reached from here":     &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
		"allow the worker what the task role": &smithy.GenericAPIError{Code: "AccessDeniedException"},
		"check this machine's clock":          &smithy.GenericAPIError{Code: "ExpiredTokenException"},
	} {
		if got := RemedyOfAWS(err); !strings.Contains(got, want) {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
	for _, err := range []error{nil, errors.New("other"), &smithy.GenericAPIError{Code: "InternalFailure"}} {
		if got := RemedyOfAWS(err); got != "" {
			t.Errorf("%v: %q", err, got)
		}
	}
}

// A password by plain http to another machine is told.
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
