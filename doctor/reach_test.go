package doctor

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Errors behind a proxy name the proxy. A process reads the proxy's variables only once, so the
// test runs itself with them.
func TestProxy(t *testing.T) {
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
	found, remedy := access.unreachable(errors.New("Forbidden"), asking)
	if !strings.Contains(found, "the proxy does not connect to https://search.example.com: Forbidden") || !strings.HasPrefix(remedy, "correct HTTPS_PROXY") {
		t.Errorf("%s: %s", found, remedy)
	}
	access.URL = "https://localhost:9200" // not proxied
	if found, _ := access.unreachable(errors.New("Forbidden"), asking); strings.Contains(found, "proxy") {
		t.Error(found)
	}
}
