package subscription

import (
	"bytes"
	"errors"
	"fmt"

	"logsluice/internal/jsonscan"
)

// JSON is read in one pass, without a tree of values. Unneeded values are skipped.

// maxDepth limits the nesting of skipped values, as encoding/json does.
const maxDepth = 10_000

// scanner reads JSON (RFC 8259) from a text.
type scanner struct {
	data  []byte
	pos   int
	stack []byte // closing brackets of the containers around a skipped value

	arena        []byte               // memory of rewritten strings
	allowLarge   func(room int) error // called before so many bytes are allocated
	rewritten    int                  // bytes in arena used by the strings of this envelope
	maxRewritten int                  // maximum of rewritten
	name         [64]byte             // memory of a rewritten key
}

// peek returns the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// skipSpace skips white space.
func (s *scanner) skipSpace() {
	for s.pos < len(s.data) && jsonscan.IsSpace(s.data[s.pos]) {
		s.pos++
	}
}

// accept skips white space and, if it comes next, a byte.
func (s *scanner) accept(c byte) bool {
	s.skipSpace()
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

var errCut = errors.New("the text ends early")

// unexpected returns an error for the input at the current position.
func (s *scanner) unexpected(wanted string) error {
	if s.pos >= len(s.data) {
		return fmt.Errorf("%w: expected %s", errCut, wanted)
	}
	return fmt.Errorf("expected %s, found %q", wanted, s.data[s.pos:min(s.pos+12, len(s.data))])
}

// object reads an object. field is called with each key and must read the value.
func (s *scanner) object(field func(key Text) error) error {
	if !s.accept('{') {
		return s.unexpected("an object")
	}
	if s.accept('}') {
		return nil
	}
	for {
		key, err := s.key()
		if err != nil {
			return err
		}
		if err := field(key); err != nil {
			return err
		}
		if s.accept('}') {
			return nil
		}
		if !s.accept(',') {
			return s.unexpected("a comma or the end of an object")
		}
	}
}

// key reads a key, its colon, and white space before the value. The key is valid until
// the next call. Long keys may not be in canonical form.
func (s *scanner) key() (Text, error) {
	s.skipSpace()
	key, size, err := s.literal()
	if err != nil {
		return nil, err
	}
	if 0 < size && size <= len(s.name) {
		key = rewrite(s.name[:0], key)
	}
	if !s.accept(':') {
		return nil, s.unexpected("a colon")
	}
	s.skipSpace()
	return key, nil
}

// array reads an array. element is called for each element and must read it.
func (s *scanner) array(element func() error) error {
	if !s.accept('[') {
		return s.unexpected("an array")
	}
	if s.accept(']') {
		return nil
	}
	return s.elements(element)
}

// elements reads an array from one of its elements to the end.
func (s *scanner) elements(element func() error) error {
	for {
		s.skipSpace()
		if err := element(); err != nil {
			return err
		}
		if s.accept(']') {
			return nil
		}
		if !s.accept(',') {
			return s.unexpected("a comma or the end of an array")
		}
	}
}

// skip skips a value of any type. It does not recurse, so nesting needs no stack.
func (s *scanner) skip() error {
	s.stack = s.stack[:0]
	for {
		opened, err := s.skipStart()
		if err != nil {
			return err
		}
		for !opened {
			if len(s.stack) == 0 {
				return nil
			}
			top := s.stack[len(s.stack)-1]
			if s.accept(top) {
				s.stack = s.stack[:len(s.stack)-1]
				continue
			}
			if !s.accept(',') {
				return s.unexpected("a comma or a closing bracket")
			}
			if top == '}' {
				if _, err := s.key(); err != nil {
					return err
				}
			}
			opened = true
		}
	}
}

// skipStart skips a scalar or an empty container, or enters a container up to its first
// value.
func (s *scanner) skipStart() (opened bool, err error) {
	s.skipSpace()
	switch c := s.peek(); c {
	case '{', '[':
		closing := c + 2 // the codes of } and ] are those of { and [ plus 2
		s.pos++
		if s.accept(closing) {
			return false, nil
		}
		if len(s.stack) == maxDepth {
			return false, fmt.Errorf("values are nested more than %d deep", maxDepth)
		}
		s.stack = append(s.stack, closing)
		if c == '{' {
			_, err = s.key()
		}
		return true, err
	case '"':
		_, _, err = s.literal()
	case 't', 'f', 'n':
		err = s.keyword()
	default:
		_, err = s.number()
	}
	return false, err
}

// keyword skips true, false or null.
func (s *scanner) keyword() error {
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.data[s.pos:], []byte(word)) {
			s.pos += len(word)
			return nil
		}
	}
	return s.unexpected("a value")
}

// null skips null, if it comes next.
func (s *scanner) null() bool {
	if !bytes.HasPrefix(s.data[s.pos:], []byte("null")) {
		return false
	}
	s.pos += len("null")
	return true
}

// number reads a number and returns its characters.
func (s *scanner) number() ([]byte, error) {
	start := s.pos
	n, ok := jsonscan.Number(s.data[start:])
	s.pos += n
	switch {
	case ok:
		return s.data[start:s.pos], nil
	case n == 0:
		return nil, s.unexpected("a value")
	}
	return nil, s.unexpected("a digit")
}
