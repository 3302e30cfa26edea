package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The password file and the settings that contradict it are checked at start.
func TestPasswordFile_Failure(t *testing.T) {
	t.Parallel()
	f := func(want string, settings ...string) {
		t.Helper()
		c := &cluster{t: t, program: os.Args[0], application: "app", prefix: "p", searchURL: "http://127.0.0.1:1"}
		w := c.start("w", settings...)
		if err := w.wait(); err == nil || !strings.Contains(w.lines(), want) {
			t.Errorf("%q: %v, %s", want, err, w.lines())
		}
	}
	file := filepath.Join(t.TempDir(), "password")
	f(file, "OPENSEARCH_USERNAME=u", "OPENSEARCH_PASSWORD_FILE="+file)
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	f("both set", "OPENSEARCH_USERNAME=u", "OPENSEARCH_PASSWORD=x", "OPENSEARCH_PASSWORD_FILE="+file)
	f("OPENSEARCH_USERNAME", "OPENSEARCH_PASSWORD_FILE="+file)
}
