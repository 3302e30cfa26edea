package subscription

import (
	"bytes"
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

// BenchmarkASCIIPrefix scans a block of JSON within a string literal, with a quote and its
// backslash every eight bytes.
func BenchmarkASCIIPrefix(b *testing.B) {
	block := [blockSize]byte(bytes.Repeat([]byte(`level:\"`), blockSize/8))
	for name, scan := range map[string]func(*[blockSize]byte) int{"blocks": asciiPrefix, "bytes": asciiPrefixSlow} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(blockSize)
			for b.Loop() {
				if scan(&block) != blockSize {
					b.Fatal("the block ends early")
				}
			}
		})
	}
}
