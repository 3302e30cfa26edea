package subscription

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"logsluice/internal/inflate"
)

// Stages at which decoding fails.
const (
	stageInflate = "inflate"
	stageParse   = "parse"
)

// Error is a problem in a part of the input.
type Error struct {
	// Stage is "inflate" or "parse".
	Stage string
	// Member is the number of the gzip member, counted from 1, preceded by those of the
	// members that contain it: "2" or "1.3". It is "" in plain input.
	Member string
	// Offset is the position in bytes, in the input or in the inflated data of the
	// member.
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

// maxGzip limits the nesting of gzip: the archive has two levels.
const maxGzip = 4

// maxErrors limits the errors, so that hostile input does not fill the memory with them.
// The final error that a limit was exceeded is not counted.
const maxErrors = 20

// Work other than inflating is counted in bytes of text that can be read in the same
// time. Damaged input is retried at each place where a gzip member may start, and gzip
// can contain gzip members that are empty.
const (
	gzipWork    = 16  // per compressed byte: every few bytes can be a block with its own tables
	invalidWork = 256 // per JSON object that is not an envelope, whatever its size
)

// largeBuffer is the size in bytes above which allocating a buffer needs permission.
const largeBuffer = 16 << 20

// maxKept limits the bytes of a buffer that is reused for the next record.
const maxKept = 4 << 20

// Decoder decodes subscription records. It keeps its buffers between calls, unless they
// are unusually large, and is not safe for concurrent use.
type Decoder struct {
	// BeforeLarge is called, if it is set, before the decoder allocates more than 16 MiB
	// for inflated data or rewritten strings. If it returns an error, decoding ends.
	BeforeLarge func() error

	maxInflated  int
	window       int  // maximum events per visit
	left         int  // bytes that may still be inflated
	work         int  // work that may still be done on gzip and on JSON that is not an envelope
	ended        bool // left or work is used up, or BeforeLarge failed
	largeAllowed bool // BeforeLarge succeeded
	gzip         inflate.Decoder
	buffers      [maxGzip][]byte // one per level
	scanner      scanner
	current      Envelope
	identities   identities
	visit        func(*Envelope)
	controls     int
	errs         []error
}

// NewDecoder returns a decoder that inflates at most maxInflated bytes of one input,
// including all levels of gzip. For any input, its memory is at most a small multiple of
// maxInflated, and its time is proportional to maxInflated and the size of the input.
func NewDecoder(maxInflated int) *Decoder {
	d := &Decoder{maxInflated: maxInflated, window: maxWindow, scanner: scanner{maxRewritten: maxInflated}}
	d.scanner.allowLarge, d.gzip.Grow = d.allowLarge, d.allowLarge
	return d
}

// Decode finds the envelopes in one or several concatenated records or in an object of
// the archive: gzip members, gzip of these, or plain JSON. It calls visit for each
// DATA_MESSAGE, several times if it has more than 10,000 events, and returns the number
// of CONTROL_MESSAGEs. Invalid parts are left out: the error joins an *Error for each of
// them, and valid parts around them are still visited. If an envelope has a key twice,
// only the last value is visited.
func (d *Decoder) Decode(data []byte, visit func(*Envelope)) (controls int, err error) {
	d.left, d.work = d.maxInflated, 4*d.maxInflated+2*gzipWork*len(data)
	d.ended, d.largeAllowed = false, false
	d.visit, d.controls, d.errs = visit, 0, nil
	d.input(data, "", 0)
	controls, err = d.controls, errors.Join(d.errs...)
	d.releaseBuffers()
	return controls, err
}

// releaseBuffers drops references to the input, and unusually large buffers.
func (d *Decoder) releaseBuffers() {
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

var gzipMagic = []byte{0x1f, 0x8b, 0x08}

// input decodes concatenated members and envelopes in data, which is the input or the
// inflated data of a gzip member.
func (d *Decoder) input(data []byte, parent string, level int) {
	if len(bytes.Trim(data, " \t\r\n")) == 0 {
		d.fail(stageParse, parent, 0, errors.New("the data is empty"))
		return
	}
	searching := false // for the next valid member after an invalid part
	for pos, members := 0, 0; pos < len(data); {
		stage, name, at := stageParse, parent, pos
		var n int
		var err error
		if bytes.HasPrefix(data[pos:], gzipMagic) {
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
		next := bytes.Index(data[pos+1:], gzipMagic)
		if next < 0 {
			return
		}
		pos += 1 + next
	}
}

// errBound ends decoding, because what follows would exceed the limit as well. Its text is the
// setting to raise, and the errors that wrap it are worded around it.
var errBound = errors.New("MAX_INFLATED_BYTES")

// spend counts work, and returns an error if it exceeds the limit.
func (d *Decoder) spend(work int) error {
	if d.work -= work; d.work < 0 {
		return fmt.Errorf("too much gzip, or too much JSON that is not an envelope, so the rest is left out: raise %w unless it is an attack", errBound)
	}
	return nil
}

// member inflates the gzip member (RFC 1952) at the start of data, decodes its contents,
// and returns its length.
func (d *Decoder) member(data []byte, name string, level int) (n int, err error) {
	if level == maxGzip {
		return 0, fmt.Errorf("gzip within gzip more than %d deep", maxGzip)
	}
	out, n, err := d.gzip.Member(d.buffers[level][:0], data[:min(len(data), d.work/gzipWork+1)], d.left)
	d.buffers[level] = out
	d.left -= len(out)
	if errors.Is(err, inflate.ErrTooLong) {
		return 0, fmt.Errorf("it inflates to more than %d bytes: raise %w unless it is an attack", d.maxInflated, errBound)
	}
	if err := d.spend(gzipWork * n); err != nil {
		return 0, err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		// Complete envelopes are valid. The error, here or before, already reports that
		// the last one is incomplete, but not that a limit was exceeded.
		errs := d.errs
		if d.input(out, name, level+1); !d.ended {
			d.errs = errs
		}
	}
	if err != nil {
		return 0, describe(err)
	}
	d.input(out, name, level+1)
	return n, nil
}

// describe returns an error of the gzip data in plain words.
func describe(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the gzip data is cut off")
	}
	return err
}

// allowLarge calls BeforeLarge before the first large allocation.
func (d *Decoder) allowLarge(room int) error {
	if room <= largeBuffer || d.largeAllowed || d.BeforeLarge == nil {
		return nil
	}
	err := d.BeforeLarge()
	d.largeAllowed, d.ended = err == nil, err != nil
	return err
}

// text decodes concatenated envelopes up to the end or a gzip member, and returns how
// many bytes it has read.
func (d *Decoder) text(data []byte, parent string, at int) (n int, err error) {
	s := &d.scanner
	s.data, s.pos = data, 0
	for s.skipSpace(); s.pos < len(data) && !bytes.HasPrefix(data[s.pos:], gzipMagic); s.skipSpace() {
		start := s.pos
		if s.peek() != '{' {
			return s.pos, errors.New("this is neither gzip nor a JSON object")
		}
		switch err := d.envelope(); {
		case errors.Is(err, errShape):
			d.fail(stageParse, parent, at+start, err)
			if err := d.spend(invalidWork); err != nil {
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
		if d.current.duplicate != "" {
			d.fail(stageParse, parent, at+start, errDuplicateKey(d.current.duplicate))
		}
	}
	return s.pos, nil
}
