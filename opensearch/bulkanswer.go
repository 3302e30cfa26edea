package opensearch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"logsluice/internal/jsonscan"
)

// Responses to bulk requests. A worker's can have up to 20,000 items.

// bulkAnswer reads a bulk response value by value instead of with encoding/json: a
// response with errors can be large, and without errors nearly all of its items are
// equal. It takes a fortieth of the time (BenchmarkReadItems). TestReadItems_Success proves
// that both give the same items, and TestReadItemsAllocations that accepted items cause no allocations.
type bulkAnswer struct {
	r         *bufio.Reader
	maxString int    // bytes kept of each string
	value     []byte // the value read last
}

const (
	// maxValue limits an item in bytes, after its strings were cut.
	maxValue = 1 << 20
	ellipsis = "…"
)

// MaxBulkAnswer returns the maximum size in bytes of the response to a bulk request of
// size bytes. An item with an error usually has up to 2 kB. Some reasons quote a value of
// the document, which can be most of the request, three times and with escapes.
func MaxBulkAnswer(operations, size int) int64 {
	return 1<<20 + int64(operations)*(4<<10) + 8*int64(size)
}

var bulkAnswers = sync.Pool{New: func() any { return &bulkAnswer{r: bufio.NewReaderSize(nil, 64<<10)} }}

// ReadItems returns the items of the response to a bulk request of want operations.
// Strings longer than maxString bytes are cut. It fails unless the response has an item
// for each operation.
// See https://docs.opensearch.org/latest/api-reference/document-apis/bulk/.
func ReadItems(r io.Reader, want, maxString int) ([]Item, error) {
	a := bulkAnswers.Get().(*bulkAnswer)
	defer func() {
		a.r.Reset(nil)
		if cap(a.value) > maxValue {
			a.value = nil
		}
		bulkAnswers.Put(a)
	}()
	a.r.Reset(r)
	a.maxString = maxString
	results := make([]Item, 0, want)
	err := a.elements('{', '}', func() error {
		key, err := a.next()
		if err != nil {
			return err
		}
		isItems := string(key) == `"items"`
		if err := a.expect(':'); err != nil {
			return err
		}
		if !isItems {
			_, err := a.next()
			return err
		}
		var last []byte // the last item without an error
		var status int
		return a.elements('[', ']', func() error {
			if len(results) == want {
				return fmt.Errorf("more items than the %d documents", want)
			}
			if same, _ := a.r.Peek(len(last)); len(last) > 0 && bytes.Equal(same, last) {
				results = append(results, Item{Status: status})
				_, err := a.r.Discard(len(last))
				return err
			}
			value, err := a.next()
			if err != nil {
				return err
			}
			// The only key is the operation, create or index.
			var item map[string]Item
			if err := json.Unmarshal(value, &item); err != nil {
				return err
			}
			var result Item
			for _, result = range item {
			}
			results = append(results, result)
			if result.Error == nil {
				last, status = append(last[:0], value...), result.Status
			}
			return nil
		})
	})
	if err == nil && len(results) != want {
		err = fmt.Errorf("%d items for %d documents", len(results), want)
	}
	if err != nil {
		return nil, err
	}
	return results, nil
}

// elements reads the elements between two brackets, each by a call of element.
func (a *bulkAnswer) elements(begin, end byte, element func() error) error {
	if err := a.expect(begin); err != nil {
		return err
	}
	for first := true; ; first = false {
		c, err := a.peek()
		switch {
		case err != nil:
			return err
		case c == end && first:
			return a.expect(end)
		}
		if err := element(); err != nil {
			return err
		}
		if c, err = a.peek(); err != nil {
			return err
		}
		if c != ',' {
			return a.expect(end)
		}
		if err := a.expect(','); err != nil {
			return err
		}
	}
}

// peek returns the next byte that is not a space, without consuming it.
func (a *bulkAnswer) peek() (byte, error) {
	for {
		c, err := a.r.ReadByte()
		if err != nil {
			return 0, unexpectedEnd(err)
		}
		if !jsonscan.IsSpace(c) {
			return c, a.r.UnreadByte()
		}
	}
}

func (a *bulkAnswer) expect(want byte) error {
	c, err := a.peek()
	if err != nil {
		return err
	}
	if c != want {
		return fmt.Errorf("%q instead of %q", c, want)
	}
	_, err = a.r.Discard(1)
	return err
}

// next reads a value and cuts its strings. The result is valid until the next call, and
// may be invalid JSON.
func (a *bulkAnswer) next() ([]byte, error) {
	if _, err := a.peek(); err != nil {
		return nil, err
	}
	a.value = a.value[:0]
	depth, text, escaped := 0, false, false
	from, cut := 0, false // of the current string
	for {
		c, err := a.r.ReadByte()
		if err != nil {
			return nil, unexpectedEnd(err)
		}
		whole := false
		switch {
		case escaped:
			escaped = false
		case text:
			if !cut && c != '"' && len(a.value)-from >= a.maxString && a.mayCut(c) {
				cut, a.value = true, append(a.value, ellipsis...)
			}
			escaped = c == '\\'
			text = c != '"'
			cut = cut && text
			whole = !text && depth == 0
		case c == '"':
			text, from = true, len(a.value)
		case c == '{' || c == '[':
			depth++
		case depth == 0 && (c == ',' || c == ':' || c == '}' || c == ']' || jsonscan.IsSpace(c)):
			return a.value, a.r.UnreadByte() // after a number or a literal
		case c == '}' || c == ']':
			depth--
			whole = depth == 0
		}
		if cut {
			continue
		}
		if a.value = append(a.value, c); whole {
			return a.value, nil
		}
		if len(a.value) > maxValue {
			return nil, fmt.Errorf("a value of more than %d bytes", maxValue)
		}
	}
}

// mayCut reports whether a string may end before c, that is, not within an escape such as
// \u00e9.
func (a *bulkAnswer) mayCut(c byte) bool {
	return c == '\\' || bytes.IndexByte(a.value[max(len(a.value)-len(`u00e9`), 0):], '\\') < 0
}

func unexpectedEnd(err error) error {
	if err == io.EOF { //nolint:errorlint // readers return io.EOF itself
		return io.ErrUnexpectedEOF
	}
	return err
}
