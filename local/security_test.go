package local

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestOpenSearch_Secured(t *testing.T) {
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
	knowing := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	f := func(client *http.Client, user, password string, want int) {
		t.Helper()
		url := strings.Replace(s.URL, "https://", "https://"+user+":"+password+"@", 1)
		if !answers(t.Context(), client, url, want) {
			t.Errorf("%s with the password %s is not answered with %d", user, password, want)
		}
	}
	f(knowing, Admin, Admin, http.StatusOK)
	f(knowing, Admin, "other", http.StatusUnauthorized)
	f(knowing, "other", Admin, http.StatusUnauthorized)
	if answers(t.Context(), http.DefaultClient, s.URL, http.StatusUnauthorized) {
		t.Error("who does not know the authority trusts the node")
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	f(knowing, Admin, Admin, http.StatusOK)
}

func TestSecured_Failure(t *testing.T) {
	_, err := StartOpenSearch(t.Context(), Options{Secured: true, Version: openSearch2})
	if err == nil || !strings.Contains(err.Error(), openSearch2+" cannot be secured") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}
