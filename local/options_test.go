package local

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestOptions_Cache(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "go.mod"), "module logsluice\n\ngo 1.26.0\n", 0o644)
	writeFile(t, filepath.Join(root, "bench", "go.mod"), "module logsluice/bench\n", 0o644)
	elsewhere := t.TempDir()
	f := func(here, given, variable, want string) {
		t.Helper()
		if err := os.MkdirAll(here, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Chdir(here)
		t.Setenv(cacheVariable, variable)
		o, err := Options{Cache: given}.complete()
		if err != nil || o.Cache != want {
			t.Errorf("in %s, with %q and %q: got %q, %v, want %q", here, given, variable, o.Cache, err, want)
		}
	}
	f(root, "/a", "/b", "/a")
	f(root, "", "/b", "/b")
	f(root, "c", "", filepath.Join(root, "c"))
	f(root, "", "", filepath.Join(root, ".cache"))
	f(filepath.Join(root, "local"), "", "", filepath.Join(root, ".cache"))
	f(filepath.Join(root, "bench"), "", "", filepath.Join(root, ".cache"))
	f(elsewhere, "", "", filepath.Join(elsewhere, ".cache"))
}

func TestJavaOptions(t *testing.T) {
	o, err := Options{Settings: map[string]string{"b": "2", "a": "1"}}.complete()
	if err != nil {
		t.Fatal(err)
	}
	f := func(version string, fast bool, want, not string) {
		t.Helper()
		o.FastStart = fast
		got := javaOptions(o, version, "/program", "/conf", "/temporary")
		if !slices.Contains(got, want) || slices.Contains(got, not) {
			t.Errorf("%s: got %q, want %q and not %q", version, got, want, not)
		}
		// Arguments after the class are for OpenSearch.
		if end := got[len(got)-3:]; !slices.Equal(end, []string{releases[version].class, "-Ea=1", "-Eb=2"}) {
			t.Errorf("%s: the arguments end with %q", version, end)
		}
	}
	const manager, fastStart = "-Djava.security.manager=allow", "-XX:TieredStopAtLevel=1"
	f(openSearch3, false, "-Xmx1g", manager)
	f(openSearch2, false, manager, fastStart)
	f(openSearch3, true, fastStart, manager)
	f(openSearchSecured, false, "-Xbootclasspath/a:/program/agent/opensearch-agent-bootstrap-3.4.0.jar", manager)
	f("1.3.20", false, "-Dopensearch.path.conf=/conf", fastStart)
	f("7.10.2", false, "-Des.path.conf=/conf", "-Dopensearch.path.conf=/conf")
}
