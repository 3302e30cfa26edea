package inflate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// The header and trailer of a gzip member.

// ErrTooLong is returned for a member that inflates to more bytes than allowed.
var ErrTooLong = errors.New("inflate: longer than allowed")

var (
	errHeader   = errors.New("inflate: invalid gzip header")
	errData     = errors.New("inflate: invalid compressed data")
	errChecksum = errors.New("inflate: wrong checksum or length")
)

// Member inflates the gzip member (RFC 1952) at the start of src and appends its contents
// to dst. It returns the extended slice and the length of the member, and ignores what
// follows it.
//
// On error, the data inflated before is still appended, and n is how far src was read.
// The error is io.ErrUnexpectedEOF if src ends within the member, ErrTooLong if the
// member inflates to more than limit bytes (out then has the first limit bytes), or the
// error of Grow.
//
// If dst has too little room, the last 4 bytes of src determine how much is allocated:
// the inflated length, if nothing follows the member. It is limited by limit and by the
// maximum ratio of DEFLATE. If it was too small, the room doubles. Memory between length
// and capacity of dst may be overwritten.
func (d *Decoder) Member(dst, src []byte, limit int) (out []byte, n int, err error) {
	if n, err = header(src); err != nil {
		return dst, n, err
	}
	d.src, d.in, d.bits, d.have = src, n, 0, 0
	d.dst, d.limit, d.pos = dst, limit, 0
	d.out = dst[len(dst):cap(dst)]
	d.out = d.out[:min(len(d.out), max(limit, 0))]
	if err = d.reserve(); err == nil {
		err = d.blocks()
	}
	if err == nil {
		err = d.trailer()
	}
	out, n = d.dst[:len(d.dst)+d.pos], d.in
	d.src, d.dst, d.out = nil, nil, nil
	return out, n, err
}

// Bits of the header's flags (RFC 1952, section 2.3.1).
const (
	flagCRC     = 1 << 1
	flagExtra   = 1 << 2
	flagName    = 1 << 3
	flagComment = 1 << 4
)

// maxText is the maximum size of a name or a comment, including the zero byte at its end.
// The RFC has no limit; this is the one of compress/gzip.
const maxText = 512

// header checks the header (RFC 1952, section 2.3) at the start of src and returns its
// length. Like compress/gzip, it ignores reserved flags.
func header(src []byte) (n int, err error) {
	if len(src) < 10 {
		return len(src), io.ErrUnexpectedEOF
	}
	if src[0] != 0x1f || src[1] != 0x8b || src[2] != 8 {
		return 0, errHeader
	}
	flags := src[3]
	n = 10
	if flags&flagExtra != 0 {
		if len(src) < n+2 {
			return len(src), io.ErrUnexpectedEOF
		}
		n += 2 + int(binary.LittleEndian.Uint16(src[n:]))
		if len(src) < n {
			return len(src), io.ErrUnexpectedEOF
		}
	}
	for _, flag := range []byte{flagName, flagComment} {
		if flags&flag == 0 {
			continue
		}
		text := src[n:min(len(src), n+maxText)]
		end := bytes.IndexByte(text, 0)
		switch {
		case end >= 0:
			n += end + 1
		case len(text) == maxText:
			return n + maxText, errHeader
		default:
			return len(src), io.ErrUnexpectedEOF
		}
	}
	if flags&flagCRC != 0 {
		if len(src) < n+2 {
			return len(src), io.ErrUnexpectedEOF
		}
		if binary.LittleEndian.Uint16(src[n:]) != uint16(crc32.ChecksumIEEE(src[:n])&0xffff) {
			return n + 2, errHeader
		}
		n += 2
	}
	return n, nil
}

// trailerSize is the length of the trailer: checksum and length.
const trailerSize = 8

// trailer checks the trailer (RFC 1952, section 2.3.1: CRC32 and ISIZE) after the data.
func (d *Decoder) trailer() error {
	if len(d.src)-d.in < trailerSize {
		d.in = len(d.src)
		return io.ErrUnexpectedEOF
	}
	t := d.src[d.in : d.in+trailerSize]
	d.in += trailerSize
	out := d.out[:d.pos]
	if binary.LittleEndian.Uint32(t) != crc32.ChecksumIEEE(out) || binary.LittleEndian.Uint32(t[4:]) != uint32(len(out)&0xffffffff) {
		return errChecksum
	}
	return nil
}
