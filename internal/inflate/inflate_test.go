package inflate

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// standard inflates a member with compress/gzip.
func standard(src []byte) ([]byte, error) {
	out, _, err := standardMember(src)
	return out, err
}

// standardMember also returns how much of src was read.
func standardMember(src []byte) (out []byte, n int, err error) {
	source := bytes.NewReader(src)
	r, err := gzip.NewReader(source)
	if err == nil {
		r.Multistream(false)
		out, err = io.ReadAll(r)
	}
	if errors.Is(err, io.EOF) { // src is empty
		err = io.ErrUnexpectedEOF
	}
	return out, len(src) - source.Len(), err
}

// agree compares a decoder with compress/gzip: the output and the kind of error must be
// equal for any room. It returns the error.
func agree(t testing.TB, d *Decoder, src []byte) error {
	t.Helper()
	want, wantN, wantErr := standardMember(src)
	const before = "before"
	f := func(name string, room, limit int) {
		t.Helper()
		dst := append(make([]byte, 0, len(before)+room), before...)
		out, n, err := d.Member(dst, src, limit)
		if !bytes.HasPrefix(out, []byte(before)) {
			t.Fatalf("%x\n%s: the previous contents of dst changed: %.20q", src, name, out)
		}
		out = out[len(before):]
		if limit < len(want) {
			if !errors.Is(err, ErrTooLong) || !bytes.Equal(out, want[:limit]) {
				t.Fatalf("%x\n%s: %d bytes, %v; allowed are %d of %d", src, name, len(out), err, limit, len(want))
			}
			return
		}
		if (err == nil) != (wantErr == nil) || errors.Is(err, io.ErrUnexpectedEOF) != errors.Is(wantErr, io.ErrUnexpectedEOF) {
			t.Fatalf("%x\n%s: %v, want %v", src, name, err, wantErr)
		}
		if !bytes.Equal(out, want) {
			t.Fatalf("%x\n%s: %d bytes, want %d\n%q\n%q", src, name, len(out), len(want), out, want)
		}
		if n > len(src) || err == nil && n != wantN {
			t.Fatalf("%x\n%s: %d bytes read, want %d", src, name, n, wantN)
		}
	}
	f("plenty", len(want)+fastRoom, 1<<20)
	f("no room", 0, 1<<20)
	f("little room", len(want)/2, 1<<20)
	f("exact", len(want), len(want))
	if len(want) > 0 {
		f("too little allowed", len(want), len(want)-1)
		f("half allowed", 0, len(want)/2)
	}
	return wantErr
}

// squeeze compresses a text into a member.
func squeeze(text []byte, level int) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, level)
	w.Write(text)
	w.Close()
	return out.Bytes()
}

// texts returns texts that compress well, badly, and not at all.
func texts() [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	noise, words := make([]byte, 3000), []byte(nil)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	for len(words) < 5000 {
		words = append(words, `{"level":"info","time":12345,"msg":"request"},`[rng.IntN(20):20+rng.IntN(26)]...)
	}
	return [][]byte{nil, []byte("a"), []byte("hello, hello, hello"), noise, words, bytes.Repeat([]byte("abc"), 100_000), make([]byte, 200_000)}
}

func TestMember_Success(t *testing.T) {
	var d Decoder
	f := func(text []byte, level int) {
		t.Helper()
		src := squeeze(text, level)
		if err := agree(t, &d, src); err != nil {
			t.Errorf("%d bytes, level %d: %v", len(text), level, err)
		}
		if err := agree(t, &d, append(src, "what follows"...)); err != nil {
			t.Errorf("%d bytes, level %d, before others: %v", len(text), level, err)
		}
	}
	for _, text := range texts() {
		for _, level := range []int{gzip.HuffmanOnly, gzip.NoCompression, gzip.BestSpeed, gzip.DefaultCompression, gzip.BestCompression} {
			f(text, level)
		}
	}
	members, _ := records(t, 500)
	for _, src := range members {
		if err := agree(t, &d, src); err != nil {
			t.Error(err)
		}
	}
}

