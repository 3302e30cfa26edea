package subscription

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"weak"
)

// zip compresses texts into concatenated gzip members.
func zip(texts ...string) []byte {
	var out bytes.Buffer
	for _, text := range texts {
		w := gzip.NewWriter(&out)
		io.WriteString(w, text)
		w.Close()
	}
	return out.Bytes()
}

// found returns the decoded messages, the number of control messages and the error.
func found(data []byte, bound int) (messages []string, controls int, err error) {
	controls, err = NewDecoder(bound).Decode(data, func(e *Envelope) {
		for _, ev := range e.Events {
			messages = append(messages, ev.Message.String())
		}
	})
	return messages, controls, err
}

const bound = 1 << 20

// one returns an envelope with one event.
func one(message string) string {
	return fmt.Sprintf(`{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","subscriptionFilters":["f"],"logEvents":[{"id":"%056d","timestamp":1,"message":%q}]}`, len(message), message)
}

const control = `{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}]}`

func TestDecode_Success(t *testing.T) {
	f := func(name string, data []byte, want string, wantControls int) {
		t.Helper()
		messages, controls, err := found(data, bound)
		if err != nil || strings.Join(messages, " ") != want || controls != wantControls {
			t.Errorf("%s: %q, %d control messages, %v", name, messages, controls, err)
		}
	}
	f("a member", zip(one("a")), "a", 0)
	f("members", zip(one("a"), one("b"), one("c")), "a b c", 0)
	f("envelopes in a member", zip(one("a")+one("b")+" \n"+one("c")+"\n"), "a b c", 0)
	f("JSON", []byte(one("a")+one("b")), "a b", 0)
	f("JSON by lines", []byte("\n"+one("a")+"\n"+one("b")+"\n"), "a b", 0)
	f("gzip of members, as in the archive", zip(string(zip(one("a"), one("b")))+string(zip(one("c")))), "a b c", 0)
	f("several of these", zip(string(zip(one("a"), one("b"))), string(zip(one("c")))), "a b c", 0)
	f("four deep", zip(string(zip(string(zip(string(zip(one("a")))))))), "a", 0)
	f("a mix", append(append([]byte(one("a")), zip(one("b"))...), one("c")...), "a b c", 0)
	f("control messages", zip(control, one("a"), control), "a", 2)
	f("no events", zip(`{"messageType":"DATA_MESSAGE","logEvents":[]}`), "", 0)
}

