package inflate

import "encoding/binary"

const (
	// fastRoom is the room for output, in bytes, that a turn of the fast loop may
	// need: two runs of literals, a match, and what is written beyond them.
	fastRoom = 2*3 + 258 + 32 + 8
	// maxDistBits is the most that a distance has, with its extra bits.
	maxDistBits = 15 + 13
)

// fast inflates the data of a block as far as there is plenty of input and of
// room for output, up to what is neither literal nor match: the end of the block,
// or an error.
func (d *Decoder) fast(t *tables) {
	src, out := d.src, d.out
	in, pos := d.in, d.pos
	bits, have := d.bits, uint64(d.have)
	if len(src)-in < 8 {
		return
	}
	bits |= binary.LittleEndian.Uint64(src[in:]) << (have & 63)
	e := uint64(t.runs[bits&(1<<litBits-1)])
	for len(src)-in >= 8 && len(out)-pos >= fastRoom {
		bits |= binary.LittleEndian.Uint64(src[in:]) << (have & 63)
		in += int((63 - have) >> 3)
		have |= 56
		w := (*[fastRoom]byte)(out[pos:])
		// There are 56 bits. A run has at most 11, a match 11+5 + 28 unless its
		// length is in the second table.
		var lits uint64
		if e&run != 0 {
			binary.LittleEndian.PutUint32(w[:], uint32(e>>8))
			lits = e >> 6 & 3
			bits >>= e & 63
			have -= e & 63
			e = uint64(t.runs[bits&(1<<litBits-1)])
			if e&run != 0 {
				binary.LittleEndian.PutUint32(w[lits:], uint32(e>>8))
				pos += int(lits + e>>6&3)
				bits >>= e & 63
				have -= e & 63
				e = uint64(t.runs[bits&(1<<litBits-1)])
				continue
			}
			pos += int(lits)
		}
		if e&special != 0 {
			if e&link == 0 {
				break
			}
			e = uint64(t.litLinks[(e>>16+bits>>litBits&(1<<(e>>8&15)-1))&511])
			if e&literal != 0 {
				w[lits] = byte(e >> 16)
				pos++
				bits >>= e & 63
				have -= e & 63
				e = uint64(t.runs[bits&(1<<litBits-1)])
				continue
			}
			if e&special != 0 {
				break
			}
			if lits > 0 {
				e = uint64(t.runs[bits&(1<<litBits-1)])
				continue // with more bits
			}
		}
		n := e & 63
		length := int(e>>16) + int(bits&(1<<n-1)>>(e>>8&15))
		rest := bits >> n
		f := uint64(t.dists[rest&(1<<distBits-1)])
		if f&special != 0 {
			if f&link == 0 {
				break
			}
			f = uint64(t.distLink[(f>>16+rest>>distBits&(1<<(f>>8&15)-1))&255])
			if f&special != 0 {
				break
			}
		}
		m := f & 63
		dist := int(f>>16) + int(rest&(1<<m-1)>>(f>>8&15))
		from := pos - dist
		if from < 0 {
			break
		}
		bits = rest >> m
		have -= n + m
		e = uint64(t.runs[bits&(1<<litBits-1)])
		to := pos
		pos += length
		if dist >= 16 {
			v := (*[32]byte)(out[from:])
			copy(w[lits:lits+16], v[:16])
			copy(w[lits+16:lits+32], v[16:])
			if length <= 32 {
				continue
			}
			to, from = to+16, from+16
			for to += 16; to < pos; to += 16 {
				from += 16
				copy(out[to:to+16], out[from:from+16])
			}
			continue
		}
		for to < pos {
			to += copy(out[to:pos], out[from:to])
		}
	}
	d.in, d.pos = in, pos
	d.bits, d.have = bits, uint(have)
}
