package subscription

import (
	"strings"
	"testing"
)

func TestDigits(t *testing.T) {
	for before := range 17 {
		for c := range 256 {
			text := []byte(strings.Repeat("9", before) + string([]byte{byte(c)}) + strings.Repeat("0", 16))
			want := before
			if '0' <= c && c <= '9' {
				want = len(text)
			}
			if got := digits(text); got != want {
				t.Fatalf("%q: %d digits, want %d", text, got, want)
			}
			if got := digits(text[:before]); got != before {
				t.Fatalf("%q: %d digits", text[:before], got)
			}
		}
	}
}
