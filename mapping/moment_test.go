package mapping

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"logsluice/mapping/schema"
)

// Times are formatted as package time does, whatever hour was formatted before.
func TestHour(t *testing.T) {
	f := func(name string, from, to int64) {
		t.Helper()
		naming := schema.Naming{Prefix: "app", Zone: mustZone(t, name)}
		rng := rand.New(rand.NewPCG(1, 2))
		var h hour
		now := from
		for range 20_000 {
			switch rng.IntN(10) {
			case 0:
				now = from + rng.Int64N(to-from)
			case 1:
				now += rng.Int64N(2*msPerHour) - msPerHour
			default:
				now += rng.Int64N(2*msPerSecond) - msPerSecond
			}
			if now < from || now >= to {
				now = from + rng.Int64N(to-from)
			}
			if !h.contains(now) {
				if h = hourOf(now, naming); !h.contains(now) {
					t.Fatalf("%s: the hour of %d does not contain it", name, now)
				}
			}
			local, _ := naming.Local(now)
			if got, want := string(append(h.appendClock(slices.Clone(h.head), now), h.tail...)), local.Format(`"2006-01-02T15:04:05.000Z07:00"`); got != want {
				t.Fatalf("%s: %d is written as %s, want %s", name, now, got, want)
			}
			if got, want := string(h.date), local.Format(time.DateOnly); got != want {
				t.Fatalf("%s: the day of %d is %s, want %s", name, now, got, want)
			}
		}
	}
	at := func(year int, month time.Month, day int) int64 {
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC).UnixMilli()
	}
	first, last := at(0, 1, 1), at(9999, 12, 31)+24*msPerHour
	for _, zone := range []string{"UTC", "Asia/Tokyo", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Monrovia", "Europe/Dublin"} {
		f(zone, first, last)
		f(zone, at(1880, 1, 1), at(2040, 1, 1))
		f(zone, at(9999, 12, 31), last)
	}
	// Clock changes of an hour and of half an hour.
	f("America/New_York", at(2026, 3, 8), at(2026, 3, 9))
	f("Australia/Lord_Howe", at(2026, 4, 4), at(2026, 4, 6))
	f("Africa/Monrovia", at(1972, 1, 6), at(1972, 1, 9))
}