func TestDecode_Failure(t *testing.T) {
	corrupt := func(data []byte, at int) []byte {
		data = bytes.Clone(data)
		data[(len(data)+at)%len(data)] ^= 0xff
		return data
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	good := func(m string) []byte { return zip(one(m)) }
	f := func(name string, data []byte, want string, errs ...string) {
		t.Helper()
		messages, _, err := found(data, bound)
		if err == nil {
			t.Errorf("%s: no error", name)
			return
		}
		if got := strings.Join(messages, " "); got != want {
			t.Errorf("%s: found %q, want %q", name, got, want)
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(errs) {
			t.Errorf("%s: %d errors, want %d: %q", name, len(lines), len(errs), lines)
			return
		}
		for i := range errs {
			if !strings.Contains(lines[i], errs[i]) {
				t.Errorf("%s: error %q does not contain %q", name, lines[i], errs[i])
			}
		}
	}
	a, b, c := good("a"), good("b"), good("c")
	f("nothing", nil, "", "byte 0: the data is empty")
	f("white space", []byte(" \n"), "", "byte 0: the data is empty")
	f("gzip of nothing", zip(""), "", "gzip member 1, byte 0: the data is empty")
	f("neither", []byte("hello"), "", "byte 0: this is neither gzip nor a JSON object")
	f("gzip of neither", zip("hello"), "", "gzip member 1, byte 0: this is neither")
	f("an array", []byte("[]"), "", "neither")
	f("wrong CRC", join(a, corrupt(b, -8), c), "a c", fmt.Sprintf("gzip member 2, byte %d: ", len(a)))
	f("wrong length", join(a, corrupt(b, -1), c), "a c", "gzip member 2")
	f("wrong CRC, and a cut", join(a, corrupt(b, -8), c, b[:len(b)-20]), "a c", "gzip member 2", "gzip member 4")
	f("broken data", join(a, corrupt(b, 12), c), "a c", "gzip member 2")
	f("cut", join(a, b[:len(b)-20]), "a", fmt.Sprintf("gzip member 2, byte %d: the gzip data is cut off", len(a)))
	f("cut in its trailer", join(a, b[:len(b)-3]), "a b", "gzip member 2")
	f("cut before another", join(b[:len(b)-20], c), "c", "gzip member 1, byte 0: ")
	f("cut header", join(a, b[:5]), "a", "gzip member 2")
	f("cut in the name of a file", []byte("\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\xffname"), "", "cut off")
	f("garbage between", join(a, []byte("garbage"), c), "a c", fmt.Sprintf("byte %d: this is neither", len(a)))
	f("garbage after", join(a, []byte("garbage")), "a", "neither")
	f("magics in garbage", join(a, []byte("garbage"), gzipMagic, gzipMagic, b, c[:len(c)-20]), "a b", "neither", "gzip member 3")
	f("archive object cut", zip(string(a) + string(b) + string(c))[:len(zip(string(a)+string(b)+string(c)))-40], "a b", "gzip member 1, byte 0: the gzip data is cut off")
	f("archive object cut after garbage", join([]byte("garbage"), zip(string(a) + string(b) + string(c))[:len(zip(string(a)+string(b)+string(c)))-40]), "a b", "neither")
	f("bad member within", zip(string(a)+string(corrupt(b, -8))+string(c)), "a c", "gzip member 1.2")
	f("five deep", zip(string(zip(string(zip(string(zip(string(a)))))))), "", "more than 4 deep")
	f("envelope cut", []byte(one("a")+one("b")[:100]), "a", fmt.Sprintf("byte %d: the text ends early", len(one("a"))+100))
	f("envelope cut in a member", zip(one("a")[:100], one("b")), "b", "gzip member 1, byte 100: the text ends early")
	f("envelope cut in a skipped value", zip(`{"x":[[`, one("b")), "b", "the text ends early")
	f("syntax", []byte(one("a")+`{"messageType" "x"}`+one("b")), "a", fmt.Sprintf("byte %d: expected a colon", len(one("a"))+len(`{"messageType" `)))
	f("trailing comma", []byte(`{"messageType":"DATA_MESSAGE","logEvents":[],}`), "", "expected a string")
	f("another shape", []byte(one("a")+`{"foo":[1,2,{"x":null}]}`+one("b")), "a b", fmt.Sprintf("byte %d: not a subscription envelope: it has no messageType", len(one("a"))))
	f("unknown type", []byte(`{"messageType":"OTHER","logEvents":[]}`), "", `messageType is "OTHER"`)
	f("no events", []byte(`{"messageType":"DATA_MESSAGE"}`), "", "no logEvents array")
	f("events of another type", []byte(`{"messageType":"DATA_MESSAGE","logEvents":{"a":1}}`), "", "no logEvents array")
	f("group of another type", []byte(`{"messageType":"DATA_MESSAGE","logGroup":7,"logEvents":[]}`), "", "logGroup is not a string")
	f("bad escape", []byte(`{"messageType":"\x"}`), "", "expected an escape sequence")
	f("bad number", []byte(`{"x":01}`), "", "expected a comma")
	f("bad number", []byte(`{"x":1.}`), "", "expected a digit")
	f("bad word", []byte(`{"x":nul}`), "", "expected a value")
	f("too deep", []byte(`{"x":`+strings.Repeat("[", 20_000)), "", "nested more than 10000 deep")
}

func TestErrorStage(t *testing.T) {
	f := func(data []byte, stage string) {
		t.Helper()
		var e *Error
		if _, _, err := found(data, bound); !errors.As(err, &e) || e.Stage != stage {
			t.Errorf("stage of %v, want %s", err, stage)
		}
	}
	f(zip(one("a"))[:30], "inflate")
	f(zip("{"), "parse")
	f([]byte("x"), "parse")
}

// The inflated size of a record is limited, whatever its trailer contains, and so is its
// memory.
func TestInflationBound(t *testing.T) {
	f := func(name string, data []byte) {
		t.Helper()
		var messages []string
		var err error
		size := allocated(func() { messages, _, err = found(data, bound) })
		// Nothing is decoded after the limit, at any level.
		lines := strings.Split(fmt.Sprint(err), "\n")
		if len(messages) > 0 || len(lines) > maxErrors+1 || strings.Count(fmt.Sprint(err), "MAX_INFLATED_BYTES") != 1 {
			t.Errorf("%s: %q, %d errors, %q", name, messages, len(lines), lines)
		}
		if size > 4*bound {
			t.Errorf("%s: %d bytes allocated for a bound of %d", name, size, bound)
		}
	}
	bomb := zip(strings.Repeat("0", 10*bound))
	f("bomb", bomb)
	lying := bytes.Clone(bomb)
	binary.LittleEndian.PutUint32(lying[len(lying)-4:], 10)
	f("lying", lying)
	f("nested", zip(string(bomb)))
	cut := zip(string(bomb) + string(zip(one("a"))))
	f("nested, and cut off", cut[:len(cut)-10])
	f("nested, and more", zip(string(bomb), one("a")))
	f("gzip of nothing, and more", zip(strings.Repeat(string(zip("")), bound/len(zip(""))), one("a")))
	// The limit applies to the whole input.
	text := one(strings.Repeat("a", bound/3))
	if messages, _, err := found(zip(text, text, text), bound); err == nil || len(messages) != 2 {
		t.Errorf("%d messages, %v", len(messages), err)
	}
	exact := one("a")
	if _, _, err := found(zip(exact), len(exact)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, _, err := found(zip(exact), len(exact)-1); err == nil {
		t.Error("above the limit: no error")
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// Nothing is allocated per event, and little per record.
func TestAllocations(t *testing.T) {
	var events []string
	for i := range 1000 {
		events = append(events, fmt.Sprintf(`{"id":"%056d","timestamp":1544414264183,"message":"{\"level\":\"info\",\"msg\":\"\u65e5本語\\n %d\"}"}`, i, i))
	}
	data := zip(withEvents(strings.Join(events, ",")))
	d := NewDecoder(bound)
	f := func(records, want int) {
		t.Helper()
		if got := allocated(func() {
			for range records {
				if _, err := d.Decode(data, func(*Envelope) {}); err != nil {
					t.Fatal(err)
				}
			}
		}); got > want {
			t.Errorf("%d bytes allocated for %d records", got, records)
		}
	}
	f(1, bound)
	f(20, 20*4<<10)
}

// The buffer of a typical record is allocated once, with the necessary size.
func TestInflationBuffer(t *testing.T) {
	f := func(data []byte, most int) {
		t.Helper()
		d := NewDecoder(64 << 20)
		if got := allocated(func() { d.Decode(data, func(*Envelope) {}) }); got > most {
			t.Errorf("%d bytes allocated for a record of %d", got, len(data))
		}
	}
	text := one(strings.Repeat("a", 3<<20))
	f(zip(text), len(text)+256<<10)
	var flushed bytes.Buffer
	w := gzip.NewWriter(&flushed)
	io.WriteString(w, text)
	w.Flush()
	w.Close()
	f(flushed.Bytes(), len(text)+256<<10)
	// A small record takes little memory, whatever its trailer contains: the last bytes
	// of a truncated record are not a length.
	f(append(zip(one("a")), 0xff, 0xff, 0xff, 0x7f), 1<<20)
}

// Between calls, a decoder keeps neither its last record nor the visitor.
func TestReleaseBuffers(t *testing.T) {
	f := func(name string, data []byte) {
		t.Helper()
		visitor := new([1 << 10]byte)
		pointers := map[string]weak.Pointer[byte]{"record": weak.Make(&data[0]), "visitor": weak.Make(&visitor[0])}
		d := NewDecoder(bound)
		d.Decode(data, func(*Envelope) { visitor[0]++ })
		runtime.GC()
		for what, p := range pointers {
			if p.Value() != nil {
				t.Errorf("%s: the %s is kept", name, what)
			}
		}
		runtime.KeepAlive(d)
	}
	f("gzip", zip(one("a")))
	f("JSON", []byte(one("a")))
	f("JSON cut off among its events", []byte(`{"messageType":"DATA_MESSAGE","logEvents":[{"timestamp":1,"message":"a"},1,{`))
	large := apart(maxKept / 32)
	data := zip(large)
	d := NewDecoder(len(large))
	before := live()
	d.Decode(data, func(*Envelope) {})
	if left := live() - before; len(large) <= maxKept || left > 1<<20 {
		t.Errorf("%d bytes are left of a text of %d", left, len(large))
	}
	runtime.KeepAlive(d)
}

// A decoder calls BeforeLarge once for a record that takes much memory, and stops if it
// fails.
func TestBeforeLarge(t *testing.T) {
	f := func(name, unit string, size int, leave error, wantAsked, wantEvents int) {
		t.Helper()
		d := NewDecoder(1 << 30)
		asked, events := 0, 0
		d.BeforeLarge = func() error {
			asked++
			return leave
		}
		record := func(size int) string {
			return `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","logEvents":[{"id":"1","timestamp":1,"message":"` +
				strings.Repeat(unit, size) + `"}]}`
		}
		_, err := d.Decode(zip(record(size), record(3*size), record(2*size)), func(e *Envelope) { events += len(e.Events) })
		if asked != wantAsked || events != wantEvents || !errors.Is(err, leave) {
			t.Errorf("%s: called %d times, %d events, %v", name, asked, events, err)
		}
	}
	f("small", "x", largeBuffer/8, nil, 0, 3)
	f("large", "x", largeBuffer/2, nil, 1, 3)
	f("refused", "x", largeBuffer/2, io.ErrClosedPipe, 1, 0)
	f("rewritten to a large size", "\x01", largeBuffer/12, nil, 1, 3)
	f("refused before rewriting", "\x01", largeBuffer/12, io.ErrClosedPipe, 1, 1)
}
