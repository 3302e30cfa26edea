package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Errors behind a proxy name the proxy. A process reads the proxy's variables only once, so the
// test runs itself with them.
func TestProxy(t *testing.T) {
	t.Parallel()
	const variable = "HTTPS_PROXY"
	if os.Getenv(variable) == "" {
		self := exec.Command(os.Args[0], "-test.run=^TestProxy$")
		self.Env = append(os.Environ(), variable+"=http://127.0.0.1:1", "NO_PROXY=")
		if out, err := self.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	access := Access{URL: "https://search.example.com", Setting: "OPENSEARCH_URL"}
	found, remedy := access.unreachable(errors.New("Forbidden"), requesting)
	if !strings.Contains(found, "the proxy does not connect to https://search.example.com: Forbidden") || !strings.HasPrefix(remedy, "correct HTTPS_PROXY") {
		t.Errorf("%s: %s", found, remedy)
	}
	access.URL = "https://localhost:9200" // not proxied
	if found, _ := access.unreachable(errors.New("Forbidden"), requesting); strings.Contains(found, "proxy") {
		t.Error(found)
	}
}

// Each stage at which a request can fail has its own remedy.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	const setting = "OPENSEARCH_URL (--opensearch-url)"
	f := func(err error, at stage, found, remedy string) {
		t.Helper()
		gotFound, gotRemedy := Access{URL: "https://localhost:9200", Setting: setting}.unreachable(fmt.Errorf("wrapped: %w", err), at)
		if gotFound != found || !strings.HasPrefix(gotRemedy, remedy) {
			t.Errorf("%v: %q, %q, want %q, %q", err, gotFound, gotRemedy, found, remedy)
		}
	}
	certificate := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	host := x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"other"}}, Host: "localhost"}
	f(certificate(x509.UnknownAuthorityError{}), handshaking, "TLS: the certificate of https://localhost:9200 is signed by an unknown authority", "set OPENSEARCH_CA_FILE")
	f(certificate(host), handshaking, "TLS: the certificate of https://localhost:9200 is for another name: x509: certificate is valid for other, not localhost", "correct "+setting+" to a name that the certificate has")
	f(certificate(errors.New("expired")), handshaking, "TLS: the certificate of https://localhost:9200 is not valid: expired", "renew the certificate")
	f(tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, handshaking, "TLS: https://localhost:9200 does not use TLS", "use http:// in "+setting)
	f(errors.New("http: server gave HTTP response to HTTPS client"), requesting, "TLS: https://localhost:9200 does not use TLS", "use http:// in "+setting)
	f(&net.DNSError{Name: "host", Err: "no such host"}, resolving, "the name host has no address (DNS): no such host", "correct "+setting+"; the name of a domain in a VPC")
	f(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Name: "host", Err: "no such host"}}, connecting, "the name host has no address (DNS): no such host", "correct "+setting+"; the name of a domain in a VPC")
	f(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, connecting, "https://localhost:9200 cannot be connected to (TCP): dial tcp: connection refused", "check that it is running")
	f(context.DeadlineExceeded, connecting, "https://localhost:9200 cannot be connected to (TCP): no answer in time", "check that it is running")
	f(context.DeadlineExceeded, handshaking, "TLS: the handshake with https://localhost:9200 fails: no answer in time", "check that "+setting+" has the TLS port")
	f(context.DeadlineExceeded, requesting, "https://localhost:9200 accepts connections but does not answer in time", "check its load")
	f(io.ErrUnexpectedEOF, requesting, "https://localhost:9200 closes the connection without an answer: unexpected EOF", "use https:// in "+setting+" if the server uses TLS")
	f(context.DeadlineExceeded, resolving, "https://localhost:9200 cannot be reached: no answer in time", "correct "+setting+", and check the network path to it")
}
