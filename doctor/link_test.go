package doctor

import (
	"slices"
	"testing"
)

// Each remedy is on its own line, and listed once.
func TestFindingRemedies(t *testing.T) {
	t.Parallel()
	var f Finding
	f.warn("open it", "%s is closed", "a")
	f.fail("free\ndisk space; add nodes", "%s is blocked", "b")
	f.warn("open it", "%s is closed", "c")
	if want := []string{"open it", "free disk space; add nodes"}; !slices.Equal(f.Remedies(), want) {
		t.Errorf("remedies %q, want %q", f.Remedies(), want)
	}
	if f.State != Broken || f.Found != "a is closed; b is blocked; c is closed" || f.Remedy != "open it; free disk space; add nodes" {
		t.Errorf("%+v", f)
	}
}
