// Package safetext makes texts of others fit to be logged and printed.
package safetext

import (
	"strconv"
	"strings"
	"unicode"
)

// quotedHeader is the one with the session token of AWS credentials.
const quotedHeader = "x-amz-security-token"

// CutToken returns a text of AWS up to the session token that it quotes: the answer to a
// request whose signature does not match has the request's headers.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html.
func CutToken(text string) string {
	if i := strings.Index(strings.ToLower(text), quotedHeader); i >= 0 {
		return strings.TrimSpace(text[:i]) + " …"
	}
	return text
}

// Escape returns a text with \x1b and the like in place of control characters, which a
// terminal would obey. Newlines and tabs stay.
func Escape(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	isSafe := func(r rune) bool {
		return r == '\n' || r == '\t' || unicode.IsPrint(r) || unicode.IsSpace(r) && !unicode.IsControl(r)
	}
	if strings.IndexFunc(text, func(r rune) bool { return !isSafe(r) }) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if isSafe(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
