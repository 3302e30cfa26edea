package local

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"logsluice/local/localtest"
)

// needServers skips a test that starts its own servers, unless `make test` runs it: `go test
// ./...` must work without Java and Maven.
func needServers(t *testing.T) {
	t.Helper()
	if os.Getenv(localtest.MustNotSkip) == "" && os.Getenv(localtest.OpenSearchURL) == "" {
		localtest.Skip(t, "starts real servers: run `make test`")
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
}

func request(t *testing.T, method, url, body string, wantStatus int) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != wantStatus {
		t.Fatalf("%s %s: %d %v, want %d", method, url, resp.StatusCode, answer, wantStatus)
	}
	return answer
}

func TestOpenSearch(t *testing.T) {
	needServers(t)
	temporary := publicTemp(t)
	t.Setenv("TMPDIR", temporary)
	var log bytes.Buffer
	s, err := StartOpenSearch(t.Context(), Options{
		Log:       &log,
		Heap:      "256m",
		FastStart: true,
		Settings:  map[string]string{"action.auto_create_index": "false"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	if !strings.Contains(log.String(), "starting OpenSearch "+s.Version) {
		t.Errorf("the log has %q", log.String())
	}
	version, _ := request(t, http.MethodGet, s.URL+"/", "", http.StatusOK)["version"].(map[string]any)
	if version["number"] != s.Version {
		t.Errorf("version %v, want %s", version["number"], s.Version)
	}
	request(t, http.MethodPut, s.URL+"/other/_doc/1", `{}`, http.StatusNotFound) // because of the setting
	request(t, http.MethodPut, s.URL+"/kept", `{"settings":{"number_of_replicas":0}}`, http.StatusOK)
	request(t, http.MethodPut, s.URL+"/kept/_doc/1", `{"a":"b"}`, http.StatusCreated)

	pid, url := s.Pid(), s.URL
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Error("the server runs after it was killed")
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.URL != url || s.Pid() == pid {
		t.Errorf("restarted as process %d at %s, after %d at %s", s.Pid(), s.URL, pid, url)
	}
	// Acknowledged documents survive the crash and are available immediately.
	request(t, http.MethodGet, s.URL+"/kept/_doc/1", "", http.StatusOK)

	if names := list(t, temporary); len(names) != 1 {
		t.Errorf("temporary folders %v, want one", names)
	}
	pid = s.Pid()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if alive(pid) {
		t.Error("the server runs after it was stopped")
	}
	if names := list(t, temporary); len(names) > 0 {
		t.Errorf("%v are left behind", names)
	}
}

func TestDynamoDB(t *testing.T) {
	needServers(t)
	temporary := publicTemp(t)
	t.Setenv("TMPDIR", temporary)
	d, err := StartDynamoDB(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	client := dynamodb.New(dynamodb.Options{
		BaseEndpoint: aws.String(d.URL),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("key", "secret", ""),
		HTTPClient:   http.DefaultClient,
	})
	tables, err := client.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(tables.TableNames) > 0 {
		t.Errorf("tables %v after the start, want none", tables.TableNames)
	}
	if names := list(t, temporary); len(names) != 1 {
		t.Errorf("temporary folders %v, want one", names)
	}
	pid := d.Pid()
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	if alive(pid) {
		t.Error("the server runs after it was stopped")
	}
	if names := list(t, temporary); len(names) > 0 {
		t.Errorf("%v are left behind", names)
	}
}

func TestServers_ParentKilled(t *testing.T) {
	needServers(t)
	killParent(t, "of servers")
}
