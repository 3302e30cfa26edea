package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
)

// Requests without a response: how far they got, and the remedy.

// stage is how far a request got.
type stage int32

const (
	resolving stage = iota // the host's name
	connecting
	handshaking
	requesting
)

// staged returns a context that stores the stage of its request in at.
func staged(ctx context.Context, at *atomic.Int32) context.Context {
	reach := func(s stage) { at.Store(int32(s)) }
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		ConnectStart:      func(string, string) { reach(connecting) },
		TLSHandshakeStart: func() { reach(handshaking) },
		GotConn:           func(httptrace.GotConnInfo) { reach(requesting) },
	})
}

// unreachable returns why a request had no response, and the remedy.
func (a Access) unreachable(err error, at stage) (found, remedy string) {
	url, setting := a.URL, a.Setting
	var name *net.DNSError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var certificate *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	why := reason(err)
	switch {
	case errors.As(err, &authority):
		return "TLS: the certificate of " + url + " is signed by an unknown authority", "set OPENSEARCH_CA_FILE (--opensearch-ca-file) to the certificate of its authority"
	case errors.As(err, &host):
		return "TLS: the certificate of " + url + " is for another name: " + host.Error(), "correct " + setting + " to a name that the certificate has"
	case errors.As(err, &certificate):
		return "TLS: the certificate of " + url + " is not valid: " + certificate.Err.Error(), "renew the certificate, and check this machine's clock"
	case errors.As(err, &plain), strings.Contains(why, "HTTP response to HTTPS"):
		return "TLS: " + url + " does not use TLS", "use http:// in " + setting
	case a.isProxied():
		return "the proxy does not connect to " + url + ": " + why, "correct HTTPS_PROXY or HTTP_PROXY, or add the host to NO_PROXY"
	case errors.As(err, &name):
		return "the name " + name.Name + " has no address (DNS): " + name.Err, "correct " + setting + "; the name of a domain in a VPC resolves only there"
	case at == connecting:
		return url + " cannot be connected to (TCP): " + why, "check that it is running and that its security group allows this host on that port; correct " + setting
	case at == handshaking:
		return "TLS: the handshake with " + url + " fails: " + why, "check that " + setting + " has the TLS port, and that no proxy is in between"
	case at == requesting && errors.Is(err, context.DeadlineExceeded):
		return url + " accepts connections but does not answer in time", "check its load (CPU, JVM memory), and the proxy or load balancer in front of it"
	case at == requesting:
		return url + " closes the connection without an answer: " + why, "use https:// in " + setting + " if the server uses TLS, and check the proxy or load balancer in front of it"
	}
	return url + " cannot be reached: " + why, "correct " + setting + ", and check the network path to it"
}

// isProxied reports whether requests go through a proxy.
func (a Access) isProxied() bool {
	address, err := url.Parse(a.URL)
	if err != nil {
		return false
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: address}) // as the clients do
	return err == nil && proxy != nil
}

// reason returns the text of the innermost error, which does not repeat the request.
func reason(err error) string {
	var dial *net.OpError
	if errors.As(err, &dial) {
		return dial.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}

// isRefused reports whether a status means that the user is not accepted or not allowed.
func isRefused(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}
