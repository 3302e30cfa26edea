package subscription

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"logsluice/internal/inflate"
)

// Decoder, which inflates a record (gzip members, back to back and nested) and passes on
// each envelope in it.

// Stages at which decoding fails.
const (
	stageInflate = "inflate"
	stageParse   = "parse"
)

// Error is what is wrong with a part of the input.
type Error struct {
	// Stage is "inflate" or "parse".
	Stage string
	// Member names the gzip member, counted from 1, with the members it is in
	// before it: "2" or "1.3"; "" in plain input.
	Member string
	// Offset is where, in bytes of the input or of what its member inflates to.
	Offset int
	Err    error
}

func (e *Error) Error() string {
	if e.Member == "" {
		return fmt.Sprintf("byte %d: %v", e.Offset, e.Err)
	}
	return fmt.Sprintf("gzip member %s, byte %d: %v", e.Member, e.Offset, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// maxGzip bounds gzip within gzip: the archive has two levels.
const maxGzip = 4

// maxErrors keeps hostile input from filling the memory with complaints. The
// last one, that a bound is reached, comes on top.
const maxErrors = 20

// Work, beside what is inflated, is counted in bytes of text that could be read
// in its time. Damaged input is tried again at each place where a gzip member may
// begin, and gzip can inflate to gzip that inflates to nothing.
const (
	gzipWork  = 16  // of a compressed byte: each few can be a block with tables of its own
	wrongWork = 256 // of a JSON object that is no envelope, whatever its size
)

// large is the size in bytes from which a buffer is taken with leave only.
const large = 16 << 20

// maxKept bounds the bytes of a buffer that is kept for the next record.
const maxKept = 4 << 20

// Decoder decodes subscription records. It keeps its buffers between calls,
// unless they are unusually large, and is not safe for concurrent use.
type Decoder struct {
	// BeforeLarge is called, if it is set, before the decoder takes more than 16 MiB
	// for what a record inflates to, or for what of it has to be rewritten. Its error
	// ends the decoding.
	BeforeLarge func() error

	maxInflated int
	window      int  // events in one visit
	left        int  // bytes that may still be inflated
	work        int  // that may still be done on gzip and on what is no envelope
	ended       bool // left or work is used up, or there is no leave for more memory
	leave       bool // for large buffers
	gzip        inflate.Decoder
	buffers     [maxGzip][]byte // one for each level
	scanner     scanner
	current     Envelope
	identities  identities
	visit       func(*Envelope)
	controls    int
	errs        []error
}

// NewDecoder makes a decoder that inflates at most maxInflated bytes for one
// input, all levels of gzip together. Whatever the input, its memory is at most a
// small multiple of that, and its time grows with that and the input's size only.
func NewDecoder(maxInflated int) *Decoder {
	d := &Decoder{maxInflated: maxInflated, window: maxWindow, scanner: scanner{maxRewritten: maxInflated}}
	d.scanner.mayTake, d.gzip.Grow = d.mayTake, d.mayTake
	return d
}

// Decode finds the envelopes in a record, in several records back to back, or
// in an object of the archive: gzip members, gzip of these, or plain JSON,
// back to back. It calls visit for each DATA_MESSAGE, several times for one with
// more than 10,000 events, and counts the CONTROL_MESSAGEs. What is bad is left
// out: the error joins an *Error for each bad stretch, and the good around it is
// still visited. An envelope with a key twice is visited with the last value, and the
// values before are left out.
func (d *Decoder) Decode(data []byte, visit func(*Envelope)) (controls int, err error) {
	d.left, d.work = d.maxInflated, 4*d.maxInflated+2*gzipWork*len(data)
	d.ended, d.leave = false, false
	d.visit, d.controls, d.errs = visit, 0, nil
	d.input(data, "", 0)
	controls, err = d.controls, errors.Join(d.errs...)
	d.letGo()
	return controls, err
}

// letGo forgets the input, and buffers that are unusually large.
func (d *Decoder) letGo() {
	d.visit, d.scanner.data, d.identities.seen = nil, nil, nil
	d.current.reset()
	for i, buf := range d.buffers {
		if cap(buf) > maxKept {
			d.buffers[i] = nil
		}
	}
}

func (d *Decoder) fail(stage, member string, offset int, err error) {
	if len(d.errs) < maxErrors || errors.Is(err, errBound) {
		d.errs = append(d.errs, &Error{Stage: stage, Member: member, Offset: offset, Err: err})
	}
}

var magic = []byte{0x1f, 0x8b, 0x08}

// input decodes what stands back to back in data, which is the input itself or
// what a gzip member of it inflates to.
func (d *Decoder) input(data []byte, parent string, level int) {
	if len(bytes.Trim(data, " \t\r\n")) == 0 {
		d.fail(stageParse, parent, 0, errors.New("there is nothing in it"))
		return
	}
	searching := false // for the next good member after a bad stretch
	for pos, members := 0, 0; pos < len(data); {
		stage, name, at := stageParse, parent, pos
		var n int
		var err error
		if bytes.HasPrefix(data[pos:], magic) {
			stage, name = stageInflate, fmt.Sprint(members+1)
			if parent != "" {
				name = parent + "." + name
			}
			if n, err = d.member(data[pos:], name, level); err == nil || !searching {
				members++
			}
		} else {
			n, err = d.text(data[pos:], parent, pos)
			at += n
		}
		if err != nil && (!searching || errors.Is(err, errBound)) {
			d.fail(stage, name, at, err)
		}
		if d.ended = d.ended || errors.Is(err, errBound); d.ended {
			return
		}
		searching = err != nil
		if err == nil {
			pos += n
			continue
		}
		next := bytes.Index(data[pos+1:], magic)
		if next < 0 {
			return
		}
		pos += 1 + next
	}
}

// errBound ends decoding: what follows would go beyond the bound as well.
var errBound = errors.New("MAX_INFLATED_BYTES")

// spend counts work, and tells when there was too much of it.
func (d *Decoder) spend(work int) error {
	if d.work -= work; d.work < 0 {
		return fmt.Errorf("there is so much gzip, or so much that is no envelope, that the rest is left out: raise %w if it is no attack", errBound)
	}
	return nil
}

// member inflates the gzip member (RFC 1952) that data begins with, decodes
// what is in it, and returns its length.
func (d *Decoder) member(data []byte, name string, level int) (n int, err error) {
	if level == maxGzip {
		return 0, fmt.Errorf("gzip within gzip more than %d deep", maxGzip)
	}
	out, n, err := d.gzip.Member(d.buffers[level][:0], data[:min(len(data), d.work/gzipWork+1)], d.left)
	d.buffers[level] = out
	d.left -= len(out)
	if errors.Is(err, inflate.ErrTooLong) {
		return 0, fmt.Errorf("it inflates to more than %d bytes: raise %w if it is no attack", d.maxInflated, errBound)
	}
	if err := d.spend(gzipWork * n); err != nil {
		return 0, err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		// Envelopes that are whole are good. That the last one is not is what
		// the error says, here or before, but not that a bound is reached.
		errs := d.errs
		if d.input(out, name, level+1); !d.ended {
			d.errs = errs
		}
	}
	if err != nil {
		return 0, readable(err)
	}
	d.input(out, name, level+1)
	return n, nil
}

func readable(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the gzip data is cut off")
	}
	return err
}

// mayTake asks for leave before the first memory that is large.
func (d *Decoder) mayTake(room int) error {
	if room <= large || d.leave || d.BeforeLarge == nil {
		return nil
	}
	err := d.BeforeLarge()
	d.leave, d.ended = err == nil, err != nil
	return err
}

// text decodes envelopes back to back, up to the end or a gzip member, and
// returns how much it has read.
func (d *Decoder) text(data []byte, parent string, at int) (n int, err error) {
	s := &d.scanner
	s.data, s.pos = data, 0
	for s.space(); s.pos < len(data) && !bytes.HasPrefix(data[s.pos:], magic); s.space() {
		start := s.pos
		if s.peek() != '{' {
			return s.pos, errors.New("this is neither gzip nor a JSON object")
		}
		switch err := d.envelope(); {
		case errors.Is(err, errShape):
			d.fail(stageParse, parent, at+start, err)
			if err := d.spend(wrongWork); err != nil {
				return s.pos, err
			}
		case err != nil:
			return s.pos, err
		case string(d.current.kind) == controlMessage:
			d.controls++
		default:
			if err := d.visitAll(); err != nil {
				return s.pos, err
			}
		}
		if d.current.twice != "" {
			d.fail(stageParse, parent, at+start, errTwice(d.current.twice))
		}
	}
	return s.pos, nil
}