// A member truncated anywhere inflates as far as with compress/gzip, and a member with a
// wrong bit gives the same result or an error.
func TestMember_Failure(t *testing.T) {
	var d Decoder
	f := func(src []byte) {
		t.Helper()
		for n := range src {
			if err := agree(t, &d, src[:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("cut at %d: %v", n, err)
			}
		}
		step := 1 + len(src)/200
		for i := 0; i < 8*len(src); i += step {
			src[i/8] ^= 1 << (i % 8)
			agree(t, &d, src)
			src[i/8] ^= 1 << (i % 8)
		}
	}
	f(squeeze([]byte("hello, hello, hello"), gzip.BestCompression))
	f(squeeze([]byte("stored"), gzip.NoCompression))
	f(squeeze(texts()[4][:2000], gzip.BestCompression))
	f(squeeze(texts()[4][:500], gzip.HuffmanOnly))
	f(squeeze(texts()[5][:5000], gzip.BestCompression))
	for seed := range uint64(10) {
		src := generate(seed)
		if _, n, err := standardMember(src); err == nil && n < 2000 {
			f(src[:n])
		}
	}
}

// A distance without any code is an immediate error, whether or not bits are left to
// read.
func TestNoDistances(t *testing.T) {
	var d Decoder
	lits := make([]int, 258)
	lits['a'], lits[endOfBlock], lits[257] = 1, 2, 2
	lit := newCode(lits)
	for before := range 8 {
		g := &generator{out: []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0}}
		g.write(1+2<<1, 3)
		g.write(258-257, 5)
		g.write(0, 5)
		g.write(18-4, 4)
		pre := make([]int, 19)
		pre[0], pre[1], pre[2], pre[18] = 2, 2, 2, 2
		for _, s := range preOrder[:18] {
			g.write(pre[s], 3)
		}
		c := newCode(pre)
		g.symbol(c, 18)
		g.write('a'-11, 7)
		g.symbol(c, 1)
		g.symbol(c, 18)
		g.write(138-11, 7)
		for range endOfBlock - 'a' - 1 - 138 {
			g.symbol(c, 0)
		}
		g.symbol(c, 2)
		g.symbol(c, 2)
		g.symbol(c, 0)
		for range before + 1 {
			g.symbol(lit, 'a')
		}
		g.symbol(lit, 257)
		agree(t, &d, g.out)
		if _, _, err := d.Member(nil, g.out, 100); !errors.Is(err, errData) {
			t.Errorf("after %d literals: %v", before+1, err)
		}
	}
}

// An invalid symbol is an error as soon as all of its bits exist.
func TestCutSymbol(t *testing.T) {
	var d Decoder
	f := func(write func(g *generator)) {
		t.Helper()
		for before := range 8 {
			g := &generator{out: []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0}}
			g.write(1+1<<1, 3)
			for range before {
				g.write(0x1ff, 9) // the literal 255
			}
			g.write(0x0c, 8) // the literal 0
			write(g)
			for n := range len(g.out) + 1 {
				agree(t, &d, g.out[:n])
			}
		}
	}
	for v := range 4 {
		f(func(g *generator) {
			g.write(0x40, 7) // the length 3
			g.write(0x0f|v<<4, 5)
		})
		f(func(g *generator) { g.write(0x63|v<<7, 9) })
	}
}

// Headers and trailers are checked like compress/gzip does.
func TestHeader(t *testing.T) {
	var d Decoder
	whole := squeeze([]byte("text"), gzip.BestCompression)
	body := whole[10:]
	f := func(name string, header []byte, want error) {
		t.Helper()
		src := slices.Concat(header, body)
		agree(t, &d, src)
		if _, _, err := d.Member(nil, src, 10); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		for n := range min(len(header), 2*maxText+20) {
			if err := agree(t, &d, header[:n]); err == nil {
				t.Errorf("%s: no error when cut at %d", name, n)
			}
		}
	}
	header := func(flags byte, fields ...string) []byte {
		return append([]byte{0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 5, 6}, strings.Join(fields, "")...)
	}
	withCRC := func(flags byte, fields ...string) []byte {
		h := header(flags|flagCRC, fields...)
		return binary.LittleEndian.AppendUint16(h, uint16(crc32.ChecksumIEEE(h)))
	}
	corrupt := func(data []byte, at int) []byte {
		data[at] ^= 1
		return data
	}
	text := strings.Repeat("x", maxText-1)
	f("plain", header(0), nil)
	f("reserved flags", header(0xe1), nil)
	f("extra", header(flagExtra, "\x03\x00abc"), nil)
	f("no extra", header(flagExtra, "\x00\x00"), nil)
	f("much extra", header(flagExtra, "\xff\xff"+strings.Repeat("x", 0xffff)), nil)
	f("name", header(flagName, "name\x00"), nil)
	f("comment", header(flagComment, "\x00"), nil)
	f("all", withCRC(flagExtra|flagName|flagComment, "\x03\x00abc", "näme\x00", "comment\x00"), nil)
	f("longest name", header(flagName, text+"\x00"), nil)
	f("name too long", header(flagName, text+"x\x00"), errHeader)
	f("longest comment", header(flagName|flagComment, text+"\x00", text+"\x00"), nil)
	f("comment too long", header(flagComment, text+"x\x00"), errHeader)
	f("first byte", corrupt(header(0), 0), errHeader)
	f("second byte", corrupt(header(0), 1), errHeader)
	f("method", corrupt(header(0), 2), errHeader)
	f("low byte of the CRC", corrupt(withCRC(0), 10), errHeader)
	f("high byte of the CRC", corrupt(withCRC(0), 11), errHeader)

	for i := range trailerSize {
		src := corrupt(bytes.Clone(whole), len(whole)-1-i)
		agree(t, &d, src)
		if out, _, err := d.Member(nil, src, 10); string(out) != "text" || !errors.Is(err, errChecksum) {
			t.Errorf("trailer: %q, %v", out, err)
		}
	}
}

