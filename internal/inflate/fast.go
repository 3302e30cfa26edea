package inflate

import "encoding/binary"

// The fast loop replaces decoding by Decoder.symbol while input and output have room for
// a whole iteration, so that symbols need no bounds checks. With it, Member takes two fifths
// of the time (BenchmarkMember with and without the call in compressed). TestMember_Structured and FuzzMember
// prove that the output equals that of compress/gzip.

// fastRoom is the room for output, in bytes, that an iteration of the fast loop needs:
// for a run of literals, a match, and the bytes written beyond it.
const fastRoom = 2 + 258 + 32

// fast inflates the data of a block while there is enough input and room for output. It
// stops before anything other than a literal or match: the end of the block, or an error.
func (d *Decoder) fast(t *tables) {
	if len(d.src)-d.in < 8 {
		return
	}
	// With limited capacities, the slices take fewer registers.
	src, out := d.src[:len(d.src):len(d.src)], d.out[:len(d.out):len(d.out)]
	in, pos := d.in, d.pos
	// Only the low 6 bits of have count, so that an entry can be subtracted without
	// masking.
	bits, have := d.bits, uint64(d.have)

	// A refill adds at least 56 bits to have, but all 64 bits are valid. An iteration
	// takes at most 53 (a run and a match), or 48 (a match whose length has a long code).
	// So the remaining bits suffice to look up the next entry before the next refill.
	bits |= binary.LittleEndian.Uint64(src[in:]) << (have & 63)
	e := uint64(t.runs[bits&(1<<litBits-1)])
	for len(src)-in >= 8 && len(out)-pos >= fastRoom {
		bits |= binary.LittleEndian.Uint64(src[in:]) << (have & 63)
		in += int(^have >> 3 & 7)
		have |= 56
		start := pos
		if e&run != 0 {
			binary.LittleEndian.PutUint16(out[pos:], uint16(e>>8&0xffff))
			pos += int(e >> 6 & 3)
			bits >>= e & 63
			have -= e
			e = uint64(t.runs[bits&(1<<litBits-1)])
			if e&run != 0 {
				binary.LittleEndian.PutUint16(out[pos:], uint16(e>>8&0xffff))
				pos += int(e >> 6 & 3)
				bits >>= e & 63
				have -= e
				e = uint64(t.runs[bits&(1<<litBits-1)])
				continue
			}
		}
		if e&special != 0 {
			if e&link == 0 {
				break
			}
			e = uint64(t.litLinks[(e>>16+bits>>litBits&(1<<(e>>8&15)-1))&(1<<litLinkBits-1)])
			if e&literal != 0 {
				out[pos] = byte(e >> 16 & 0xff)
				pos++
				bits >>= e & 63
				have -= e
				e = uint64(t.runs[bits&(1<<litBits-1)])
				continue
			}
			if e&special != 0 {
				break
			}
			if pos > start {
				e = uint64(t.runs[bits&(1<<litBits-1)])
				continue
			}
		}
		length := int(e>>16) + int(bits&(1<<(e&63)-1)>>(e>>8&15)&maxExtra)
		rest := bits >> (e & 63)
		f := uint64(t.dists[rest&(1<<distBits-1)])
		if f&special != 0 {
			if f&link == 0 {
				break
			}
			f = uint64(t.distLinks[(f>>16+rest>>distBits&(1<<(f>>8&15)-1))&(1<<distLinkBits-1)])
			if f&special != 0 {
				break
			}
		}
		dist := int(f>>16) + int(rest&(1<<(f&63)-1)>>(f>>8&15)&maxExtra)
		from := pos - dist
		if from < 0 {
			break
		}
		bits = rest >> (f & 63)
		have -= e + f
		e = uint64(t.runs[bits&(1<<litBits-1)])

		to := pos
		pos += length
		if dist < 16 {
			for to < pos {
				to += copy(out[to:pos], out[from:to])
			}
			continue
		}
		// Most matches have at most 32 bytes.
		copy(out[to:to+16], out[from:from+16])
		copy(out[to+16:to+32], out[from+16:from+32])
		for length > 32 {
			to, from, length = to+16, from+16, length-16
			copy(out[to+16:to+32], out[from+16:from+32])
		}
	}
	d.in, d.pos = in, pos
	d.bits, d.have = bits, uint(have&63)
}
