package opensearch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

const maxString = 1000 // bytes kept of a string

// decoded returns the items as encoding/json reads them.
func decoded(text string, want int) ([]Item, bool) {
	var whole struct{ Items []map[string]Item }
	if err := json.Unmarshal([]byte(text), &whole); err != nil || len(whole.Items) != want {
		return nil, false
	}
	results := make([]Item, want)
	for i, item := range whole.Items {
		for _, result := range item {
			results[i] = result
		}
	}
	return results, true
}

func TestReadItems_Success(t *testing.T) {
	f := func(text string, want int) {
		t.Helper()
		expected, ok := decoded(text, want)
		if !ok {
			t.Fatalf("%s is not a valid response", text)
		}
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
			if got, err := ReadItems(r, want, maxString); err != nil || !reflect.DeepEqual(got, expected) {
				t.Errorf("%.300s: %v, %v, want %v", text, got, err, expected)
			}
		}
	}
	const taken = `{"create":{"status":201}}`
	f(`{"errors":false,"items":[`+taken+`]}`, 1)
	f(`{"items":[`+taken+`,`+taken+`,`+taken+`],"errors":false}`, 3)
	f(` { "took" : 1 , "errors" : true , "items" : [ `+taken+` , { "create" : { "status" : 409 } } , `+taken+` ] } `, 3)
	f(`{"items":[`+taken+`,{"create":{"status":400,"error":{"type":"t","reason":"a \"]}\\","caused_by":{"type":"u","reason":"[{"}}}},`+taken+`]}`, 3)
	f(`{"items":[{"create":{"status":429,"error":null}},{"create":{}},{},{"index":{"status":200}},{"index":{"status":200}}]}`, 5)
	f(`{"items":[]}`, 0)
	const busy = `{"create":{"status":429,"error":{"type":"t","reason":"r"}}}`
	f(`{"items":[`+busy+`,`+busy+`,`+taken+`,`+taken+`,`+busy+`]}`, 5)
	f(`{"a":[{"items":[1]},"x"],"b":{"items":{}},"c":null,"d":-1.5e3,"items":[`+taken+`],"e":true}`, 1)
	f(`{"items":[`+strings.TrimSuffix(strings.Repeat(taken+",", 50_000), ",")+`]}`, 50_000)
	f(fmt.Sprintf(`{"items":[%s,{"create":{"status":400,"error":{"type":"t","reason":%q}}}]}`, taken, strings.Repeat("x", maxString-1)), 2)
}

func TestReadItems_Failure(t *testing.T) {
	f := func(text string, want int) {
		t.Helper()
		if got, err := ReadItems(strings.NewReader(text), want, maxString); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
	whole := `{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}`
	for n := range whole {
		f(whole[:n], 2)
	}
	f(whole, 1)
	f(whole, 3)
	f(`<html>`, 0)
	f(`[]`, 0)
	f(`{"items":{}}`, 0)
	f(`{"items" []}`, 0)
	f(`{"errors" false,"items":[]}`, 0)
	f(`{"items":[1]}`, 1)
	f(`{"items":[{"create":{"status":"201"}}]}`, 1)
	f(`{"items":[{"create":{"status":201}}{"create":{"status":201}}]}`, 2)
	f(`{"items":[{"create":{"status":201}},]}`, 1)
	if _, err := ReadItems(strings.NewReader(whole[:30]), 2, maxString); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a truncated response: %v", err)
	}
	broken := errors.New("broken")
	if _, err := ReadItems(io.MultiReader(strings.NewReader(whole[:30]), iotest.ErrReader(broken)), 2, maxString); !errors.Is(err, broken) {
		t.Errorf("a broken connection: %v", err)
	}
}

// Accepted items cause no allocations.
func TestReadItemsAllocations(t *testing.T) {
	allocations := func(n int) float64 {
		text := `{"errors":false,"items":[` + strings.TrimSuffix(strings.Repeat(`{"create":{"status":201}},`, n), ",") + `]}`
		return testing.AllocsPerRun(20, func() {
			if _, err := ReadItems(strings.NewReader(text), n, maxString); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := allocations(10), allocations(20_000); many > few+5 {
		t.Errorf("%v allocations for 10 items, %v for 20,000", few, many)
	}
}

// BenchmarkReadItems reads a response with 5,000 accepted documents with this package and with
// encoding/json.
func BenchmarkReadItems(b *testing.B) {
	const items = 5_000
	text := `{"took":30,"errors":false,"items":[` + strings.TrimSuffix(strings.Repeat(`{"create":{"status":201}},`, items), ",") + `]}`
	b.Run("values", func(b *testing.B) {
		for b.Loop() {
			if got, err := ReadItems(strings.NewReader(text), items, maxString); err != nil || len(got) != items {
				b.Fatal(len(got), err)
			}
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		for b.Loop() {
			if got, ok := decoded(text, items); !ok || len(got) != items {
				b.Fatal(len(got), ok)
			}
		}
	})
}
