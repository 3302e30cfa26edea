package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"logsluice/local/inspect"
	"logsluice/local/localtest"
)

// probe sends a probe to a worker. status is 0 if it does not answer.
func probe(address, path string) (status int, text string) {
	client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + address + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw)
}

// probed is a cluster whose worker answers probes at an address.
type probed struct {
	*cluster
	address string
}

func (p probed) listening() {
	p.t.Helper()
	p.eventually("the worker listens", func() bool { status, _ := probe(p.address, "/healthz"); return status != 0 })
}

func (p probed) alive() {
	p.t.Helper()
	if status, text := probe(p.address, "/healthz"); status != http.StatusOK || text != "ok\n" {
		p.t.Errorf("not alive: %d %s", status, text)
	}
}

// unready waits until readiness fails with a line that begins with a check's name and contains a
// reason.
func (p probed) unready(name, reason string) {
	p.t.Helper()
	last := ""
	p.t.Cleanup(func() {
		if p.t.Failed() {
			p.t.Logf("waiting for %s: %s: %s", name, reason, last)
		}
	})
	p.eventually("unready: "+name+": "+reason, func() bool {
		var status int
		status, last = probe(p.address, "/readyz")
		p.alive()
		for line := range strings.Lines(last) {
			if status == http.StatusServiceUnavailable && strings.HasPrefix(line, name+": ") && strings.Contains(line, reason) {
				return true
			}
		}
		return false
	})
}

func (p probed) ready() {
	p.t.Helper()
	p.eventually("ready", func() bool {
		p.alive()
		status, text := probe(p.address, "/readyz")
		return status == http.StatusOK && text == "ok\n"
	})
}

// A worker is alive whatever is unavailable, and ready if everything is available.
func TestRunHealth(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	openSearch, dynamoDB, address := newProxy(t, c.searchURL), newProxy(t, c.dynamoDBURL), localtest.FreeAddress(t)
	start := func(name string) *worker {
		t.Helper()
		return c.start(name, "LEASE_DURATION=3s", "METRICS_ADDRESS="+address, "OPENSEARCH_URL=http://"+openSearch.Listen, "AWS_ENDPOINT_URL_DYNAMODB=http://"+dynamoDB.Listen)
	}
	p := probed{c, address}
	listening, alive, unready, ready := p.listening, p.alive, p.unready, p.ready
	healthcheck := func(want int, reason string, args ...string) {
		t.Helper()
		command := exec.Command(os.Args[0], append([]string{"healthcheck"}, args...)...)
		command.Env = []string{asProgram + "=1", "METRICS_ADDRESS=" + address}
		out, _ := command.CombinedOutput()
		if code := command.ProcessState.ExitCode(); code != want || !strings.Contains(string(out), reason) || strings.Count(string(out), "\n") != want {
			t.Errorf("healthcheck %v: exit %d: %q", args, code, out)
		}
	}

	// OpenSearch is unavailable at the start.
	openSearch.Stop()
	w := start("a")
	listening()
	unready("OpenSearch", "refused")
	unready("consumer", "has not been read yet")
	time.Sleep(2 * time.Second)
	alive()
	healthcheck(exitOK, "")
	healthcheck(exitFailure, "OpenSearch: ", "--ready")
	w.stop()
	healthcheck(exitFailure, "refused")

	// OpenSearch becomes available while the worker waits for it.
	w = start("b")
	listening()
	unready("OpenSearch", "refused")
	if err := openSearch.Start(); err != nil {
		t.Fatal(err)
	}
	ready()
	healthcheck(exitOK, "")
	healthcheck(exitOK, "", "--ready")
	g := generator(1, 8_000)
	c.produce(g, 1_000)
	c.indexed()
	ready()

	// OpenSearch becomes unavailable, and available again.
	openSearch.Stop()
	c.produce(g, 1_000)
	unready("OpenSearch", "refused")
	if err := openSearch.Start(); err != nil {
		t.Fatal(err)
	}
	ready()
	c.indexed()

	// OpenSearch accepts connections but does not answer.
	hang := `{"name":"hang","type":"timeout","attributes":{"timeout":0}}`
	if _, err := openSearch.Toxics.AddToxicJson(strings.NewReader(hang)); err != nil {
		t.Fatal(err)
	}
	unready("OpenSearch", "deadline")
	openSearch.Toxics.ResetToxics(t.Context())
	ready()

	// DynamoDB does not answer, for longer than a lease lasts.
	if _, err := dynamoDB.Toxics.AddToxicJson(strings.NewReader(hang)); err != nil {
		t.Fatal(err)
	}
	unready("consumer", "could not be read for")
	for range 20 {
		time.Sleep(300 * time.Millisecond)
		alive()
	}
	dynamoDB.Toxics.ResetToxics(t.Context())
	ready()
	c.produce(g, 1_000)
	c.indexed()

	// A template is deleted by hand. A starting worker installs it.
	if err := inspect.Ask(t.Context(), c.search, http.MethodDelete, "/_index_template/"+c.prefix, "", nil); err != nil {
		t.Fatal(err)
	}
	unready("OpenSearch", "index template "+c.prefix+" is missing")
	healthcheck(exitOK, "")
	healthcheck(exitFailure, "index template "+c.prefix+" is missing", "--ready")
	w.stop()
	w = start("c")
	listening()
	ready()

	// The worker drains.
	if _, err := openSearch.Toxics.AddToxicJson(strings.NewReader(hang)); err != nil {
		t.Fatal(err)
	}
	c.produce(g, 1_000)
	c.eventually("documents are in flight", func() bool {
		_, text := probe(address, "/metrics")
		return strings.Contains(text, "\nlogsluice_in_flight_bytes ") && !strings.Contains(text, "\nlogsluice_in_flight_bytes 0\n")
	})
	w.signal(syscall.SIGTERM)
	unready("consumer", "stopping")
	time.Sleep(time.Second)
	unready("consumer", "stopping")
	openSearch.Toxics.ResetToxics(t.Context())
	w.stop()
	w = start("d") // reads the rest
	listening()
	c.indexed()
	w.stop()
	c.exact()
}

