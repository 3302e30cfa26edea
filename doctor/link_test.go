package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
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

// A link is checked as soon as the links that it waits for are checked, and skipped if a link
// that it needs is broken.
func TestFollow(t *testing.T) {
	t.Parallel()
	// A check takes one second. want has the findings in order, with the time of each check.
	f := func(name, want string, links ...link) {
		t.Helper()
		var got []string
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			for i, l := range links {
				links[i].check = func(ctx context.Context, f *Finding) {
					f.note("after %s", time.Since(begun))
					time.Sleep(time.Second)
					if l.check != nil {
						l.check(ctx, f)
					}
				}
			}
			for _, f := range follow(t.Context(), links) {
				got = append(got, f.Link+" "+string(f.State)+" "+f.Found)
			}
		})
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("%s\ngot  %s\nwant %s", name, text, want)
		}
	}
	blocks := func(_ context.Context, f *Finding) { f.State, f.blocks = Broken, true }
	breaks := func(_ context.Context, f *Finding) { f.State = Broken }
	a := func(check func(context.Context, *Finding)) link { return link{name: "a", check: check} }
	on := func(names ...string) []string { return names }
	f("at once", "a ok after 0s, b ok after 0s", a(nil), link{name: "b"})
	f("after", "a ok after 0s, b ok after 1s", a(nil), link{name: "b", after: on("a")})
	f("after one listed later", "b ok after 1s, a ok after 0s", link{name: "b", after: on("a")}, a(nil))
	f("after one that blocks", "a broken after 0s, b ok after 1s", a(blocks), link{name: "b", after: on("a")})
	f("after one that is not set", "a skipped not set, b ok after 0s", link{name: "a", unset: "not set"}, link{name: "b", after: on("a")})
	f("needs", "a ok after 0s, b ok after 1s", a(nil), link{name: "b", needs: on("a")})
	f("needs one that is broken", "a broken after 0s, b ok after 1s", a(breaks), link{name: "b", needs: on("a")})
	f("needs one that blocks", "a broken after 0s, b skipped a is broken, c skipped b is broken, d ok after 0s", a(blocks), link{name: "b", needs: on("a")}, link{name: "c", needs: on("b")}, link{name: "d"})
	f("needs two", "a broken after 0s, b broken after 0s, c skipped a is broken, d skipped b is broken", a(blocks), link{name: "b", check: blocks}, link{name: "c", needs: on("a", "b")}, link{name: "d", needs: on("b", "a")})
	f("not set", "a broken after 0s, b skipped not set", a(blocks), link{name: "b", unset: "not set", needs: on("a")})
	f("needs and after", "a ok after 0s, b ok after 1s, c ok after 2s, d ok after 2s", a(nil), link{name: "b", needs: on("a")}, link{name: "c", needs: on("a"), after: on("b")}, link{name: "d", needs: on("b"), after: on("a")})
}

// A finding has the worst state of its parts, and is one line.
func TestFinding(t *testing.T) {
	t.Parallel()
	f := func(state State, found string, remedies []string, tell ...func(*Finding)) {
		t.Helper()
		got := Finding{State: OK}
		for _, t := range tell {
			t(&got)
		}
		expect(t, found, got, state, found, remedies...)
		if got.blocks != (state == Skipped) {
			t.Errorf("%s: blocks %t", found, got.blocks)
		}
	}
	note := func(text string) func(*Finding) { return func(f *Finding) { f.note("%s", text) } }
	warn := func(f *Finding) { f.warn("do w", "w") }
	fail := func(f *Finding) { f.fail("do f", "f") }
	f(OK, "", nil)
	f(OK, "a; b", nil, note("a"), note("b"))
	f(Warning, "a; w; b", []string{"do w"}, note("a"), warn, note("b"))
	f(Broken, "w; f", []string{"do w", "do f"}, warn, fail)
	f(Broken, "f; w", []string{"do f", "do w"}, fail, warn)
	f(Warning, "w; w", []string{"do w"}, warn, warn)
	f(Skipped, "why", nil, func(f *Finding) { f.skip("%s", "why") })
	f(OK, `a b; \x1b[31mred; c`, nil, note(" a\n\tb; "), note("\x1b[31mred;"), note("c"))
}

// A call is limited to 5 seconds.
func TestBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		err := bounded(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took != 5*time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// A pause ends with the walk, and returns false then.
func TestPause(t *testing.T) {
	t.Parallel()
	f := func(interrupted time.Duration, want bool, took time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), interrupted)
			defer cancel()
			begun := time.Now()
			if got := pause(ctx, time.Minute); got != want || time.Since(begun) != took {
				t.Errorf("%t after %s", got, time.Since(begun))
			}
		})
	}
	f(time.Hour, true, time.Minute)
	f(time.Second, false, time.Second)
}
