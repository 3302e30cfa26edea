package jsonscan

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestIsSpace(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		// White space is allowed in an empty array.
		want := json.Valid([]byte{'[', byte(c), ']'}) && !IsDigit(byte(c))
		if IsSpace(byte(c)) != want {
			t.Errorf("%q: %t", byte(c), !want)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	f := func(text string, n int, ok bool) {
		t.Helper()
		if gotN, gotOK := Number([]byte(text)); gotN != n || gotOK != ok {
			t.Errorf("%q: %d, %t", text, gotN, gotOK)
		}
	}
	f("0", 1, true)
	f("-0", 2, true)
	f("01", 1, true)
	f("12,3", 2, true)
	f("-1.50e+07x", 9, true)
	f("1E-2", 4, true)
	f("123456789012345678901234567890", 30, true)
	f("1.e", 2, false)
	f("1.", 2, false)
	f("1e", 2, false)
	f("1e+", 3, false)
	f("-1.5E-x", 6, false)
	f("-", 0, false)
	f("-x", 0, false)
	f("+1", 0, false)
	f(".5", 0, false)
	f("", 0, false)
}

// Number accepts the same numbers as encoding/json.
func FuzzNumber(f *testing.F) {
	for _, text := range []string{"0", "-1.5e+7", "01", "1.", "12345678901234567890.25E-3 ", "x"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, ok := Number(data)
		if ok && !json.Valid(data[:n]) || !ok && n > 0 && json.Valid(data[:n]) {
			t.Errorf("%q: %d, %t", data, n, ok)
		}
		isNumber := len(data) > 0 && (data[0] == '-' || IsDigit(data[0])) && !IsSpace(data[len(data)-1]) && json.Valid(data)
		if IsNumber(data) != isNumber {
			t.Errorf("%q is a number: %t", data, isNumber)
		}
	})
}

func BenchmarkDigits(b *testing.B) {
	id := []byte(strings.Repeat("12345678", 7) + `","timestamp"`)
	for name, count := range map[string]func([]byte) int{"eights": Digits, "bytes": func(data []byte) int { return digitsEnd(data, 0) }} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if count(id) != 56 {
					b.Fatal()
				}
			}
		})
	}
}
