package opensearch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// The beginning of a long reason is kept. It is not cut within an escape.
func TestReadItems_LongReason(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", " ", "é", "\u2028", "\x01", "\"", "\\", "\n", "]}", "😀", "\\u00e9"}
	for range 2000 {
		var reason strings.Builder
		for reason.Len() < maxString+rng.IntN(maxString) {
			reason.WriteString(pieces[rng.IntN(len(pieces))])
		}
		text, err := json.Marshal(reason.String())
		if err != nil {
			t.Fatal(err)
		}
		if rng.IntN(2) == 0 {
			text = bytes.ReplaceAll(text, []byte("😀"), []byte(`\ud83d\ude00`))
		}
		item := fmt.Sprintf(`{"create":{"status":400,"error":{"type":"t","reason":%s}}}`, text)
		items, err := ReadItems(strings.NewReader(`{"items":[`+item+`,`+item+`]}`), 2, maxString)
		if err != nil {
			t.Fatalf("%v: %s", err, item)
		}
		for _, it := range items {
			begin, cut := strings.CutSuffix(it.Error.Reason, ellipsis)
			begin = strings.TrimRight(begin, "\uFFFD") // from a rune of two escapes, or of several bytes
			if !cut || !strings.HasPrefix(reason.String(), begin) || len(begin) < maxString/6-8 || it.Status != 400 {
				t.Fatalf("%q of %q", it.Error.Reason, reason.String())
			}
		}
	}
	text := strings.Repeat("long ", 1<<20)
	item := fmt.Sprintf(`{"create":{"status":400,"error":{"type":"t","reason":"%s","caused_by":{"type":"u","reason":"%s"}}}}`, text, text)
	items, err := ReadItems(strings.NewReader(`{"items":[`+item+`]}`), 1, maxString)
	if err != nil || len(items[0].Error.Reason) > 2*maxString || items[0].Error.CausedBy.Type != "u" {
		t.Errorf("%v", err)
	}
}

// endless returns begin, then repeats a text.
type endless struct {
	begin, text string
	read        int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if e.read < len(e.begin) {
			p[n] = e.begin[e.read]
		} else {
			p[n] = e.text[(e.read-len(e.begin))%len(e.text)]
		}
		n, e.read = n+1, e.read+1
	}
	return n, nil
}

// A response that never ends is read up to a bound and takes little memory.
func TestReadItems_Endless(t *testing.T) {
	f := func(name, begin, text, want string) {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			body := io.NopCloser(&endless{begin: begin, text: text})
			if _, err := ReadItems(Bounded(body, MaxBulkAnswer(1, 1000)), 1, maxString); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the error is %v, want %q", err, want)
			}
			runtime.ReadMemStats(&after)
			if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > 16 {
				t.Errorf("%d MiB were allocated", n)
			}
		})
	}
	const long, item = "the maximum that is read", `{"create":{"status":201}},`
	f("a string", `{"items":[{"create":{"status":400,"error":{"type":"t","reason":"`, "x", long)
	f("escapes", `{"items":[{"create":{"status":400,"error":{"type":"t","reason":"`, `\u00e9`, long)
	f("a key", `{"items":[{"`, "x", long)
	f("space", `{"items":[`, " \n", long)
	f("another member", `{"took":1,"other":["`, "x", long)
	f("members", `{"took":1`, `,"took":1`, long)
	f("a number", `{"took":`, "1", "a value of more than")
	f("lists", `{"took":`, "[", "a value of more than")
	f("causes", `{"items":[{"create":{"error":`, `{"type":"t","caused_by":`, "a value of more than")
	f("items", `{"items":[`, item, "more items than")
	f("invalid JSON", "", "<html>", "instead of")
}

// The response that refuses all documents of a large request is within the bound. Its
// reasons quote values with escapes, and have causes.
func TestAnswerWithinBound(t *testing.T) {
	f := func(documents, size int) {
		t.Helper()
		quoted := strings.Repeat(`\"`, size/documents)
		item := fmt.Sprintf(`{"create":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"%s: %s","caused_by":{"type":"illegal_argument_exception","reason":"%s"}}}},`,
			strings.Repeat("r", 1000), quoted, quoted)
		text := `{"errors":true,"items":[` + strings.TrimSuffix(strings.Repeat(item, documents), ",") + `]}`
		if most := MaxBulkAnswer(documents, size); int64(len(text)) > most {
			t.Errorf("%d bytes for %d documents of %d bytes, the bound is %d", len(text), documents, size, most)
		}
	}
	f(1, 100)
	f(1, 4<<20)
	f(20_000, 8<<20)
}
