package schema

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ncruces/go-strftime"
)

// Names of the indices, or of the data stream, that documents go to.

// maxPrefix leaves room for the date within the 255 bytes of an index name.
const maxPrefix = 200

// DefaultDate makes an index per day.
const DefaultDate = "%Y-%m-%d"

// Outside is the end of PREFIX-outside, the index of events that are far from their
// arrival. It differs from dates, which always have digits.
const Outside = "outside"

// deadLetters is the end of the name of the dead-letter index and of its template, which
// package deadletter defines.
const deadLetters = "dead-letter"

// Naming is how the indices of documents are named.
type Naming struct {
	// Prefix is the beginning of each index name: PREFIX-2018-12-10.
	Prefix string
	// Date is the strftime pattern for the rest of the name, DefaultDate if it is empty.
	Date string
	// DataStream sends documents to the data stream PREFIX instead of indices by date. An
	// event re-delivered after a rollover then becomes a second document.
	DataStream bool
	// Zone determines the day that an event belongs to and the offset of its timestamp.
	Zone *time.Location
}

// Check returns an error if the naming is invalid.
func (n Naming) Check() error {
	if n.Zone == nil {
		return errors.New("the names of indices need a timezone")
	}
	if err := CheckPrefix(n.Prefix); err != nil {
		return err
	}
	return CheckDate(cmp.Or(n.Date, DefaultDate))
}

// DatePattern returns the strftime pattern after the prefix, or "" for a data stream.
func (n Naming) DatePattern() string {
	if n.DataStream {
		return ""
	}
	return cmp.Or(n.Date, DefaultDate)
}

// Base returns the beginning of every index name, or the name of the data stream.
func (n Naming) Base() string {
	if n.DataStream {
		return n.Prefix
	}
	return n.Prefix + "-"
}

// Pattern returns a pattern that matches the indices, and any others with their prefix.
func (n Naming) Pattern() string {
	if n.DataStream {
		return n.Base()
	}
	return n.Base() + "*"
}

// AppendDate appends the rest of the name of the index for a local time.
func (n Naming) AppendDate(dst []byte, t time.Time) []byte {
	return strftime.AppendFormat(dst, n.DatePattern(), t)
}

// Outside returns the index of events that are far from their arrival, or "" for a data
// stream.
func (n Naming) Outside() string {
	if n.DataStream {
		return ""
	}
	return n.Base() + Outside
}

// Local returns a time, in milliseconds since the epoch, in the timezone. Two kinds of
// local times cannot be written in RFC 3339 (section 5.6): offsets with seconds, which
// zones had before they were standardized, and years after 9999. Such times are returned
// in UTC, so that the instant is correct.
func (n Naming) Local(milliseconds int64) (t time.Time, isLocal bool) {
	t = time.UnixMilli(milliseconds).In(n.Zone)
	_, offset := t.Zone()
	if year := t.Year(); offset%60 != 0 || year < 0 || year > 9999 {
		return t.UTC(), false
	}
	return t, true
}

// at returns the index by date for a time.
func (n Naming) at(t time.Time) string {
	local, _ := n.Local(t.UnixMilli())
	return string(n.AppendDate([]byte(n.Base()), local))
}

// Owns reports whether a name is that of an index of documents: PREFIX-outside, or a name
// with digits in the same positions as today's index.
func (n Naming) Owns(index string) bool {
	date, ours := strings.CutPrefix(index, n.Base())
	return index == n.Outside() || ours && shapeOf(date) == shapeOf(strings.TrimPrefix(n.at(time.Now()), n.Base()))
}

// shapeOf returns a name with each digit replaced by 0.
func shapeOf(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '0'
		}
		return r
	}, name)
}

// Indices returns the indices for events of a time and of the day before it, newest last.
// The first is PREFIX-outside, unless documents go to a data stream.
func (n Naming) Indices(t time.Time) []string {
	var names []string
	if outside := n.Outside(); outside != "" {
		names = append(names, outside)
	}
	for ago := 24 * time.Hour; ago >= 0; ago -= time.Hour {
		names = append(names, n.at(t.Add(-ago)))
	}
	return slices.Compact(names)
}

// Next returns the index for events of the period after a time, or "" for a data stream.
func (n Naming) Next(t time.Time) string {
	if n.DataStream {
		return ""
	}
	next := t
	for n.at(next) == n.at(t) {
		next = next.Add(time.Hour)
	}
	return n.at(next)
}

// CheckPrefix returns an error for a prefix that violates the rules for index names. If it
// were accepted, every bulk request would fail.
// See https://docs.opensearch.org/latest/api-reference/index-apis/create-index/.
func CheckPrefix(prefix string) error {
	switch {
	case prefix == "":
		return errors.New("it is empty: set it to the beginning of the index names")
	case len(prefix) > maxPrefix:
		return fmt.Errorf("%q is %d bytes long: use at most %d", prefix, len(prefix), maxPrefix)
	case strings.ContainsRune("-_+.", rune(prefix[0])):
		return fmt.Errorf("%q begins with one of - _ + . : begin it with a letter or a digit", prefix)
	case strings.Contains(prefix, "%"):
		begin, _, _ := strings.Cut(prefix, "%")
		return fmt.Errorf("%q has a date pattern, which belongs in INDEX_DATE: use %q", prefix, cmp.Or(strings.TrimRight(begin, "-_."), "logs"))
	case strings.HasSuffix(prefix, "-"):
		return fmt.Errorf("%q ends in a hyphen, which is added anyway: use %q", prefix, strings.TrimRight(prefix, "-"))
	}
	for _, reserved := range []string{Outside, deadLetters} {
		if strings.HasSuffix(prefix, "-"+reserved) {
			return fmt.Errorf("%q ends in -%s, which names an index or a template of the prefix %q: choose another ending",
				prefix, reserved, strings.TrimSuffix(prefix, "-"+reserved))
		}
	}
	const remove = ": remove it"
	err := checkName(prefix, prefix)
	if err == nil || !strings.HasSuffix(err.Error(), remove) {
		return err
	}
	rest := strings.Trim(strings.Map(func(r rune) rune {
		if isForbidden(r) {
			return -1
		}
		return r
	}, prefix), "-_+.")
	if CheckPrefix(rest) != nil {
		return err
	}
	return fmt.Errorf("%s: use %q", strings.TrimSuffix(err.Error(), remove), rest)
}

