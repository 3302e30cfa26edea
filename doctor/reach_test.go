package doctor

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Behind a proxy, what fails is the way to it or its refusal. The proxy's variables are read
// once a process, so the test starts itself with one.
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
	access.URL = "https://localhost:9200" // which no proxy is for
	if found, _ := access.unreachable(errors.New("Forbidden"), asking); strings.Contains(found, "proxy") {
		t.Error(found)
	}
}
