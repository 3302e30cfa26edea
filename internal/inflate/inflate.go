package inflate

import (
	"encoding/binary"
	"io"
	"sync"
)

// The blocks of DEFLATE (RFC 1951).

// Decoder inflates gzip members. Its zero value is ready to use. It should be reused,
// because its tables take about 13 KB. It is not safe for concurrent use.
type Decoder struct {
	// Grow is called, if it is set, before memory is allocated for the output, with the
	// capacity in bytes that the output will have. Its error ends inflating.
	Grow func(capacity int) error

	src  []byte
	in   int    // bytes of src already read
	bits uint64 // the next bits, the first one lowest
	have uint   // number of valid bits; bits above are those of src, or 0

	dst   []byte // the slice to which output is appended
	out   []byte // room for the output, after dst
	pos   int    // bytes of output so far
	limit int

	tables  tables
	pre     [1 << preBits]uint32
	lengths [maxLit + maxDist]uint8
}

// blocks inflates all blocks (RFC 1951, section 3.2.3).
func (d *Decoder) blocks() error {
	for {
		head, err := d.readBits(3)
		if err != nil {
			return err
		}
		switch head >> 1 {
		case 0:
			err = d.stored()
		case 1:
			err = d.compressed(fixed())
		case 2:
			if err = d.codes(); err == nil {
				err = d.compressed(&d.tables)
			}
		default:
			err = errData
		}
		if err != nil {
			return err
		}
		if head&1 != 0 {
			d.align()
			return nil
		}
	}
}

// refill reads bits until there are at least 56, or none are left.
func (d *Decoder) refill() {
	if len(d.src)-d.in >= 8 {
		d.bits |= binary.LittleEndian.Uint64(d.src[d.in:]) << (d.have & 63)
		d.in += int(63-d.have) >> 3
		d.have |= 56
		return
	}
	for ; d.have < 56 && d.in < len(d.src); d.in++ {
		d.bits |= uint64(d.src[d.in]) << d.have
		d.have += 8
	}
}

// readBits reads n bits, at most 16.
func (d *Decoder) readBits(n uint) (int, error) {
	if d.have < n {
		if d.refill(); d.have < n {
			return 0, io.ErrUnexpectedEOF
		}
	}
	v := int(d.bits & (1<<n - 1) & 0xffff)
	d.dropBits(n)
	return v, nil
}

func (d *Decoder) dropBits(n uint) {
	d.bits >>= n
	d.have -= n
}

// align moves to the next whole byte and unreads whole bytes in bits.
func (d *Decoder) align() {
	d.in -= int(d.have / 8)
	d.bits, d.have = 0, 0
}

// stored inflates an uncompressed block (RFC 1951, section 3.2.4).
func (d *Decoder) stored() error {
	d.align()
	if len(d.src)-d.in < 4 {
		d.in = len(d.src)
		return io.ErrUnexpectedEOF
	}
	n := int(binary.LittleEndian.Uint16(d.src[d.in:]))
	check := int(binary.LittleEndian.Uint16(d.src[d.in+2:]))
	d.in += 4
	if n != ^check&0xffff {
		return errData
	}
	for n > 0 {
		if d.in == len(d.src) {
			return io.ErrUnexpectedEOF
		}
		if d.pos == len(d.out) {
			if err := d.growOutput(); err != nil {
				return err
			}
		}
		copied := copy(d.out[d.pos:], d.src[d.in:min(len(d.src), d.in+n)])
		d.pos, d.in, n = d.pos+copied, d.in+copied, n-copied
	}
	return nil
}

// fixed returns the tables of the fixed codes (RFC 1951, section 3.2.6).
var fixed = sync.OnceValue(func() *tables {
	var lits [allLit]uint8
	for s := range lits {
		switch {
		case s < 144:
			lits[s] = 8
		case s < 256:
			lits[s] = 9
		case s < 280:
			lits[s] = 7
		default:
			lits[s] = 8
		}
	}
	var dists [allDist]uint8
	for s := range dists {
		dists[s] = 5
	}
	t := new(tables)
	t.make(lits[:], dists[:])
	return t
})