// isForbidden reports whether a character is not allowed in index names.
func isForbidden(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`\/*?"<>|,#:`, r) }

// checkName checks the characters of a part of an index name. name is the whole input,
// for errors.
func checkName(name, characters string) error {
	switch {
	case !utf8.ValidString(characters):
		return fmt.Errorf("%q is not valid UTF-8: use letters, digits and hyphens", name)
	case strings.ToLower(characters) != characters:
		return fmt.Errorf("%q has uppercase letters: use lowercase", name)
	}
	for _, r := range characters {
		if isForbidden(r) {
			return fmt.Errorf("%q contains %q, which an index name cannot have: remove it", name, r)
		}
	}
	return nil
}

// dateParts are sequences of date parts, each of which requires the previous one: %d
// alone is not a day.
var dateParts = [][]string{{"%Y", "%m", "%d", "%H"}, {"%G", "%V"}, {"%Y", "%j", "%H"}}

// otherPatterns converts date patterns of Java, Logstash and Go to strftime.
var otherPatterns = strings.NewReplacer(
	"YYYY", "%Y", "yyyy", "%Y", "xxxx", "%G", "MM", "%m", "mm", "%m", "DDD", "%j", "DD", "%d", "dd", "%d",
	"HH", "%H", "hh", "%H", "ww", "%V", "'T'", "-",
	"2006", "%Y", "01", "%m", "02", "%d", "15", "%H")

// otherDirectives converts unsupported strftime directives to those that CheckDate
// accepts.
var otherDirectives = strings.NewReplacer("%F", "%Y-%m-%d", "%y", "%Y", "%b", "%m", "%B", "%m", "%h", "%m", "%e", "%d", "%I", "%H", "%k", "%H",
	"%W", "%V", "%U", "%V", "%-", "%", "%C", "%Y", "%g", "%G", "%T", "%H")

var anyOrUppercase = regexp.MustCompile(`%.|\p{Lu}`)

// withoutUppercase converts text between directives to lowercase.
func withoutUppercase(date string) string {
	return anyOrUppercase.ReplaceAllStringFunc(date, func(s string) string {
		if s[0] == '%' {
			return s
		}
		return strings.ToLower(s)
	})
}

// CheckDate returns an error unless a strftime pattern makes one index per period:
// %Y-%m-%d, %Y-%m-%d-%H, %G-w%V, %Y-%m and similar.
func CheckDate(date string) error {
	if strings.Contains(date, "%%") {
		return fmt.Errorf("%q has %%%%, which stands for a percent sign: use %s", date, strings.ReplaceAll(date, "%%", "%"))
	}
	rest := date
	for _, directive := range []string{"%Y", "%m", "%d", "%H", "%G", "%V", "%j"} {
		rest = strings.ReplaceAll(rest, directive, "")
	}
	valid := func(other string) bool { return other != date && CheckDate(other) == nil }
	isUpper := strings.ToLower(rest) != rest
	directives, other, lower := otherPatterns.Replace(date), otherDirectives.Replace(date), withoutUppercase(date)
	if !strings.Contains(other, "%m") {
		other = strings.ReplaceAll(other, "%M", "%m") // %M is the minute
	}
	i := strings.IndexByte(rest, '%')
	switch {
	case strings.HasSuffix(date, "%"):
		return fmt.Errorf("%q has a %% without a letter: use a pattern such as %s", date, DefaultDate)
	case i >= 0 && valid(other):
		return fmt.Errorf("%q has %q, which is not supported: use %s", date, rest[i:min(i+2, len(rest))], other)
	case i >= 0:
		return fmt.Errorf("%q has %q: use %%Y, %%m, %%d, %%H, %%j, or %%G and %%V for weeks", date, rest[i:min(i+2, len(rest))])
	}
	switch {
	case (isUpper || !strings.Contains(date, "%")) && valid(directives):
		return fmt.Errorf("%q is not a strftime pattern: use %s", date, directives)
	case isUpper && valid(lower):
		return fmt.Errorf("%q has uppercase letters: use %s", date, lower)
	case strings.Trim(date, "-") != date && valid(strings.Trim(date, "-")):
		return fmt.Errorf("%q has a hyphen at its beginning or end: use %s", date, strings.Trim(date, "-"))
	}
	if err := checkName(date, rest); err != nil {
		return err
	}
	const longest = 50
	if date == "" || len(date) > longest {
		return fmt.Errorf("%q is empty or longer than %d bytes: use a pattern such as %s", date, longest, DefaultDate)
	}
	for _, parts := range dateParts {
		complete := strings.Contains(date, parts[0]) // no part without the previous ones
		left := date
		for i, part := range parts {
			has := strings.Contains(date, part)
			complete = complete && (!has || i == 0 || strings.Contains(date, parts[i-1]))
			left = strings.ReplaceAll(left, part, "")
		}
		if complete && !strings.Contains(left, "%") {
			return nil
		}
	}
	return fmt.Errorf("%q does not identify a day, month, hour or week: use one such as %%Y-%%m-%%d, %%Y-%%m, %%Y-%%m-%%d-%%H or %%G-w%%V", date)
}
