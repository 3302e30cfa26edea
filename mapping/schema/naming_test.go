package schema

import (
	"slices"
	"strings"
	"testing"
	"time"

	"logsluice/indexer/deadletter"
)

func TestNaming_Failure(t *testing.T) {
	f := func(prefix, want string) {
		t.Helper()
		err := (Naming{Prefix: prefix, Zone: time.UTC}).Check()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", prefix, err)
		}
	}
	f("", "empty")
	f("App", "uppercase")
	f("-app", "begins with")
	f("_app", "begins with")
	f("app web", "contains ' '")
	f(`a"b`, `contains '"'`)
	f("a,b", "contains ','")
	f("a\nb", "contains")
	f("a*", "contains '*'")
	f(strings.Repeat("a", 201), "201 bytes")
	f("a\xff", "UTF-8")
	if err := (Naming{Prefix: "a"}).Check(); err == nil {
		t.Error("no error without a zone")
	}
}

func TestCheckDate_Failure(t *testing.T) {
	f := func(date, want string) {
		t.Helper()
		if err := CheckDate(date); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", date, err)
		}
	}
	f("", "is empty")
	f("x", "does not identify a day, month, hour or week")
	f("%d", "does not identify a day, month, hour or week")
	f("%Y-%d", "does not identify a day, month, hour or week")
	f("%Y-%m-%H", "does not identify a day, month, hour or week")
	f("%Y-%V", "does not identify a day, month, hour or week")
	f("%G-%m", "does not identify a day, month, hour or week")
	f("%Y-%b", `has "%b"`)
	f("%Y%", "has a % without a letter")
	f("%", "has a % without a letter: use a pattern such as %Y-%m-%d")
	f("%F", `has "%F", which is not supported: use %Y-%m-%d`)
	f("%Y-%B-%d", `has "%B", which is not supported: use %Y-%m-%d`)
	f("%y.%m", `has "%y", which is not supported: use %Y.%m`)
	f("%Y-%q", `has "%q": use %Y, %m, %d, %H, %j, or`)
	f("%G-W%V", "has uppercase letters: use %G-w%V")
	f("%Y-MM-DD", "is not a strftime pattern: use %Y-%m-%d")
	f("yyyy.MM.dd'T'HH", "is not a strftime pattern: use %Y.%m.%d-%H")
	f("%Y-%m-%d-", "has a hyphen at its beginning or end: use %Y-%m-%d")
	f("-%Y-%m-%d", "use %Y-%m-%d")
	f("%Y-W", "uppercase")
	f("%Y/%m", "contains '/'")
	f("YYYY-MM-DD", "is not a strftime pattern: use %Y-%m-%d")
	f("yyyy.MM.dd", "is not a strftime pattern: use %Y.%m.%d")
	f("yyyy-MM-dd-HH", "is not a strftime pattern: use %Y-%m-%d-%H")
	f("2006-01-02", "is not a strftime pattern: use %Y-%m-%d")
	f("YYYY", "is not a strftime pattern: use %Y")
	f("YYYY/MM", "uppercase")
	f("%yyyy", `has "%y"`)
	f("%Y"+strings.Repeat("x", 50), "longer")
}

func TestNext(t *testing.T) {
	f := func(date, zone, want string) {
		t.Helper()
		local, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		n := Naming{Prefix: "app", Date: date, Zone: local}
		if got := n.Next(time.Date(2026, 12, 31, 14, 59, 59, 0, time.UTC)); got != want {
			t.Errorf("%s: %s, want %s", date, got, want)
		}
	}
	f("%Y-%m-%d", "UTC", "app-2027-01-01")
	f("%Y-%m-%d", "Asia/Tokyo", "app-2027-01-01")
	f("%Y-%m-%d-%H", "UTC", "app-2026-12-31-15")
	f("%G-w%V", "UTC", "app-2027-w01")
	f("%Y-%m", "UTC", "app-2027-01")
	f("%Y", "UTC", "app-2027")
}

// Indices of documents are distinguished from others with their prefix.
func TestOwns(t *testing.T) {
	f := func(n Naming, index string, want bool) {
		t.Helper()
		n.Zone = time.UTC
		if err := n.Check(); err != nil {
			t.Fatal(err)
		}
		if n.Owns(index) != want {
			t.Errorf("%s of %s-%s: %t", index, n.Prefix, n.Date, !want)
		}
	}
	daily := Naming{Prefix: "app1"}
	f(daily, "app1-2019-12-31", true)
	f(daily, "app1-outside", true)
	f(daily, "app1-dead-letter", false)
	f(daily, "app1-doctor-abc", false)
	f(daily, "app1-web-2019-12-31", false)
	f(daily, "app2-2019-12-31", false)
	f(daily, "app1-2019-12", false)
	f(Naming{Prefix: "app", Date: "%G-w%V"}, "app-2020-w53", true)
	f(Naming{Prefix: "app", Date: "%Y.%m.%d.%H"}, "app-2020.01.02.03", true)
	f(Naming{Prefix: "app", Date: "%Y.%m.%d.%H"}, "app-2020-01-02-03", false)
	f(Naming{Prefix: "app", DataStream: true}, "app", true)
}

// Dates never equal the other names that can follow a prefix, and prefixes cannot end in
// one of these, so that different kinds of documents never share an index.
func TestNamesDoNotCollide(t *testing.T) {
	for _, date := range []string{"outside", "dead-letter", "%o", "outside%", ""} {
		if err := CheckDate(date); err == nil {
			t.Errorf("the date %q is accepted", date)
		}
	}
	for _, date := range []string{"%Y", "%G", "outside-%Y", "dead-letter%G", "%Youtside"} {
		n := Naming{Prefix: "app", Date: date, Zone: time.UTC}
		if err := n.Check(); err != nil {
			t.Fatal(err)
		}
		names := n.Indices(time.Now())
		if slices.Contains(names[1:], "app-outside") || slices.Contains(names, deadletter.Index("app")) || names[0] != "app-outside" {
			t.Errorf("%s: %v", date, names)
		}
	}
	for _, prefix := range []string{"app-outside", "app-dead-letter", deadletter.Index("app")} {
		for _, stream := range []bool{false, true} {
			if err := (Naming{Prefix: prefix, DataStream: stream, Zone: time.UTC}).Check(); err == nil || !strings.Contains(err.Error(), `prefix "app"`) {
				t.Errorf("%s: %v", prefix, err)
			}
		}
	}
	if err := (Naming{Prefix: "outside", Zone: time.UTC}).Check(); err != nil {
		t.Error(err)
	}
}
