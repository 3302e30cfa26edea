package inflate

import "math/bits"

// Tables of Huffman codes.

const (
	maxBits = 15 // of a code

	// Bits of an index into the tables for literals and lengths, for distances,
	// and for the lengths of codes, which have no longer codes. With one more for
	// literals the fast loop would have too few bits.
	litBits  = 10
	distBits = 8
	preBits  = 7

	// Bits of an index into the tables for the rest of longer codes. These have at
	// most 310 and 146 entries (see enough.c of zlib).
	litLinkBits  = 9
	distLinkBits = 8

	maxExtra = 1<<13 - 1 // that the extra bits of a distance can be

	endOfBlock = 256

	// Symbols for which a block may have a code (RFC 1951, section 3.2.7). The
	// fixed code has two more of each kind, which mean nothing.
	maxLit, maxDist = 286, 30
	allLit, allDist = 288, 32
)

// An entry of a table tells what a code stands for:
//
//	bits  0-5   the length of the code, with the extra bits that follow it
//	bits  8-11  the length of the code
//	bits 12-15  its kind; none is a length or a distance
//	bits 16-31  the literal, the least length, or the least distance
//
// For a code too long for the table it has the kind link, from bit 16 on where
// the table for the rest of such codes begins, and in place of the code's length
// the bits of an index into that. In the table of runs, one or two literals are
//
//	bits  0-5   the length of their codes
//	bits  6-7   how many they are
//	bits  8-23  the literals, the first one lowest
const (
	literal = 1 << (12 + iota)
	end
	bad
	link
	special = end | bad | link

	codeLength = 0x101 // in both of its places
	run        = 3 << 6
)

// tables decode the data of a block. They are arrays of powers of two, so that
// the compiler sees that a masked index is good.
type tables struct {
	lits      [1 << litBits]uint32 // of one symbol each
	litLinks  [1 << litLinkBits]uint32
	runs      [1 << litBits]uint32 // as lits, with two literals where an index has two
	dists     [1 << distBits]uint32
	distLinks [1 << distLinkBits]uint32
	end       uint // bits of the code for the end of the block; 0 if it has none
}

// make makes the tables from the lengths of the codes, by symbol; 0 is no code.
// It tells whether the codes are good.
func (t *tables) make(lits, dists []uint8) bool {
	if !fill(t.lits[:], t.litLinks[:], lits, litSymbols[:]) || !fill(t.dists[:], t.distLinks[:], dists, distSymbols[:]) {
		return false
	}
	t.end = uint(lits[endOfBlock])
	t.makeRuns()
	return true
}

// makeRuns makes runs from lits, with few branches, as these could not be foreseen.
func (t *tables) makeRuns() {
	for i, e := range t.lits {
		n := e & 15
		next := t.lits[i>>n&(1<<litBits-1)]
		// Only a literal that is whole in the index fits.
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

// fill makes the table of the canonical Huffman code (RFC 1951, section 3.2.2)
// that has codes of these lengths. It tells whether the code is good: complete,
// empty, or one code of one bit.
func fill(table, links []uint32, lengths []uint8, symbols []uint32) bool {
	var count [maxBits + 1]int
	for _, n := range lengths {
		count[n&maxBits]++
	}
	count[0] = 0
	var first [maxBits + 2]int // of the symbols in order that have this length
	space := 0                 // that is taken of all codes, in codes of most bits
	for n := 1; n <= maxBits; n++ {
		first[n+1] = first[n] + count[n]
		space += count[n] << (maxBits - n)
	}
	var ordered [allLit]uint16 // symbols, by length and number
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

	// The bits of a code are read first to last, so that code and table's index
	// are each other's reverse. A table for one bit more is twice the table, with
	// the codes that have as many bits.
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
				// The codes that begin so are as many as fill a table.
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

// following is the code of n bits that follows this one, both reversed.
func following(code, n int) int {
	bit := 1 << bits.Len(uint(code^(1<<n-1))) >> 1
	return code&(bit-1) | bit
}

// The symbols as entries for a code of no bits (RFC 1951, section 3.2.5).
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
