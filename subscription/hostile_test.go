package subscription

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// most is the limit of inflated bytes: less than the default, to be fast, but enough for
// more events than a window.
const most = 2 << 20

// fits returns how often a piece fits into the limit together with the text around it.
func fits(before, piece, after string) int {
	return (most - len(before) - len(after)) / len(piece)
}

// fill repeats a piece as often as it fits.
func fill(before, piece, after string) string {
	return before + strings.Repeat(piece, fits(before, piece, after)) + after
}

// live returns how many bytes are reachable.
func live() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// emptyBlocks returns the DEFLATE data with the highest cost for its size: empty blocks
// with their own tables.
func emptyBlocks(n int) []byte {
	var out []byte
	var acc uint64
	bits := 0
	put := func(value uint64, width int) {
		acc |= value << bits
		for bits += width; bits >= 8; bits -= 8 {
			out = append(out, byte(acc))
			acc >>= 8
		}
	}
	for range n {
		put(0b100, 3) // not the last block, with its own tables
		put(0, 5)     // 257 literal codes
		put(0, 5)     // one distance code
		put(14, 4)    // 18 lengths of the code for lengths: only 18 and 1 have a code
		for i := range 18 {
			if i == 2 || i == 17 {
				put(1, 3)
			} else {
				put(0, 3)
			}
		}
		// 1 has the code 0, and 18 (a run of zeros) the code 1.
		put(1|(138-11)<<1, 8)
		put(1|(118-11)<<1, 8)
		put(0, 2) // the end of the block and the distance have codes
		put(0, 1) // the end of the block
	}
	return out
}

// apart returns an envelope with n different events without ids.
func apart(n int) string {
	events := make([]string, n)
	for i := range events {
		events[i] = fmt.Sprintf(`{"timestamp":0,"message":"%06x"}`, i)
	}
	return withEvents(strings.Join(events, ","))
}

var gzipHeader = append(bytes.Clone(gzipMagic), 0, 0, 0, 0, 0, 0, 0xff)

