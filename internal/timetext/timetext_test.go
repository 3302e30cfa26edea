package timetext

import (
	"testing"
	"time"
)

func TestFormat(t *testing.T) {
	f := func(d time.Duration, want string) {
		t.Helper()
		if got := Format(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
	f(0, "0s")
	f(10*time.Second, "10s")
	f(time.Minute, "1m")
	f(30*time.Minute, "30m")
	f(90*time.Second, "1m30s")
	f(time.Hour, "1h")
	f(time.Hour+time.Second, "1h0m1s")
	f(100*time.Minute, "1h40m")
	f(24*time.Hour, "24h")
	f(36*time.Hour, "36h")
	f(7*24*time.Hour, "7d")
	f(-24*time.Hour, "-24h")
	f(-30*24*time.Hour, "-30d")
	f(250*time.Millisecond, "250ms")
}
