package subscription

import (
	"encoding/binary"
	"math/bits"
)

// String literals are scanned 64 bytes at a time, as long as they have ASCII and short
// escapes only.

// Bytes are looked at by eights, as the bytes of a number.
const (
	each = 0x0101010101010101 // times a byte: that byte in all eight
	high = 0x80 * each
)

// blockSize is how many bytes ordinary looks at, in bits of a number.
const blockSize = 64

// ordinary counts the bytes that a block of a string literal begins with and that
// are printable ASCII or canonical escapes of two bytes, as nearly all are in
// logs that are JSON. It branches little, as quotes stand in these at every few
// bytes. At other bytes than ASCII or control characters it says nothing: -1.
func ordinary(block *[blockSize]byte) int {
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
	// Of a run of backslashes, each second one is escaped by the one before: the
	// borrow of a subtraction finds out which, for runs that begin at even and at
	// odd places alike, as simdjson does it.
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

// zeros has bit i set where byte i of eight below 0x80 is 0.
func zeros(x uint64) uint64 {
	return (high - x) & high >> 7 * 0x0102040810204080 >> 56
}

// shortEscape marks what may follow the backslash of a canonical escape of two
// bytes.
var shortEscape = [256]bool{'"': true, '\\': true, 'n': true, 't': true, 'r': true, 'b': true, 'f': true}