// The health check does not use a proxy. The dot keeps the name from being recognized as
// loopback, for which Go never uses a proxy.
func TestHealthcheck_NoProxy(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy gets a request") }))
	t.Cleanup(proxy.Close)
	address := strings.Replace(localtest.FreeAddress(t), "127.0.0.1", "localhost.", 1)
	probing := exec.Command(os.Args[0], "healthcheck", "--metrics-address", address)
	probing.Env = []string{asProgram + "=1", "HTTP_PROXY=" + proxy.URL}
	if out, err := probing.CombinedOutput(); err == nil {
		t.Errorf("health check without a worker succeeds: %s", out)
	}
}

func TestHealthcheck_Failure(t *testing.T) {
	t.Parallel()
	f := func(name, address string, code int, reason string) {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			got, out, errOut := command(t, map[string]string{"METRICS_ADDRESS": address}, nil, "healthcheck")
			if got != code || out != "" || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, reason) {
				t.Errorf("exit %d, output %q, standard error %q", got, out, errOut)
			}
			if took := time.Since(begun); took > time.Minute {
				t.Errorf("took %s", took)
			}
		})
	}
	serve := func(status int, text string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, text)
		}))
		t.Cleanup(server.Close)
		return server.Listener.Addr().String()
	}
	silent, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	f("no address", "", exitSettings, "METRICS_ADDRESS (--metrics-address) is missing: set it to")
	f("no port", "localhost", exitSettings, "use host:port")
	f("nothing there", localtest.FreeAddress(t), exitFailure, "refused")
	f("two checks fail", serve(http.StatusServiceUnavailable, "a: one\nb: two\n"), exitFailure, "logsluice: a: one; b: two")
	f("another server", serve(http.StatusNotFound, "not found"), exitFailure, "404")
	f("no answer", silent.Addr().String(), exitFailure, "deadline")
}
