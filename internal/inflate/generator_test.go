package inflate

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// generator writes gzip members of random structure, bit by bit. Most are valid, with
// codes that no compressor makes. Some have one of the possible faults.
type generator struct {
	*rand.Rand
	out  []byte
	bit  int // number of bits written in the last byte of out
	size int // inflated size, if the member is valid so far
}

// generate returns a member. Equal seeds give equal members.
func generate(seed uint64) []byte {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0))}
	header := g.header()
	if g.IntN(10) == 0 {
		g.write(0, 1)
		g.stored(1 << 15) // for the longest distances
	}
	for blocks := g.IntN(4); ; blocks-- {
		g.write(btoi(blocks <= 0), 1)
		switch kind := g.IntN(10); {
		case kind == 0:
			g.stored(g.IntN(1 << (6 + 5*g.IntN(3))))
		case kind < 4:
			g.write(1, 2)
			g.fixed()
		case g.rarely():
			g.write(3, 2)
		default:
			g.write(2, 2)
			g.dynamic()
		}
		if blocks <= 0 {
			break
		}
	}
	text, _ := io.ReadAll(flate.NewReader(bytes.NewReader(g.out)))
	trailer := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(text))
	trailer = binary.LittleEndian.AppendUint32(trailer, uint32(len(text)))
	if g.rarely() {
		trailer[g.IntN(8)] ^= 1 << g.IntN(8)
	}
	return slices.Concat(header, g.out, trailer, make([]byte, max(0, g.IntN(40)-20)))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// rarely reports whether to insert a fault.
func (g *generator) rarely() bool { return g.IntN(40) == 0 }

func (g *generator) header() []byte {
	flags := byte(0)
	if g.IntN(4) == 0 {
		flags = byte(g.IntN(256))
	}
	h := []byte{0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 5, 6}
	if g.rarely() {
		h[g.IntN(3)]++
	}
	if flags&flagExtra != 0 {
		n := g.IntN(300)
		h = append(binary.LittleEndian.AppendUint16(h, uint16(n)), bytes.Repeat([]byte{7}, n)...)
	}
	for _, flag := range []byte{flagName, flagComment} {
		if flags&flag != 0 {
			n := g.IntN(20)
			if g.rarely() {
				n = 509 + g.IntN(5)
			}
			h = append(append(h, bytes.Repeat([]byte{'a'}, n)...), 0)
		}
	}
	if flags&flagCRC != 0 {
		h = binary.LittleEndian.AppendUint16(h, uint16(crc32.ChecksumIEEE(h)))
		if g.rarely() {
			h[len(h)-1-g.IntN(2)] ^= 1 << g.IntN(8)
		}
	}
	return h
}

// write writes the low n bits of v, lowest first.
func (g *generator) write(v, n int) {
	for ; n > 0; n-- {
		if g.bit&7 == 0 {
			g.out, g.bit = append(g.out, 0), 0
		}
		g.out[len(g.out)-1] |= byte(v & 1 << g.bit)
		g.bit++
		v >>= 1
	}
}

func (g *generator) stored(n int) {
	g.write(0, 2)
	g.bit = 0
	check := ^n
	if g.rarely() {
		check ^= 1 << g.IntN(16)
	}
	g.write(n, 16)
	g.write(check, 16)
	for i := range n {
		g.out = append(g.out, byte(i*i>>3))
	}
	g.size += n
}

// code is a Huffman code: lengths and reversed codes by symbol.
type code struct {
	lengths []int
	codes   []int
}

func newCode(lengths []int) code {
	c := code{lengths, make([]int, len(lengths))}
	next := 0
	for n := 1; n <= maxBits; n++ {
		next <<= 1
		for s, length := range lengths {
			if length == n {
				c.codes[s] = int(bits.Reverse16(uint16(next)) >> (16 - n))
				next++
			}
		}
	}
	return c
}

