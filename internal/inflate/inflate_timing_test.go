package inflate

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"
	"time"

	klauspost "github.com/klauspost/compress/gzip"

	"logsluice/internal/loggen"
)

// records returns gzip members like those that the consumer receives, and their total
// inflated size.
func records(t testing.TB, events int) (members [][]byte, size int) {
	g := loggen.New(loggen.Options{Seed: 1, Events: events, Start: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), Span: time.Hour})
	for r, more := g.Next(); more; r, more = g.Next() {
		text, err := standard(r.Data)
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, r.Data)
		size += len(text)
	}
	return members, size
}

// BenchmarkMember inflates generated records with this package and others. It reports the
// bytes of the inflated JSON.
func BenchmarkMember(b *testing.B) {
	members, size := records(b, 20_000)
	f := func(name string, inflate func(dst, src []byte) ([]byte, error)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				for _, data := range members {
					var err error
					if dst, err = inflate(dst[:0], data); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
	var d Decoder
	f("inflate", func(dst, src []byte) ([]byte, error) {
		out, _, err := d.Member(dst, src, 1<<30)
		return out, err
	})

	var source bytes.Reader
	readAll := func(dst []byte, r io.Reader) ([]byte, error) {
		for {
			if len(dst) == cap(dst) {
				dst = append(dst, make([]byte, 1<<20)...)[:len(dst)]
			}
			n, err := r.Read(dst[len(dst):cap(dst)])
			dst = dst[:len(dst)+n]
			if err == io.EOF {
				return dst, nil
			}
			if err != nil {
				return dst, err
			}
		}
	}
	k := new(klauspost.Reader)
	f("klauspost", func(dst, src []byte) ([]byte, error) {
		source.Reset(src)
		if err := k.Reset(&source); err != nil {
			return nil, err
		}
		k.Multistream(false)
		return readAll(dst, k)
	})
	s := new(gzip.Reader)
	f("standard", func(dst, src []byte) ([]byte, error) {
		source.Reset(src)
		if err := s.Reset(&source); err != nil {
			return nil, err
		}
		s.Multistream(false)
		return readAll(dst, s)
	})
}
