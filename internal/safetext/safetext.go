// Package safetext makes text from other sources safe to log and print.
package safetext

import (
	"strconv"
	"strings"
	"unicode"
)

// quotedHeader is the header with the session token of AWS credentials.
const quotedHeader = "x-amz-security-token"

// CutToken returns a text from AWS up to a quoted session token: the response to a
// request with a wrong signature contains the request's headers.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html.
func CutToken(text string) string {
	if i := strings.Index(strings.ToLower(text), quotedHeader); i >= 0 {
		return strings.TrimSpace(text[:i]) + " …"
	}
	return text
}

// Escape replaces control characters, which would affect a terminal, with escapes such as
// \x1b. Newlines and tabs are kept.
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