func (g *generator) symbol(c code, s int) { g.write(c.codes[s], c.lengths[s]) }

// lengths returns the lengths of a complete code for size symbols, of which used have a
// code; those in must have one first. Some codes have a fault.
func (g *generator) lengths(size, used, most int, must ...int) []int {
	symbols := slices.Concat(must, g.Perm(size))
	lengths := make([]int, size)
	leaves := []int{0}
	for deep := g.IntN(2) == 0; len(leaves) < used; {
		i := g.IntN(len(leaves))
		if deep {
			i = len(leaves) - 1 - g.IntN(min(2, len(leaves)))
		}
		if leaves[i] == most {
			deep = false
			continue
		}
		leaves[i]++
		leaves = append(leaves, leaves[i])
	}
	g.Shuffle(len(leaves), func(i, j int) { leaves[i], leaves[j] = leaves[j], leaves[i] })
	if used == 1 {
		leaves[0] = 1 // a single code of one bit is valid
		if g.IntN(8) == 0 {
			leaves[0] = 2
		}
	}
	for _, s := range symbols {
		if len(leaves) > 0 && used > 0 && lengths[s] == 0 {
			lengths[s], leaves = leaves[0], leaves[1:]
		}
	}
	if g.rarely() {
		s := g.IntN(size)
		lengths[s] = min(most, max(0, lengths[s]+1-2*g.IntN(2)))
	}
	return lengths
}

// deep returns the lengths 1 to 15 of a complete code of 16 symbols.
func (g *generator) deep(size int, symbols ...int) []int {
	lengths := make([]int, size)
	g.Shuffle(len(symbols), func(i, j int) { symbols[i], symbols[j] = symbols[j], symbols[i] })
	for i, s := range symbols {
		lengths[s] = min(i+1, maxBits)
	}
	return lengths
}

func (g *generator) dynamic() {
	lits, dists := 257+g.IntN(30), 1+g.IntN(30)
	if g.rarely() {
		lits = 286 + g.IntN(3)
	}
	if g.rarely() {
		dists = 30 + g.IntN(3)
	}
	ends := []int{endOfBlock}
	if g.rarely() {
		ends = nil
	}
	usedLits := 2 + g.IntN(lits-1)
	if g.IntN(3) == 0 {
		usedLits = 2 + g.IntN(20)
	}
	if g.rarely() {
		usedLits = g.IntN(2)
	}
	usedDists := g.IntN(dists + 1)
	if g.IntN(4) == 0 {
		usedDists = g.IntN(2)
	}
	lit := newCode(g.lengths(lits, usedLits, maxBits, ends...))
	dist := newCode(g.lengths(dists, usedDists, maxBits))
	if g.size >= 1<<15 && g.IntN(2) == 0 {
		// As many as possible of those that take the most bits.
		lits, dists = maxLit, maxDist
		lit = newCode(g.deep(lits, '1', '2', '3', '4', '5', '6', '7', endOfBlock, 277, 278, 279, 280, 281, 282, 283, 284))
		dist = newCode(g.deep(dists, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29))
	}
	all := slices.Concat(lit.lengths, dist.lengths)
	var needed []int
	for _, n := range all {
		if !slices.Contains(needed, n) {
			needed = append(needed, n)
		}
	}
	pre := newCode(g.lengths(19, len(needed)+g.IntN(20-len(needed)), preBits, needed...))
	pres := 19
	for pres > 4 && pre.lengths[preOrder[pres-1]] == 0 {
		pres--
	}
	g.write(lits-257, 5)
	g.write(dists-1, 5)
	g.write(pres-4, 4)
	for _, s := range preOrder[:pres] {
		g.write(pre.lengths[s], 3)
	}
	for i := 0; i < len(all); {
		same := 1
		for i+same < len(all) && all[i+same] == all[i] {
			same++
		}
		if g.rarely() {
			same += g.IntN(3)
		}
		again := i > 0 && all[i-1] == all[i] || i == 0 && g.rarely()
		switch {
		case again && same >= 3 && g.IntN(4) > 0 && pre.lengths[16] > 0:
			n := 3 + g.IntN(min(same, 6)-2)
			g.symbol(pre, 16)
			g.write(n-3, 2)
			i += n
		case all[i] == 0 && same >= 11 && g.IntN(4) > 0 && pre.lengths[18] > 0:
			n := 11 + g.IntN(min(same, 138)-10)
			g.symbol(pre, 18)
			g.write(n-11, 7)
			i += n
		case all[i] == 0 && same >= 3 && g.IntN(4) > 0 && pre.lengths[17] > 0:
			n := 3 + g.IntN(min(same, 10)-2)
			g.symbol(pre, 17)
			g.write(n-3, 3)
			i += n
		default:
			g.symbol(pre, all[i])
			i++
		}
	}
	g.data(lit, dist)
}

