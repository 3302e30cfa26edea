package subscription

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
)

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

// maxErrors keeps hostile input from filling the memory with complaints.
const maxErrors = 20

// Decoder decodes subscription records. It keeps its buffers between calls and
// is not safe for concurrent use.
type Decoder struct {
	maxInflated int
	left        int // bytes that may still be inflated
	gzip        gzip.Reader
	source      bytes.Reader
	buffers     [maxGzip][]byte // one for each level
	scanner     scanner
	current     Envelope
	visit       func(*Envelope)
	controls    int
	errs        []error
}

// NewDecoder makes a decoder that inflates at most maxInflated bytes for one
// input, all levels of gzip together.
func NewDecoder(maxInflated int) *Decoder { return &Decoder{maxInflated: maxInflated} }

// Decode finds the envelopes in a record, in several records back to back, or
// in an object of the archive: gzip members, gzip of these, or plain JSON,
// back to back. It calls visit for each DATA_MESSAGE and counts the
// CONTROL_MESSAGEs. What is bad is left out: the error joins an *Error for each
// bad stretch, and the good around it is visited all the same.
func (d *Decoder) Decode(data []byte, visit func(*Envelope)) (controls int, err error) {
	d.left, d.visit, d.controls, d.errs = d.maxInflated, visit, 0, nil
	d.input(data, "", 0)
	d.visit = nil
	return d.controls, errors.Join(d.errs...)
}

func (d *Decoder) fail(stage, member string, offset int, err error) {
	if len(d.errs) < maxErrors {
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
		var n int
		var err error
		if bytes.HasPrefix(data[pos:], magic) {
			member := fmt.Sprint(members + 1)
			if parent != "" {
				member = parent + "." + member
			}
			if n, err = d.member(data[pos:], member, level, searching); err == nil {
				members++
			} else if !searching {
				members++
				d.fail(stageInflate, member, pos, err)
			}
		} else if n, err = d.text(data[pos:], parent, pos); err != nil && !searching {
			d.fail(stageParse, parent, pos+n, err)
		}
		if errors.Is(err, errBound) {
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

// member inflates the gzip member (RFC 1952) that data begins with, decodes
// what is in it, and returns its length.
func (d *Decoder) member(data []byte, name string, level int, searching bool) (n int, err error) {
	if level == maxGzip {
		return 0, fmt.Errorf("gzip within gzip more than %d deep", maxGzip)
	}
	d.source.Reset(data)
	if err := d.gzip.Reset(&d.source); err != nil {
		return 0, readable(err)
	}
	d.gzip.Multistream(false)
	out, err := d.inflate(d.buffers[level][:0], len(data))
	d.buffers[level] = out
	consumed := len(data) - d.source.Len()
	if err != nil && !searching && errors.Is(err, io.ErrUnexpectedEOF) {
		// Envelopes that are whole are good. That the last one is not is what
		// the error says.
		errs := d.errs
		d.input(out, name, level+1)
		d.errs = errs
	}
	if err != nil {
		return 0, readable(err)
	}
	d.input(out, name, level+1)
	return consumed, nil
}

func readable(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the gzip data is cut off")
	}
	return err
}

// inflate reads what is left of the current member into buf, within the bound.
func (d *Decoder) inflate(buf []byte, compressed int) ([]byte, error) {
	const leastRoom = 512
	for {
		if cap(buf)-len(buf) < leastRoom {
			// Text compresses by ten; beyond that the buffer doubles.
			grown := make([]byte, len(buf), min(max(2*cap(buf), 10*compressed, 4096), len(buf)+d.left+leastRoom))
			copy(grown, buf)
			buf = grown
		}
		n, err := d.gzip.Read(buf[len(buf):min(cap(buf), len(buf)+d.left+1)])
		buf = buf[:len(buf)+n]
		if d.left -= n; d.left < 0 {
			return buf[:0], fmt.Errorf("it inflates to more than %d bytes: raise %w if it is no attack", d.maxInflated, errBound)
		}
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
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
		case err != nil:
			return s.pos, err
		case string(d.current.kind) == controlMessage:
			d.controls++
		default:
			d.visit(&d.current)
		}
	}
	return s.pos, nil
}
