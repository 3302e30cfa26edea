package subscription

import (
	"encoding/binary"
	"math/bits"
)

// String literals are scanned 64 bytes at a time while they contain only ASCII and short
// escapes. This replaces a loop over single bytes, as in asciiPrefixSlow of block_test.go, and
// takes a third of the time (BenchmarkASCIIPrefix). TestASCIIPrefix proves that both give the
// same result.

// Eight bytes are processed at a time, as one number.
const (
	each = 0x0101010101010101 // multiplied by a byte: that byte eight times
	high = 0x80 * each
)

// blockSize is how many bytes asciiPrefix processes, one per bit of a number.
const blockSize = 64

// asciiPrefix returns how many bytes at the start of a block of a string literal are
// printable ASCII or canonical escapes of two bytes, as nearly all are in logs that are
// JSON. It has few branches, because such logs have quotes every few bytes. If the block
// contains control characters or bytes outside ASCII, it returns -1.
func asciiPrefix(block *[blockSize]byte) int {
	var quotes, backslashes, odd uint64
	for at := 0; at < blockSize; at += 8 {
		x := binary.LittleEndian.Uint64(block[at:])
		odd |= x | (x - ' '*each)
		quotes |= zeros(x^'"'*each) << at
		backslashes |= zeros(x^'\\'*each) << at
	}
	if odd&high != 0 {
		return -1
	}
	// In a run of backslashes, every second one is escaped by the one before. The borrow
	// of a subtraction determines which, for runs that begin at even and at odd
	// positions, as in simdjson.
	const oddPlaces = 0xaaaaaaaaaaaaaaaa
	pairs := ((backslashes<<1 | oddPlaces) - backslashes) ^ oddPlaces
	escapes, escaped := pairs&backslashes, pairs^backslashes
	end := quotes&^escaped | escapes&(1<<(blockSize-1))
	for rest := escaped; rest != 0; rest &= rest - 1 {
		if at := bits.TrailingZeros64(rest); !shortEscape[block[at&(blockSize-1)]] {
			end |= 1 << at >> 1
		}
	}
	return bits.TrailingZeros64(end)
}

// zeros returns a number whose bit i is set if byte i of eight bytes below 0x80 is 0.
func zeros(x uint64) uint64 {
	return (high - x) & high >> 7 * 0x0102040810204080 >> 56
}

// shortEscape contains the bytes that can follow the backslash of a canonical escape of
// two bytes.
var shortEscape = [256]bool{'"': true, '\\': true, 'n': true, 't': true, 'r': true, 'b': true, 'f': true}
