package inflate

import "math/bits"

// Decoding tables of Huffman codes.

const (
	maxBits = 15 // maximum length of a code

	// Bits of an index into the tables for literals and lengths, for distances, and for
	// code lengths, which have no longer codes. With one more bit for literals, the fast
	// loop would run out of bits.
	litBits  = 10
	distBits = 8
	preBits  = 7

	// Bits of an index into the tables for the rest of longer codes. These have at most
	// 310 and 146 entries (see enough.c of zlib).
	litLinkBits  = 9
	distLinkBits = 8

	maxExtra = 1<<13 - 1 // maximum of the extra bits of a distance

	endOfBlock = 256

	// Symbols that can have a code in a block (RFC 1951, section 3.2.7). The fixed code
	// has two more of each kind, which are invalid.
	maxLit, maxDist = 286, 30
	allLit, allDist = 288, 32
)

// An entry of a table is the meaning of a code:
//
//	bits  0-5   the length of the code, including the extra bits that follow it
//	bits  8-11  the length of the code
//	bits 12-15  its kind; 0 is a length or a distance
//	bits 16-31  the literal, the minimum length, or the minimum distance
//
// An entry for a code longer than the table's index has the kind link. From bit 16 on it
// has the start of the table for the rest of such codes, and instead of the code's length
// the number of bits of an index into that table. In the table of runs, one or two
// literals are
//
//	bits  0-5   the length of their codes
//	bits  6-7   their number
//	bits  8-23  the literals, the first one lowest
const (
	literal = 1 << (12 + iota)
	end
	bad
	link
	special = end | bad | link

	codeLength = 0x101 // in both places of an entry
	run        = 3 << 6
)

// tables decode the data of a block. The sizes of the arrays are powers of two, so that
// the compiler can omit bounds checks for masked indices.
type tables struct {
	lits      [1 << litBits]uint32 // one symbol per entry
	litLinks  [1 << litLinkBits]uint32
	runs      [1 << litBits]uint32 // like lits, but two literals if both fit into an index
	dists     [1 << distBits]uint32
	distLinks [1 << distLinkBits]uint32
	end       uint // length of the code for the end of the block, 0 if it has none
}

// make makes the tables from the lengths of the codes by symbol, where 0 is no code. It
// reports whether the codes are valid.
func (t *tables) make(lits, dists []uint8) bool {
	if !fill(t.lits[:], t.litLinks[:], lits, litSymbols[:]) || !fill(t.dists[:], t.distLinks[:], dists, distSymbols[:]) {
		return false
	}
	t.end = uint(lits[endOfBlock])
	t.makeRuns()
	return true
}

// makeRuns makes runs from lits, with few branches, because these would be unpredictable.
func (t *tables) makeRuns() {
	for i, e := range t.lits {
		n := e & 15
		next := t.lits[i>>n&(1<<litBits-1)]
		// Only a literal whose whole code is in the index fits.
		both := n + next&15 + next&literal ^ literal
		r := n | 1<<6 | e>>16<<8
		if both <= litBits {
			r = both | 2<<6 | e>>16<<8 | next>>16<<16
		}
		if e&literal == 0 {
			r = e
		}
		t.runs[i] = r
	}
}

// fill makes the table of the canonical Huffman code (RFC 1951, section 3.2.2) with codes
// of these lengths. It reports whether the code is valid: complete, empty, or a single
// code of one bit.
func fill(table, links []uint32, lengths []uint8, symbols []uint32) bool {
	var count [maxBits + 1]int
	for _, n := range lengths {
		count[n&maxBits]++
	}
	count[0] = 0
	var first [maxBits + 2]int // index of the first symbol with this length, in order
	space := 0                 // used part of all codes, in codes of the maximum length
	for n := 1; n <= maxBits; n++ {
		first[n+1] = first[n] + count[n]
		space += count[n] << (maxBits - n)
	}
	var ordered [allLit]uint16 // symbols by length and number
	for s, n := range lengths {
		if n != 0 {
			ordered[first[n]] = uint16(s)
			first[n]++
		}
	}
	switch {
	case space == 1<<maxBits:
	case space == 0:
		for i := range table {
			table[i] = bad
		}
		return true
	case space == 1<<(maxBits-1) && count[1] == 1:
		for i := range table {
			table[i] = bad + codeLength
			if i&1 == 0 {
				table[i] = symbols[ordered[0]] + codeLength
			}
		}
		return true
	default:
		return false
	}

	// The bits of a code are read first to last, so code and table index are reversed. A
	// table for one more bit is the table repeated, plus the codes of that length.
	code, next := 0, 0
	width := bits.Len(uint(len(table))) - 1
	for n := 1; n <= width; n++ {
		size := 1 << (n - 1)
		copy(table[size:2*size], table[:size])
		for range count[n] {
			table[code] = symbols[ordered[next]] + codeLength*uint32(n&maxBits)
			code, next = following(code, n), next+1
		}
	}
	start, size, prefix := 0, 0, -1
	for n := width + 1; n <= maxBits; n++ {
		for left := count[n]; left > 0; left-- {
			if p := code & (len(table) - 1); p != prefix {
				// The codes with this prefix are as many as fill a table.
				extra := n - width
				for used := left; used < 1<<extra; {
					extra++
					used = used<<1 + count[width+extra]
				}
				start, size, prefix = start+size, 1<<extra, p
				table[p] = link | uint32(start&0xffff)<<16 | uint32(extra&15)<<8
			}
			e := symbols[ordered[next]] + codeLength*uint32(n&maxBits)
			for i := code >> width; i < size; i += 1 << (n - width) {
				links[start+i] = e
			}
			code, next = following(code, n), next+1
		}
	}
	return true
}

// following returns the next code of n bits, where both codes are reversed.
func following(code, n int) int {
	bit := 1 << bits.Len(uint(code^(1<<n-1))) >> 1
	return code&(bit-1) | bit
}

// The symbols as entries for a code of zero bits (RFC 1951, section 3.2.5).
var (
	litSymbols  = makeLitSymbols()
	distSymbols = makeDistSymbols()
	preSymbols  = makePreSymbols()
)

func makeLitSymbols() (all [allLit]uint32) {
	for s := range uint32(endOfBlock) {
		all[s] = literal | s<<16
	}
	all[endOfBlock] = end
	length := uint32(3)
	for s := endOfBlock + 1; s < 285; s++ {
		extra := uint32(max(0, (s-261)/4))
		all[s] = length<<16 | extra
		length += 1 << extra
	}
	all[285] = 258 << 16
	all[286], all[287] = bad, bad
	return all
}

func makeDistSymbols() (all [allDist]uint32) {
	dist := uint32(1)
	for s := range uint32(maxDist) {
		extra := max(s, 2)/2 - 1
		all[s] = dist<<16 | extra
		dist += 1 << extra
	}
	all[30], all[31] = bad, bad
	return all
}

func makePreSymbols() (all [19]uint32) {
	for s := range all {
		all[s] = uint32(s) << 16
	}
	return all
}