// preOrder is the order of the lengths of the codes for code lengths.
var preOrder = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// codes reads the codes of a block (RFC 1951, section 3.2.7) and makes its tables.
func (d *Decoder) codes() error {
	head, err := d.readBits(5 + 5 + 4)
	if err != nil {
		return err
	}
	lits, dists, pres := head&31+257, head>>5&31+1, head>>10+4
	if lits > maxLit || dists > maxDist {
		return errData
	}
	var preLengths [len(preOrder)]uint8
	for _, s := range preOrder[:pres] {
		n, err := d.readBits(3)
		if err != nil {
			return err
		}
		preLengths[s] = uint8(n & 7)
	}
	if !fill(d.pre[:], nil, preLengths[:], preSymbols[:]) {
		return errData
	}
	lengths := d.lengths[:lits+dists]
	for i := 0; i < len(lengths); {
		if d.have < preBits {
			d.refill()
		}
		e := d.pre[d.bits&(1<<preBits-1)]
		n := uint(e & 63)
		if d.have < n {
			return io.ErrUnexpectedEOF
		}
		if e&bad != 0 {
			return errData
		}
		d.dropBits(n)
		value, times := uint8(e>>16&0xff), 1
		if value >= 16 {
			if value, times, err = d.repeat(value, lengths[:i]); err != nil {
				return err
			}
		}
		if times > len(lengths)-i {
			return errData
		}
		for range times {
			lengths[i] = value
			i++
		}
	}
	if !d.tables.make(lengths[:lits], lengths[lits:]) {
		return errData
	}
	return nil
}

// repeat reads which length a symbol from 16 on repeats, and how often. before contains
// the previous lengths.
func (d *Decoder) repeat(symbol uint8, before []uint8) (value uint8, times int, err error) {
	switch symbol {
	case 16:
		if len(before) == 0 {
			return 0, 0, errData
		}
		times, err = d.readBits(2)
		return before[len(before)-1], times + 3, err
	case 17:
		times, err = d.readBits(3)
		return 0, times + 3, err
	default:
		times, err = d.readBits(7)
		return 0, times + 11, err
	}
}

// compressed inflates the data of a block with codes, up to its end.
func (d *Decoder) compressed(t *tables) error {
	for {
		d.fast(t)
		if done, err := d.symbol(t); done || err != nil {
			return err
		}
	}
}

// symbol decodes one symbol, including a distance, at any position of the input and the
// output. done reports whether it is the end of the block.
func (d *Decoder) symbol(t *tables) (done bool, err error) {
	d.refill() // enough for one symbol, which has at most 15+5 + 15+13 bits
	e := t.lits[d.bits&(1<<litBits-1)]
	if e&link != 0 {
		e = t.litLinks[uint64(e>>16)+d.bits>>litBits&(1<<(e>>8&15)-1)]
	}
	// A block always ends with the end symbol, so at least the bits of its code must
	// exist.
	if d.have < max(uint(e>>8&15), t.end) {
		return false, io.ErrUnexpectedEOF
	}
	switch {
	case e&bad != 0:
		return false, errData
	case e&literal != 0:
		if d.pos == len(d.out) {
			if err := d.growOutput(); err != nil {
				return false, err
			}
		}
		d.out[d.pos] = byte(e >> 16 & 0xff)
		d.pos++
		d.dropBits(uint(e & 63))
		return false, nil
	case e&end != 0:
		d.dropBits(uint(e & 63))
		return true, nil
	}
	length, err := d.value(e)
	if err != nil {
		return false, err
	}
	e = t.dists[d.bits&(1<<distBits-1)]
	if e&link != 0 {
		e = t.distLinks[uint64(e>>16)+d.bits>>distBits&(1<<(e>>8&15)-1)]
	}
	if d.have < uint(e>>8&15) {
		return false, io.ErrUnexpectedEOF
	}
	if e&bad != 0 {
		return false, errData
	}
	dist, err := d.value(e)
	if err != nil {
		return false, err
	}
	if dist > d.pos {
		return false, errData
	}
	for length > 0 {
		if d.pos == len(d.out) {
			if err := d.growOutput(); err != nil {
				return false, err
			}
		}
		from := d.out[d.pos-dist : d.pos]
		copied := copy(d.out[d.pos:], from[:min(length, len(from))])
		d.pos, length = d.pos+copied, length-copied
	}
	return false, nil
}

// value reads the length or distance of an entry, including its extra bits.
func (d *Decoder) value(e uint32) (int, error) {
	n := uint(e & 63)
	if d.have < n {
		return 0, io.ErrUnexpectedEOF
	}
	v := int(e>>16) + int(d.bits&(1<<n-1)>>(e>>8&15)&maxExtra)
	d.dropBits(n)
	return v, nil
}
