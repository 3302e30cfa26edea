package indexer

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Requests prove who sends them as configured, also through TLS with an
// authority of one's own.
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
	f("own authority", ClientConfig{URL: secure.URL, CAFile: ca})

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
