package opensearch

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Requests have the configured credentials, also over TLS with a custom authority.
func TestClientCredentials(t *testing.T) {
	var got http.Header
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() })
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(name string, cfg ClientConfig, want ...string) {
		t.Helper()
		got = nil
		client, err := NewClient(cfg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		defer client.Close()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "/_bulk", strings.NewReader("{}\n"))
		resp, err := client.Stream(req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		resp.Body.Close()
		for _, w := range want {
			if authorization := got.Get("Authorization"); !strings.Contains(authorization, w) {
				t.Errorf("%s: Authorization %q", name, authorization)
			}
		}
		if len(want) == 0 && got.Get("Authorization") != "" {
			t.Errorf("%s: Authorization %q", name, got.Get("Authorization"))
		}
	}
	aws := aws.Config{Region: "ap-northeast-1", Credentials: credentials.NewStaticCredentialsProvider("KEY", "SECRET", "")}
	f("none", ClientConfig{URL: plain.URL})
	f("basic", ClientConfig{URL: plain.URL, Username: "user", Password: "word"}, "Basic dXNlcjp3b3Jk")
	f("basic in the URL", ClientConfig{URL: strings.Replace(plain.URL, "//", "//user:word@", 1)}, "Basic dXNlcjp3b3Jk")
	f("es", ClientConfig{URL: plain.URL, SigningService: "es", AWS: aws}, "AWS4-HMAC-SHA256 Credential=KEY/", "/ap-northeast-1/es/aws4_request")
	f("aoss", ClientConfig{URL: plain.URL, SigningService: "aoss", AWS: aws}, "/ap-northeast-1/aoss/aws4_request")
	f("custom authority", ClientConfig{URL: secure.URL, CAFile: ca})

	client, err := NewClient(ClientConfig{URL: secure.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if resp, err := client.Stream(req); err == nil {
		resp.Body.Close()
		t.Error("an unknown authority was trusted")
	}
}

// A changed password in its file takes effect with the next request. While the file
// cannot be read, requests fail with an error that contains its name.
func TestClientPasswordFile(t *testing.T) {
	var user, password string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { user, password, _ = r.BasicAuth() }))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "password")
	cfg := ClientConfig{URL: server.URL, Username: "user", PasswordFile: file}
	if _, err := NewClient(cfg); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a missing file: %v", err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	client, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	send := func() error {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		resp, err := client.Stream(req)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	f := func(text, want string) {
		t.Helper()
		write(text)
		if err := send(); err != nil || user != "user" || password != want {
			t.Errorf("%q: %q %q, %v", text, user, password, err)
		}
	}
	f("first\n", "first")
	f("second", "second")
	f(" third \r\n", " third ")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := send(); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("the file is gone: %v", err)
	}
	f("fourth", "fourth")
}

// Expired credentials are replaced without a new client.
func TestClientCredentialsRotate(t *testing.T) {
	var authorization, hash string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		authorization, hash = r.Header.Get("Authorization"), r.Header.Get("X-Amz-Content-Sha256")
	}))
	t.Cleanup(server.Close)
	n := 0
	provider := aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		n++
		return aws.Credentials{AccessKeyID: fmt.Sprintf("KEY%d", n), SecretAccessKey: "x", CanExpire: true, Expires: time.Now().Add(500 * time.Millisecond)}, nil
	}))
	client, err := NewClient(ClientConfig{URL: server.URL, SigningService: "aoss", AWS: aws.Config{Region: "us-east-1", Credentials: provider}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	f := func(key string) {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "/_bulk", strings.NewReader("{}\n"))
		resp, err := client.Stream(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if !strings.Contains(authorization, "Credential="+key+"/") || len(hash) != 64 {
			t.Errorf("want %s: %q, hash %q", key, authorization, hash)
		}
	}
	f("KEY1")
	time.Sleep(600 * time.Millisecond)
	f("KEY2")
}

func TestNewClient_Failure(t *testing.T) {
	f := func(cfg ClientConfig) {
		t.Helper()
		if client, err := NewClient(cfg); err == nil {
			client.Close()
			t.Errorf("no error for %+v", cfg)
		}
	}
	f(ClientConfig{})
	f(ClientConfig{URL: "ftp://search.example.com"})
	f(ClientConfig{URL: "https://search.example.com", CAFile: "missing.pem"})
}
