package subscription

import (
	"math/rand/v2"
	"testing"
)

// asciiPrefixSlow does the same as asciiPrefix, one byte at a time.
func asciiPrefixSlow(block *[blockSize]byte) int {
	for _, c := range block {
		if c < ' ' || c >= 0x80 {
			return -1
		}
	}
	for i := 0; i < blockSize; i++ {
		switch {
		case block[i] == '"':
			return i
		case block[i] != '\\':
		case i+1 == blockSize || !shortEscape[block[i+1]]:
			return i
		default:
			i++
		}
	}
	return blockSize
}

func TestASCIIPrefix(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, alphabet := range []string{`\`, `\n`, `\"n`, `\"nu/`, `\\\\\\\"x`, ` ~` + "\x7f" + `\n`, "abcdefghijklmnopqrstuvwxyz\\\"", "abcdefghijklmnopqrstuvwxyz\\n", "ab\\n\x1f\x00", "ab\\\x80\xff"} {
		for range 20_000 {
			var block [blockSize]byte
			for i := range block {
				block[i] = 'x'
				if rng.IntN(4) > 0 {
					block[i] = alphabet[rng.IntN(len(alphabet))]
				}
			}
			got, want := asciiPrefix(&block), asciiPrefixSlow(&block)
			if got != want {
				t.Fatalf("%q: %d, want %d", block, got, want)
			}
		}
	}
	for n := range blockSize {
		var block [blockSize]byte
		for i := range block {
			block[i] = 'x'
		}
		block[n] = '"'
		if got := asciiPrefix(&block); got != n {
			t.Errorf("%q: %d, want %d", block, got, n)
		}
	}
}