// The size in the trailer is used within limits, and Grow is called before memory is
// allocated.
func TestRoom(t *testing.T) {
	var asked []int
	d := Decoder{Grow: func(capacity int) error {
		asked = append(asked, capacity)
		return nil
	}}
	f := func(name string, room int, src []byte, limit int, want ...int) {
		t.Helper()
		asked = nil
		out, _, _ := d.Member(make([]byte, 7, 7+room), src, limit)
		if !slices.Equal(asked, want) || len(want) > 0 && cap(out) != want[len(want)-1] {
			t.Errorf("%s: Grow called for %d, capacity %d, want %d", name, asked, cap(out), want)
		}
	}
	lie := func(src []byte, size uint32) []byte {
		return binary.LittleEndian.AppendUint32(src[:len(src)-4:len(src)-4], size)
	}
	text := bytes.Repeat([]byte("text"), 5000)
	src := squeeze(text, gzip.BestCompression)
	f("enough", 20_000, src, 1<<20)
	f("none", 0, src, 1<<20, 7+20_000+fastRoom)
	f("little", 19_999, src, 1<<20, 7+20_000+fastRoom)
	f("as much as allowed", 0, src, 20_000, 7+20_000)
	f("less allowed", 0, src, 10_000, 7+10_000)
	f("nothing allowed", 0, src, 0)
	f("less than nothing allowed", 10, src, -1)
	f("too little announced", 0, lie(src, 9000), 1<<20, 7+9000+fastRoom, 7+2*(9000+fastRoom), 7+4*(9000+fastRoom))
	f("nothing announced", 0, lie(src, 0), 1<<20, 7+4096, 7+8192, 7+16384, 7+32768)
	f("too much announced", 0, lie(src, 1<<31), 1<<30, 7+maxRatio*len(src)+fastRoom)
	f("more announced than allowed", 0, lie(src, 1<<31), 25_000, 7+25_000)

	d.Grow = func(int) error { return io.ErrClosedPipe }
	out, _, err := d.Member(make([]byte, 7, 5000), lie(src, 0), 1<<20)
	if !errors.Is(err, io.ErrClosedPipe) || !bytes.Equal(out[7:], text[:5000-7]) {
		t.Errorf("Grow failed: %d bytes, %v", len(out), err)
	}
}

func TestAllocations(t *testing.T) {
	members, size := records(t, 1000)
	var d Decoder
	dst := make([]byte, 0, size)
	if n := testing.AllocsPerRun(10, func() {
		for _, src := range members {
			if _, _, err := d.Member(dst, src, size); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%.0f allocations", n)
	}
}

// All kinds of structures and faults.
func TestMember_Structured(t *testing.T) {
	var d Decoder
	good, cut := 0, 0
	const members = 3000
	for seed := range uint64(members) {
		src := generate(seed)
		switch err := agree(t, &d, src); {
		case err == nil:
			good++
		case errors.Is(err, io.ErrUnexpectedEOF):
			cut++
		}
	}
	if bad := members - good - cut; good < members/4 || bad < members/4 || cut < 10 {
		t.Errorf("%d good members, %d bad, %d cut: the generator is out of balance", good, bad, cut)
	}
}