func (g *generator) fixed() {
	lits, dists := make([]int, allLit), make([]int, allDist)
	for s := range lits {
		lits[s] = 8 + btoi(s >= 144 && s < 256) - btoi(s >= 256 && s < 280)
	}
	for s := range dists {
		dists[s] = 5
	}
	g.data(newCode(lits), newCode(dists))
}

// data writes literals and matches, most of them valid, and the end.
func (g *generator) data(lit, dist code) {
	var lits, lengths, dists []int
	for s, n := range lit.lengths {
		if n > 0 && s < endOfBlock {
			lits = append(lits, s)
		}
		if n > 0 && s > endOfBlock {
			lengths = append(lengths, s)
		}
	}
	for s, n := range dist.lengths {
		if n > 0 {
			dists = append(dists, s)
		}
	}
	matches := g.IntN(10)
	for n := g.IntN(500); n > 0; n-- {
		if len(lits) > 0 && (g.IntN(10) >= matches || len(lengths) == 0 || g.size == 0) {
			g.symbol(lit, lits[g.IntN(len(lits))])
			g.size++
			continue
		}
		if len(lengths) == 0 {
			break
		}
		s := lengths[g.IntN(len(lengths))]
		if s > 285 && !g.rarely() {
			continue
		}
		// A match is valid if a distance for it exists.
		d, extra, value := -1, 0, 0
		for range 20 {
			if len(dists) == 0 {
				break
			}
			d = dists[g.IntN(len(dists))]
			extra = max(0, d/2-1)
			least := d + 1
			if d > 3 {
				least = 1 + (2+d&1)<<extra
			}
			value = g.IntN(1 << extra)
			if g.IntN(10) == 0 {
				value = g.size - least // the first byte
			}
			if value >= 0 && value < 1<<extra && least+value <= g.size && d < 30 {
				break
			}
			d = -1
		}
		fault := g.IntN(300) == 0
		if d < 0 && !fault {
			if len(lits) == 0 {
				break
			}
			continue
		}
		g.symbol(lit, s)
		length := g.lengthExtra(s)
		switch {
		case fault && len(dists) > 0:
			d = dists[g.IntN(len(dists))]
			g.symbol(dist, d)
			g.write(g.IntN(1<<13), max(0, d/2-1))
		case fault:
			g.write(g.IntN(1<<15), 15)
		default:
			g.symbol(dist, d)
			g.write(value, extra)
		}
		g.size += length
	}
	if lit.lengths[endOfBlock] > 0 {
		g.symbol(lit, endOfBlock)
	}
}

// lengthExtra writes random extra bits of a length and returns the length.
func (g *generator) lengthExtra(s int) int {
	if s >= 285 {
		return 258
	}
	extra := max(0, (s-261)/4)
	v := g.IntN(1 << extra)
	g.write(v, extra)
	if extra == 0 {
		return s - 254
	}
	return 3 + (4+(s-261)&3)<<extra + v
}
