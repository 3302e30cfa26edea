package fakedynamodb

import (
	"strings"
)

// token is a token of an expression: a name, #name or :value, an index, or a symbol. The last
// token is empty.
type token struct {
	text string
	at   int // where it starts in the expression
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) || c == '_' }

func tokenize(text string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(text); {
		c, end := text[i], i+1
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
			continue
		case isLetter(c), c == '#', c == ':':
			for end < len(text) && isWord(text[end]) {
				end++
			}
			if end == i+1 && !isLetter(c) {
				return nil, syntaxError(text[i:end])
			}
		case c == '0': // an index has no zeros in front
		case isDigit(c):
			for end < len(text) && isDigit(text[end]) {
				end++
			}
		case strings.IndexByte("=<>(),.[]+-", c) >= 0:
			if end < len(text) && (text[i:end+1] == "<>" || text[i:end+1] == "<=" || text[i:end+1] == ">=") {
				end++
			}
		default:
			return nil, syntaxError(text[i:end])
		}
		tokens = append(tokens, token{text[i:end], i})
		i = end
	}
	return append(tokens, token{at: len(text)}), nil
}

func syntaxError(text string) error {
	if text == "" {
		text = "<EOF>"
	}
	return invalidf("Syntax error; token: %q", text)
}
