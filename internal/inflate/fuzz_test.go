package inflate

import (
	"compress/gzip"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// FuzzMember compares Member with compress/gzip for any bytes.
func FuzzMember(f *testing.F) {
	for _, text := range texts()[:5] {
		for _, level := range []int{gzip.HuffmanOnly, gzip.NoCompression, gzip.BestCompression} {
			f.Add(squeeze(text, level))
		}
	}
	for seed := range uint64(50) {
		f.Add(generate(seed))
	}
	for _, line := range corpus(f, "FuzzMember") {
		src, err := strconv.Unquote(line)
		if err != nil {
			f.Fatalf("%s: %v", line, err)
		}
		f.Add([]byte(src))
	}
	var d Decoder
	f.Fuzz(func(t *testing.T, src []byte) { agree(t, &d, src) })
}

// FuzzStructured compares them for generated members, truncated and with a wrong bit.
func FuzzStructured(f *testing.F) {
	for _, line := range corpus(f, "FuzzStructured") {
		var seed uint64
		var cut, wrong uint
		if _, err := fmt.Sscan(line, &seed, &cut, &wrong); err != nil {
			f.Fatalf("%s: %v", line, err)
		}
		f.Add(seed, cut, wrong)
	}
	f.Add(uint64(0), uint(0), uint(0))
	f.Add(uint64(1), uint(30), uint(100))
	var d Decoder
	f.Fuzz(func(t *testing.T, seed uint64, cut, wrong uint) {
		src := generate(seed)
		agree(t, &d, src)
		agree(t, &d, src[:cut%uint(len(src)+1)])
		wrong %= 8 * uint(len(src))
		src[wrong/8] ^= 1 << (wrong % 8)
		agree(t, &d, src)
	})
}

// corpus returns the inputs found by fuzzing for a target, one per line.
func corpus(f *testing.F, target string) []string {
	f.Helper()
	text, err := os.ReadFile("testdata/" + target + ".txt")
	if err != nil {
		f.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}
