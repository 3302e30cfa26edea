package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"logsluice/local/localtest"
)

// No command prints a secret, even if OpenSearch or AWS quotes it in a response.
func TestNoSecretsInOutput(t *testing.T) {
	const inURL, inVariable, inFile = "p@ss/w:rd-inURL", "w0rd-inVariable", "w0rd-inFile"
	const key, token = "secret-access-key", "IQoJb3JpZ2luX2VjEPLANTED"
	secrets := []string{inURL, url.PathEscape(inURL), "ss/w:rd-inURL", inVariable, inFile, key, token}
	for _, word := range []string{inURL, inVariable, inFile} {
		secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte("user:"+word)))
	}

	// Like AWS's response to a request whose signature does not match.
	quote := func(r *http.Request) string {
		return "\x1b[31mThe request signature we calculated does not match. The Canonical String for this request should have been 'GET\n/\n\nhost:" +
			r.Host + "\nx-amz-date:20260131T000000Z\nx-amz-security-token:" + r.Header.Get("X-Amz-Security-Token") + "'"
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if target := r.Header.Get("X-Amz-Target"); target != "" || r.Header.Get("X-Amz-Date") != "" && !strings.Contains(r.Header.Get("Authorization"), "/es/") {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.Header().Set("X-Amzn-Errortype", "InvalidSignatureException")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"__type": "InvalidSignatureException", "message": quote(r)})
			return
		}
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"message":"%s"}`, strings.ReplaceAll(quote(r), "\n", `\n`))
	}))
	t.Cleanup(server.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(inFile), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(lines, []byte("user\n"+inFile+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	withUser := func(address string) string { return strings.Replace(address, "://", "://user:"+inURL+"@", 1) }
	common := map[string]string{
		"STREAM_NAME": "logs", "APPLICATION_NAME": "app", "INDEX_PREFIX": "logs", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": server.URL,
		"AWS_ACCESS_KEY_ID": "AKIAPLANTED", "AWS_SECRET_ACCESS_KEY": key, "AWS_SESSION_TOKEN": token, "AWS_CONFIG_FILE": os.DevNull,
		"METRICS_ADDRESS": strings.TrimPrefix(gone.URL, "http://"), "DASHBOARDS_URL": withUser(server.URL) + "/_dashboards",
		"DEAD_LETTER_URL": "s3://bucket/prefix/", "ARCHIVE_URL": "s3://bucket/archive/",
	}
	credentials := map[string]map[string]string{
		"in the URL":      {"OPENSEARCH_URL": withUser(server.URL)},
		"not reachable":   {"OPENSEARCH_URL": withUser(gone.URL)},
		"with a bad port": {"OPENSEARCH_URL": withUser("http://host:0")},
		"in a variable":   {"OPENSEARCH_URL": server.URL, "OPENSEARCH_USERNAME": "user", "OPENSEARCH_PASSWORD": inVariable},
		"in a file":       {"OPENSEARCH_URL": server.URL, "OPENSEARCH_USERNAME": "user", "OPENSEARCH_PASSWORD_FILE": file},
		"alone":           {"OPENSEARCH_URL": server.URL, "OPENSEARCH_PASSWORD": inVariable},
		"twice":           {"OPENSEARCH_URL": withUser(server.URL), "OPENSEARCH_USERNAME": "user", "OPENSEARCH_PASSWORD": inVariable},
		"signed":          {"OPENSEARCH_URL": server.URL, "OPENSEARCH_SIGV4": "es"},
		"in the user":     {"OPENSEARCH_URL": server.URL, "OPENSEARCH_USERNAME": "user:" + inVariable},
		"in a query":      {"OPENSEARCH_URL": server.URL + "?password=" + inVariable},
		"in queries":      {"OPENSEARCH_URL": server.URL, "DASHBOARDS_URL": server.URL + "?x=" + inVariable},
		"in JSON":         {"OPENSEARCH_URL": server.URL, "OPENSEARCH_USERNAME": "user", "OPENSEARCH_PASSWORD": `{"password":"` + inVariable + `"}`},
		"in quotes":       {"OPENSEARCH_URL": server.URL, "OPENSEARCH_USERNAME": "user", "OPENSEARCH_PASSWORD": `"` + inVariable + `"`},
		"of two lines":    {"OPENSEARCH_URL": server.URL, "OPENSEARCH_USERNAME": "user", "OPENSEARCH_PASSWORD_FILE": lines},
		"with a newline":  {"OPENSEARCH_URL": server.URL, "AWS_SECRET_ACCESS_KEY": key + "\n", "AWS_SESSION_TOKEN": token + " "},
	}
	for _, args := range [][]string{
		{"run"}, {"run", "--log-level=trace"}, {"run", "--help"}, {"run", "--bulk-bytes=x"}, {"doctor"}, {"doctor", "--output=json"},
		{"setup"}, {"setup", "--output=json"}, {"setup", "--dry-run"}, {"setup", "--existing"}, {"leases"}, {"leases", "--output=json"}, {"leases", "--lag"},
		{"leases", "reset", "--to=latest", "--yes"}, {"healthcheck"}, {"healthcheck", "--ready"}, {"decode", "-"}, {"decode", file},
		{"assets", "ism"}, {"assets", "template"}, {"assets", "schema"}, {"assets", "fields"}, {"assets", "dashboards"}, {"version"}, {"help"}, {},
		{"run", "OPENSEARCH_PASSWORD=" + inVariable}, {"OPENSEARCH_PASSWORD=" + inVariable, "run"}, {"run", "https://user:" + inURL + "@host"}, {"run", "--opensearch-username", "user", inVariable},
		{"run", "--bulk-gzip", inVariable}, {"--help=" + inVariable}, {"run", "--opensearch-passwd=" + inVariable}, {"leases", "word=" + inVariable}, {"decode", "-", "--index-prefix=x", inVariable}, {"run", "--constant-fields", "a=b", "c=" + inVariable},
	} {
		for name, variables := range credentials {
			t.Run(fmt.Sprint(args, " ", name), func(t *testing.T) {
				for variable, value := range common {
					t.Setenv(variable, value)
				}
				for variable, value := range variables {
					t.Setenv(variable, value)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var out localtest.Buffer
				Main(ctx, "", args, bytes.NewReader(nil), &out, &out)
				if ctx.Err() != nil {
					t.Errorf("still running after a minute: %s", out.String())
				}
				for _, secret := range secrets {
					if strings.Contains(out.String(), secret) {
						t.Errorf("%q is in the output: %s", secret, out.String())
					}
				}
				if strings.Contains(out.String(), "\x1b") {
					t.Errorf("a control character is in the output: %q", out.String())
				}
			})
		}
	}
}

// Each address to which a password is sent unencrypted is one warning.
func TestPasswordInClear(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	exposed := strings.Replace(server.URL, "127.0.0.1", "0.0.0.0", 1) // not a loopback address, but reachable
	f := func(name, address, dashboards string, want ...string) {
		t.Helper()
		env := map[string]string{
			"OPENSEARCH_URL": address, "DASHBOARDS_URL": dashboards, "OPENSEARCH_USERNAME": "user", "OPENSEARCH_PASSWORD": "word",
			"STREAM_NAME": "logs", "APPLICATION_NAME": "app", "INDEX_PREFIX": "logs", "AWS_REGION": "us-east-1",
			"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_CONFIG_FILE": os.DevNull,
		}
		_, out, errOut := command(t, env, nil, name)
		if n := strings.Count(out+errOut, "unencrypted"); n != len(want) {
			t.Errorf("%s, %s, %s: %d warnings: %s%s", name, address, dashboards, n, out, errOut)
		}
		for _, w := range want {
			if !strings.Contains(out+errOut, "the password is sent unencrypted to "+w) {
				t.Errorf("%s: no warning about %s: %s%s", name, w, out, errOut)
			}
		}
	}
	for _, each := range []string{"run", "setup", "doctor"} {
		f(each, exposed, "", exposed)
		f(each, server.URL, "")
	}
	f("setup", server.URL, exposed+"/_dashboards", exposed+"/_dashboards")
	f("setup", exposed, exposed, exposed, exposed)
	f("doctor", exposed, exposed+"/_dashboards", exposed, exposed+"/_dashboards")
}
