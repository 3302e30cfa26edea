package inflate

import "encoding/binary"

const (
	// maxRatio is the maximum compression ratio of DEFLATE.
	maxRatio = 1032
	// leastRoom is the minimum allocation in bytes.
	leastRoom = 4096
)

// reserve allocates room for the whole member. The trailer contains its size, if nothing
// follows the member and the trailer is correct.
func (d *Decoder) reserve() error {
	if len(d.src) < trailerSize {
		return nil
	}
	size := int64(binary.LittleEndian.Uint32(d.src[len(d.src)-4:]))
	size = min(size, maxRatio*int64(len(d.src)), int64(d.limit))
	if size <= int64(len(d.out)) {
		return nil
	}
	return d.grow(int(size) + fastRoom)
}

// growOutput allocates more room after all of it is used.
func (d *Decoder) growOutput() error {
	if len(d.out) >= d.limit {
		return ErrTooLong
	}
	return d.grow(max(2*len(d.out), leastRoom))
}

// grow sets the room for output to size bytes, but at most to the limit.
func (d *Decoder) grow(size int) error {
	size = min(size, d.limit)
	if d.Grow != nil {
		if err := d.Grow(len(d.dst) + size); err != nil {
			return err
		}
	}
	grown := make([]byte, len(d.dst)+size)
	copy(grown, d.dst)
	copy(grown[len(d.dst):], d.out[:d.pos])
	d.dst, d.out = grown[:len(d.dst)], grown[len(d.dst):]
	return nil
}
