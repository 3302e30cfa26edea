package schema

import (
	"math/rand/v2"
	"testing"
)

// integer reads a number, or refuses it, exactly as slowInteger does.
func TestInteger(t *testing.T) {
	t.Parallel()
	f := func(text string) {
		t.Helper()
		n, ok := integer([]byte(text))
		wantN, want := slowInteger([]byte(text))
		if ok != want || ok && n != wantN {
			t.Errorf("%q: %d, %t; want %d, %t", text, n, ok, wantN, want)
		}
	}
	for _, text := range []string{"", "-", "0", "-0", "00", "01", "-01", "+1", "1.0", "1.5", "1e3", "1e-1", " 1", "1 ", "0x1", "1_0", "٣",
		"999999999999999999", "1000000000000000000", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"} {
		f(text)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	const characters = "0123456789-+.eE x"
	for range 100_000 {
		text := make([]byte, rng.IntN(22))
		for i := range text {
			text[i] = characters[rng.IntN(len(characters))]
			if rng.IntN(4) > 0 {
				text[i] = characters[rng.IntN(10)]
			}
		}
		f(string(text))
	}
}

// BenchmarkInteger reads integers as logs have them, with and without the fast loop.
func BenchmarkInteger(b *testing.B) {
	numbers := [][]byte{[]byte("200"), []byte("-17"), []byte("1768478400123"), []byte("0"), []byte("48213")}
	for name, read := range map[string]func([]byte) (int64, bool){"loop": integer, "strconv": slowInteger} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				for _, number := range numbers {
					if _, ok := read(number); !ok {
						b.Fatalf("%s is not read", number)
					}
				}
			}
		})
	}
}
