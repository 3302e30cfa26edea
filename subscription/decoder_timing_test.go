package subscription

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"
	"time"

	"logsluice/internal/loggen"
)

// BenchmarkDecode decodes generated records, both inflated and as delivered, and inflated ones
// that cloudWatchEvent does not read. It reports the bytes of the inflated JSON.
func BenchmarkDecode(b *testing.B) {
	g := loggen.New(loggen.Options{Seed: 1, Events: 20_000, Start: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), Span: time.Hour})
	var packed, plain [][]byte
	size := 0
	for r, more := g.Next(); more; r, more = g.Next() {
		reader, err := gzip.NewReader(bytes.NewReader(r.Data))
		if err != nil {
			b.Fatal(err)
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			b.Fatal(err)
		}
		packed, plain = append(packed, r.Data), append(plain, text)
		size += len(text)
	}
	general := make([][]byte, len(plain)) // a space makes the general reader read each event
	for i, text := range plain {
		general[i] = bytes.ReplaceAll(text, []byte(`{"id":`), []byte(`{ "id":`))
	}
	for name, records := range map[string][][]byte{"plain": plain, "general": general, "gzip": packed} {
		b.Run(name, func(b *testing.B) {
			d := NewDecoder(64 << 20)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for _, data := range records {
					if _, err := d.Decode(data, func(*Envelope) {}); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