// For any record, memory and time are limited, and the memory is released afterwards.
func TestHostileRecords(t *testing.T) {
	const before, after = `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","logEvents":[`, `]}`
	// f decodes a record. It expects a number of events, a number of rejected elements,
	// and an error that contains a text, or none.
	f := func(name string, record func() []byte, wantEvents, wantRejected int, wantErr string) {
		t.Run(name, func(t *testing.T) {
			data := record()
			events, rejected := 0, 0
			var err error
			d := NewDecoder(most)
			visits, highest := 0, 0
			before, start := live(), time.Now()
			all := allocated(func() {
				_, err = d.Decode(data, func(e *Envelope) {
					events += len(e.Events)
					rejected += len(e.Rejected)
					if len(e.Events) > maxWindow {
						t.Errorf("%d events in a window", len(e.Events))
					}
					if visits++; visits&(visits-1) == 0 || visits < 20 { // garbage collection is slow
						highest = max(highest, live()-before)
					}
				})
			})
			took, left := time.Since(start), live()-before
			t.Logf("%d bytes: %d KiB allocated, %d KiB reachable, %d KiB left, %d ms, %d events, %d rejected, %.200v",
				len(data), all>>10, highest>>10, left>>10, took.Milliseconds(), events, rejected, err)
			if events != wantEvents || rejected != wantRejected || (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
				t.Errorf("%d events, %d rejected, %v", events, rejected, err)
			}
			if highest > 4*most || left > 2*most+1<<20 {
				t.Errorf("%d MiB are reachable, %d MiB after it", highest>>20, left>>20)
			}
			if all > 16*most { // mostly errors of rejected elements, per window
				t.Errorf("%d MiB are allocated", all>>20)
			}
			if took > time.Minute { // quadratic work would take far longer
				t.Errorf("it took %v", took)
			}
			// Decoding ends with the first piece that exceeds the limit.
			if d.work < -invalidWork {
				t.Errorf("%d work beyond the limit", -d.work)
			}
			runtime.KeepAlive(d)
			runtime.KeepAlive(data)
		})
	}
	// text returns a gzip member with a text of the maximum size.
	text := func(before, piece, after string) func() []byte {
		return func() []byte { return zip(fill(before, piece, after)) }
	}
	const event = `{"timestamp":0,"message":""}`
	f("equal events", text(before, event+",", event+after), fits(before, event+",", event+after)+1, 0, "")
	f("different events", func() []byte { return zip(apart(fits(before, event+",xxxxxx", after))) }, fits(before, event+",xxxxxx", after), 0, "")
	f("controls in events", text(before, `{"timestamp":0,"message":"`+strings.Repeat("\x01", 5000)+`"},`, event+after), 0, 0, "MAX_INFLATED_BYTES")
	some := `{"timestamp":0,"message":"` + strings.Repeat("\x01a\\/bcdefg", 5) + `"},`
	f("some controls in events", text(before, some, event+after), fits(before, some, event+after)+1, 0, "")
	f("one message of controls", text(before+`{"timestamp":0,"message":"`, "\x01", `"}`+after), 0, 0, "MAX_INFLATED_BYTES")
	f("rejected", text(before, "0,", `0`+after), 0, maxRejected+1, "")
	f("every other rejected", text(before, "0,"+event+",", `0`+after), fits(before, "0,"+event+",", "0"+after), maxRejected+1, "")
	f("rejected objects", text(before, `{"id":"","timestamp":0,"message":"","message":1},`, `0`+after), 0, maxRejected+1, "")
	twice := `{"timestamp":0,"message":"","message":""},`
	f("messages twice", text(before, twice, event+after), fits(before, twice, event+after)+1, maxRejected+1, "")
	f("controls in a skipped value", text(`{"x":"`, "\x01", `",`+before[1:]+after), 0, 0, "")
	f("controls in a key", text(`{"`, "\x01", `":1,`+before[1:]+after), 0, 0, "")
	f("keys of controls", text(`{`, `"\u0001":0,`, before[1:]+after), 0, 0, "")
	f("a repeated field", text(`{`, `"owner":"\u0061\u0061\u0061",`, before[1:]+after), 0, 0, "owner occurs more than once")
	f("a number", text(before+`{"message":"","timestamp":`, "1", "}"+after), 0, 1, "")
	f("a messageType", text(`{"messageType":"`, "x", `"}`), 0, 0, "messageType has more")
	f("a long owner", func() []byte {
		return zip(fill(`{"messageType":"DATA_MESSAGE","owner":"`+strings.Repeat("1", most/2)+`","logEvents":[`, event+",", `0]}`))
	}, 0, 0, "owner has more")
	f("brackets", text("", "[", ""), 0, 0, "neither")
	f("brackets in a skipped value", text(`{"x":`, "[", ""), 0, 0, "deep")
	f("brackets in events", text(before, "[", ""), 0, 0, "deep")
	f("empty objects, and more", func() []byte { return zip(fill("", "{}", one("a")), one("a")) }, 0, 0, "MAX_INFLATED_BYTES")
	f("empty envelopes", text("", `{"messageType":"DATA_MESSAGE","logEvents":[]}`, ""), 0, 0, "")
	f("white space", text("", " ", ""), 0, 0, "the data is empty")

	repeat := func(piece []byte) func() []byte {
		return func() []byte { return bytes.Repeat(piece, (1<<18)/len(piece)) }
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	f("openings", repeat(join([]byte(`{"`), zip(""))), 0, 0, "the data is empty")
	f("magics", repeat(gzipMagic), 0, 0, "MAX_INFLATED_BYTES")
	f("extra fields", repeat(join(gzipMagic, []byte{4, 0, 0, 0, 0, 0, 0, 0xff, 0xff})), 0, 0, "MAX_INFLATED_BYTES")
	f("members in stored blocks", repeat(join(gzipHeader, []byte{0, 0, 0, 0xff, 0xff, 0, 15, 0, 0xff - 15, 0xff})), 0, 0, "MAX_INFLATED_BYTES")
	f("empty blocks", func() []byte { return join(gzipHeader, emptyBlocks((1<<18)/12/8*8)) }, 0, 0, "cut off")
	f("empty blocks within", text(string(gzipHeader), string(emptyBlocks(8)), ""), 0, 0, "MAX_INFLATED_BYTES")
	f("members of nothing within", text("", string(zip("")), ""), 0, 0, "MAX_INFLATED_BYTES")
	f("bombs in members", func() []byte { return bytes.Repeat(zip(string(zip(strings.Repeat("0", most+1)))), 3) }, 0, 0, "MAX_INFLATED_BYTES")
	f("a false length", func() []byte {
		lying := zip(one("a"))
		return join(lying[:len(lying)-8], make([]byte, 1<<16), []byte{0xff, 0xff, 0xff, 0x7f})
	}, 0, 0, "checksum")
}
