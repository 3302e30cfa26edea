package mapping

import (
	"bytes"

	"logsluice/internal/jsonscan"
	"logsluice/mapping/schema"
)

// prefix is what a line has before its JSON.
type prefix struct {
	level string // the level that it names, or ""
	// isLead reports whether it has only what log libraries write before a line: times,
	// levels, ids, loggers and threads. With other words, the JSON after it is a payload that
	// the line is about.
	isLead bool
}

// readPrefix reads a prefix in canonical form. A level counts before other words only, where
// it is not part of a sentence. Other words are part of a lead only with a time or a level, and
// a logger or a thread only before a separator: otherwise they may be about the JSON.
func readPrefix(text []byte) prefix {
	p := prefix{isLead: true}
	var anchored, stream, separated, named bool
	needsAnchor, endsWithName := false, false
	for word := range words(text) {
		bare := bytes.Trim(word, "[](){}<>:,;|-*#")
		isSeparator, mayBeName := len(bare) == 0, named
		named, endsWithName = false, false
		if isCookie(word) {
			return prefix{level: p.level, isLead: true}
		}
		switch {
		case !p.isLead:
		case mayBeName && !isSeparator:
			p.isLead = false // the word before was not a logger between separators
		case isSeparator, isRubyLevel(word), stream && len(bare) == 1, isZone(bare):
		case isLevel(bare) && (!isCapitalized(bare) || isBracketed(word)):
			anchored = true
			if p.level == "" {
				p.level = schema.LevelName(bare)
			}
		case isBasic(word):
			anchored = true
			if p.level == "" {
				p.level = schema.LevelName(word[:bytes.IndexByte(word, ':')])
			}
		case isTime(bare):
			anchored = true
		case isStream(bare), isID(bare):
			needsAnchor = true
		case isBracketed(word), isLogger(bare):
			needsAnchor = true
			endsWithName = word[len(word)-1] != ':'
		default:
			named = separated && isWord(bare)
			p.isLead, needsAnchor = named, true
		}
		stream, separated = isStream(bare), isSeparator
	}
	p.isLead = p.isLead && !named && !endsWithName && (anchored || !needsAnchor)
	return p
}

// isZone reports whether a word is part of a time.
func isZone(word []byte) bool {
	switch string(word) {
	case "UTC", "GMT", "AM", "PM":
		return true
	}
	return false
}

// isWord reports whether a word is an identifier.
func isWord(word []byte) bool {
	for _, c := range word {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', jsonscan.IsDigit(c), c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// isStream reports whether a word names the stream of a container's line.
func isStream(word []byte) bool { return string(word) == "stdout" || string(word) == "stderr" }

// words yields the words of a canonical text, which blanks and their escapes separate.
func words(text []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(text) > 0 {
			end, next := len(text), len(text)
			for i, c := range text {
				if c == ' ' {
					end, next = i, i+1
					break
				}
				if c == '\\' && i+1 < len(text) && isSpaceEscape(text[i+1]) {
					end, next = i, i+2
					break
				}
			}
			if end > 0 && !yield(text[:end]) {
				return
			}
			text = text[next:]
		}
	}
}

// isLevel reports whether a word is the name of a level rather than an ordinary word.
func isLevel(word []byte) bool {
	const longest = len("informational")
	if len(word) == 1 || len(word) > longest || schema.LevelName(word) == "" {
		return false
	}
	var lower [longest]byte
	capitals := true
	for i, c := range word {
		capitals = capitals && (c < 'a' || c > 'z')
		if lower[i] = c; 'A' <= c && c <= 'Z' {
			lower[i] += 'a' - 'A'
		}
	}
	switch string(lower[:len(word)]) {
	case "http", "success", "fail", "log", "err":
		return false
	case "fine", "config", "alert", "notice", "panic", "critical", "severe", "emergency":
		return capitals
	}
	return true
}

// isRubyLevel reports whether a word is the first letter of a level, as Ruby's Logger::Formatter
// writes it before the time and the level.
func isRubyLevel(word []byte) bool {
	return len(word) == 2 && word[1] == ',' && bytes.IndexByte([]byte("DIWEFA"), word[0]) >= 0
}

// isCapitalized reports whether a word has a capital and then small letters only.
func isCapitalized(word []byte) bool {
	if len(word) < 2 || word[0] < 'A' || word[0] > 'Z' {
		return false
	}
	for _, c := range word[1:] {
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// isBracketed reports whether a word is in brackets, as threads and ids are.
func isBracketed(word []byte) bool {
	word = bytes.TrimRight(word, ":")
	if len(word) < 3 {
		return false
	}
	switch first, last := word[0], word[len(word)-1]; first {
	case '[':
		return last == ']'
	case '(':
		return last == ')'
	case '<':
		return last == '>'
	}
	return false
}

// isTime reports whether a word is a time or a date, or a number of seconds since 1970.
func isTime(word []byte) bool {
	const seconds = 10 // digits
	digits, separators := 0, 0
	for _, c := range word {
		switch {
		case jsonscan.IsDigit(c):
			digits++
		case c == '-', c == ':', c == '/':
			separators++
		case bytes.IndexByte([]byte("TZ.,+"), c) < 0:
			return false
		}
	}
	return digits >= seconds || digits > 3 && separators > 0
}

// isID reports whether a word is a number or a hexadecimal id.
func isID(word []byte) bool {
	digits := 0
	for _, c := range word {
		switch {
		case jsonscan.IsDigit(c):
			digits++
		case 'a' <= c && c <= 'f', 'A' <= c && c <= 'F', c == '-':
		default:
			return false
		}
	}
	return digits > 0
}

// isLogger reports whether a word is a qualified name, such as com.example.Shop.
func isLogger(word []byte) bool {
	dots := 0
	for i, c := range word {
		switch {
		case c == '.' && i > 0 && i < len(word)-1:
			dots++
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', jsonscan.IsDigit(c), c == '_', c == '$', c == '-':
		default:
			return false
		}
	}
	return dots > 0
}

// isCookie reports whether a word announces JSON in syslog.
// See https://www.rsyslog.com/doc/configuration/modules/mmjsonparse.html.
func isCookie(word []byte) bool { return string(word) == "@cee:" }

// isBasic reports whether a word has the format LEVEL:logger: of Python's basicConfig.
// See https://docs.python.org/3/library/logging.html#logging.basicConfig.
func isBasic(word []byte) bool {
	level, rest, ok := bytes.Cut(word, []byte(":"))
	return ok && bytes.IndexByte(rest, ':') == len(rest)-1 && len(rest) > 0 && !bytes.ContainsAny(level, "abcdefghijklmnopqrstuvwxyz") && isLevel(level)
}
