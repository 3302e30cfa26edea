package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ncruces/go-strftime"
)

// maxPrefix leaves room for the date within the 255 bytes of an index name.
const maxPrefix = 200

// DefaultDate names an index for each day.
const DefaultDate = "%Y-%m-%d"

// naming is how the indices are named.
type naming struct {
	prefix string
	date   string // a strftime pattern, "" for a data stream
}

// base begins every index name; it is the whole name of a data stream.
func (n naming) base() string {
	if n.date == "" {
		return n.prefix
	}
	return n.prefix + "-"
}

// pattern matches the indices, and what else has their prefix.
func (n naming) pattern() string {
	if n.date == "" {
		return n.base()
	}
	return n.base() + "*"
}

// appendDate appends the rest of the name of the index that a time belongs to.
func (n naming) appendDate(dst []byte, t time.Time) []byte {
	return strftime.AppendFormat(dst, n.date, t)
}

// checkPrefix returns an error for a prefix that breaks the rules for index names, which
// each bulk request would otherwise report.
// See https://docs.opensearch.org/latest/api-reference/index-apis/create-index/.
func checkPrefix(prefix string) error {
	switch {
	case prefix == "":
		return errors.New("it is empty: give the beginning of the index names")
	case len(prefix) > maxPrefix:
		return fmt.Errorf("%q is %d bytes long: give at most %d", prefix, len(prefix), maxPrefix)
	case strings.ContainsRune("-_+.", rune(prefix[0])):
		return fmt.Errorf("%q begins with one of - _ + . : begin it with a letter or a digit", prefix)
	case strings.Contains(prefix, "%"):
		begin, _, _ := strings.Cut(prefix, "%")
		return fmt.Errorf("%q has a date pattern, which belongs in INDEX_DATE: give %q", prefix, cmp.Or(strings.TrimRight(begin, "-_."), "logs"))
	case strings.HasSuffix(prefix, "-"):
		return fmt.Errorf("%q ends in a hyphen, which is added anyway: give %q", prefix, strings.TrimRight(prefix, "-"))
	}
	for _, reserved := range []string{outsideDate, lettersName} {
		if strings.HasSuffix(prefix, "-"+reserved) {
			return fmt.Errorf("%q ends in -%s, which names an index or a template of the prefix %q: choose another end",
				prefix, reserved, strings.TrimSuffix(prefix, "-"+reserved))
		}
	}
	return checkName(prefix, prefix)
}

// checkName checks the characters of a part of an index name; name is as it was given.
func checkName(name, characters string) error {
	switch {
	case !utf8.ValidString(characters):
		return fmt.Errorf("%q is not valid UTF-8: give letters, digits and hyphens", name)
	case strings.ToLower(characters) != characters:
		return fmt.Errorf("%q has uppercase letters: use lowercase", name)
	}
	for _, r := range characters {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`\/*?"<>|,#:`, r) {
			return fmt.Errorf("%q contains %q, which an index name cannot have: remove it", name, r)
		}
	}
	return nil
}

// finer are the parts of a date of which each needs the one before: %d alone is
// not a day.
var finer = [][]string{{"%Y", "%m", "%d", "%H"}, {"%G", "%V"}, {"%Y", "%j", "%H"}}

// otherPatterns writes as strftime has it what date patterns of Java, Logstash and Go have.
var otherPatterns = strings.NewReplacer(
	"YYYY", "%Y", "yyyy", "%Y", "xxxx", "%G", "MM", "%m", "mm", "%m", "DDD", "%j", "DD", "%d", "dd", "%d",
	"HH", "%H", "hh", "%H", "ww", "%V", "'T'", "-",
	"2006", "%Y", "01", "%m", "02", "%d", "15", "%H")

// otherDirectives are those that CheckDate accepts in place of others of strftime.
var otherDirectives = strings.NewReplacer("%F", "%Y-%m-%d", "%y", "%Y", "%b", "%m", "%B", "%m", "%h", "%m", "%e", "%d", "%I", "%H", "%k", "%H",
	"%W", "%V", "%U", "%V", "%-", "%", "%C", "%Y", "%g", "%G", "%T", "%H")

var anyOrUppercase = regexp.MustCompile(`%.|\p{Lu}`)

// withoutUppercase writes what stands between the directives in lowercase.
func withoutUppercase(date string) string {
	return anyOrUppercase.ReplaceAllStringFunc(date, func(s string) string {
		if s[0] == '%' {
			return s
		}
		return strings.ToLower(s)
	})
}

// CheckDate tells whether a strftime pattern names an index for each period of
// time: %Y-%m-%d, %Y-%m-%d-%H, %G-w%V, %Y-%m and the like.
func CheckDate(date string) error {
	if strings.Contains(date, "%%") {
		return fmt.Errorf("%q has %%%%, which stands for a percent sign: give %s", date, strings.ReplaceAll(date, "%%", "%"))
	}
	rest := date
	for _, directive := range []string{"%Y", "%m", "%d", "%H", "%G", "%V", "%j"} {
		rest = strings.ReplaceAll(rest, directive, "")
	}
	valid := func(other string) bool { return other != date && CheckDate(other) == nil }
	isUpper := strings.ToLower(rest) != rest
	directives, other, lower := otherPatterns.Replace(date), otherDirectives.Replace(date), withoutUppercase(date)
	i := strings.IndexByte(rest, '%')
	switch {
	case strings.HasSuffix(date, "%"):
		return fmt.Errorf("%q has a %% without a letter: give a pattern such as %s", date, DefaultDate)
	case i >= 0 && valid(other):
		return fmt.Errorf("%q has %q, which is not supported: give %s", date, rest[i:min(i+2, len(rest))], other)
	case i >= 0:
		return fmt.Errorf("%q has %q: give %%Y, %%m, %%d, %%H, %%j, or %%G and %%V for weeks", date, rest[i:min(i+2, len(rest))])
	}
	switch {
	case (isUpper || !strings.Contains(date, "%")) && valid(directives):
		return fmt.Errorf("%q is not a strftime pattern: give %s", date, directives)
	case isUpper && valid(lower):
		return fmt.Errorf("%q has uppercase letters: give %s", date, lower)
	case strings.Trim(date, "-") != date && valid(strings.Trim(date, "-")):
		return fmt.Errorf("%q has a hyphen at an end, where one stands already: give %s", date, strings.Trim(date, "-"))
	}
	if err := checkName(date, rest); err != nil {
		return err
	}
	const longest = 50
	if date == "" || len(date) > longest {
		return fmt.Errorf("%q is empty or longer than %d bytes: give a pattern such as %s", date, longest, DefaultDate)
	}
	for _, parts := range finer {
		fits := strings.Contains(date, parts[0]) // and no part without those before
		left := date
		for i, part := range parts {
			has := strings.Contains(date, part)
			fits = fits && (!has || i == 0 || strings.Contains(date, parts[i-1]))
			left = strings.ReplaceAll(left, part, "")
		}
		if fits && !strings.Contains(left, "%") {
			return nil
		}
	}
	return fmt.Errorf("%q does not identify a day, month, hour or week: give one such as %%Y-%%m-%%d, %%Y-%%m, %%Y-%%m-%%d-%%H or %%G-w%%V", date)
}
