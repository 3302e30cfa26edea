package indexer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"logsluice/domain"
)

// itemResult is what became of one operation of a bulk request.
type itemResult struct {
	Status int           `json:"status"`
	Error  *domain.Cause `json:"error"`
}

// answer reads a JSON text value by value: with errors in it, an answer can be
// large, and without, nearly all of its items are equal.
type answer struct {
	r     *bufio.Reader
	value []byte // the value that was read last
}

// maxValue bounds in bytes what is kept for the next answer.
const maxValue = 1 << 20

var answers = sync.Pool{New: func() any { return &answer{r: bufio.NewReaderSize(nil, 64<<10)} }}

// readItems reads the results of want documents from the answer to a bulk request.
// See https://docs.opensearch.org/latest/api-reference/document-apis/bulk/.
func readItems(r io.Reader, want int) ([]itemResult, error) {
	a := answers.Get().(*answer)
	defer func() {
		a.r.Reset(nil)
		if cap(a.value) > maxValue {
			a.value = nil
		}
		answers.Put(a)
	}()
	a.r.Reset(r)
	results := make([]itemResult, 0, want)
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
		var last []byte // an item that was taken, and its status
		var status int
		return a.elements('[', ']', func() error {
			if len(results) == want {
				return fmt.Errorf("more items than the %d documents", want)
			}
			if same, _ := a.r.Peek(len(last)); len(last) > 0 && bytes.Equal(same, last) {
				results = append(results, itemResult{Status: status})
				_, err := a.r.Discard(len(last))
				return err
			}
			value, err := a.next()
			if err != nil {
				return err
			}
			// The operation, create or index, is the only key.
			var item map[string]itemResult
			if err := json.Unmarshal(value, &item); err != nil {
				return err
			}
			var result itemResult
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

// elements reads what is between two brackets; element reads each element.
func (a *answer) elements(begin, end byte, element func() error) error {
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

// peek is the next byte that is no space.
func (a *answer) peek() (byte, error) {
	for {
		c, err := a.r.ReadByte()
		if err != nil {
			return 0, unexpectedEnd(err)
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, a.r.UnreadByte()
		}
	}
}

func (a *answer) expect(want byte) error {
	c, err := a.peek()
	if err != nil {
		return err
	}
	if c != want {
		return fmt.Errorf("%q in place of %q", c, want)
	}
	_, err = a.r.Discard(1)
	return err
}

// next reads a value whole. It is good until the next one, and may be no JSON.
func (a *answer) next() ([]byte, error) {
	if _, err := a.peek(); err != nil {
		return nil, err
	}
	a.value = a.value[:0]
	depth, text, escaped := 0, false, false
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
			escaped = c == '\\'
			text = c != '"'
			whole = !text && depth == 0
		case c == '"':
			text = true
		case c == '{' || c == '[':
			depth++
		case depth == 0 && (c == ',' || c == ':' || c == '}' || c == ']' || c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			return a.value, a.r.UnreadByte() // behind a number or a word
		case c == '}' || c == ']':
			depth--
			whole = depth == 0
		}
		if a.value = append(a.value, c); whole {
			return a.value, nil
		}
	}
}

func unexpectedEnd(err error) error {
	if err == io.EOF { //nolint:errorlint // a reader gives it as it is
		return io.ErrUnexpectedEOF
	}
	return err
}
