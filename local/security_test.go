package local

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"testing"

	"logsluice/local/localtest"
)

func TestOpenSearch_Secured(t *testing.T) {
	localtest.Long(t) // e2e has tests with secured nodes
	needServers(t)
	t.Setenv("TMPDIR", publicTemp(t))
	s, err := StartOpenSearch(t.Context(), Options{Secured: true, Heap: "256m", FastStart: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	authority, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority)
	trusting := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	f := func(client *http.Client, user, password string, want int) {
		t.Helper()
		url := strings.Replace(s.URL, "https://", "https://"+user+":"+password+"@", 1)
		if !answers(t.Context(), client, url, want) {
			t.Errorf("%s with the password %s: want status %d", user, password, want)
		}
	}
	f(trusting, Admin, Admin, http.StatusOK)
	f(trusting, Admin, "other", http.StatusUnauthorized)
	f(trusting, "other", Admin, http.StatusUnauthorized)
	if answers(t.Context(), http.DefaultClient, s.URL, http.StatusUnauthorized) {
		t.Error("a client without the authority's certificate trusts the node")
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	f(trusting, Admin, Admin, http.StatusOK)
}

func TestSecured_Failure(t *testing.T) {
	_, err := StartOpenSearch(t.Context(), Options{Secured: true, Version: openSearch2})
	if err == nil || !strings.Contains(err.Error(), openSearch2+" cannot be secured") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}
