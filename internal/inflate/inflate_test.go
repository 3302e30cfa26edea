package inflate

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// standard inflates a member by compress/gzip.
func standard(src []byte) ([]byte, error) {
	out, _, err := standardMember(src)
	return out, err
}

// standardMember does so too, and tells how much of src it has read.
func standardMember(src []byte) (out []byte, n int, err error) {
	source := bytes.NewReader(src)
	r, err := gzip.NewReader(source)
	if err == nil {
		r.Multistream(false)
		out, err = io.ReadAll(r)
	}
	if errors.Is(err, io.EOF) { // there is nothing at all
		err = io.ErrUnexpectedEOF
	}
	return out, len(src) - source.Len(), err
}

// agree holds a decoder against compress/gzip: the same output up to the same
// kind of error, whatever the room for it is. It returns the error.
func agree(t testing.TB, d *Decoder, src []byte) error {
	t.Helper()
	want, wantN, wantErr := standardMember(src)
	const before = "before"
	f := func(name string, room, limit int) {
		t.Helper()
		dst := append(make([]byte, 0, len(before)+room), before...)
		out, n, err := d.Member(dst, src, limit)
		if !bytes.HasPrefix(out, []byte(before)) {
			t.Fatalf("%x\n%s: what was in dst is not: %.20q", src, name, out)
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

// texts of several kinds: what compresses well, badly, and not at all.
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

// A member cut anywhere inflates as far as compress/gzip inflates it, and one with
// a wrong bit to the same, or to an error.
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
	for seed := range uint64(3) {
		src := generate(seed)
		if _, n, err := standardMember(src); err == nil {
			f(src[:n])
		}
	}
}

// The kinds of structures and of faults that there are.
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
