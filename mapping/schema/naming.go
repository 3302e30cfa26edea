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

// Names of the indices, or of the data stream, that documents are written to.

// maxPrefix leaves room for the date within the 255 bytes of an index name.
const maxPrefix = 200

// DefaultDate names an index for each day.
const DefaultDate = "%Y-%m-%d"

// Outside ends the name of the index of events that are far from their arrival:
// PREFIX-outside. It is not a date, which always has digits.
const Outside = "outside"

// deadLetters ends the name of the index of dead letters, and of their template, as
// package deadletter has it.
const deadLetters = "dead-letter"

// Naming is how the indices of documents are named.
type Naming struct {
	// Prefix begins every index name: PREFIX-2018-12-10.
	Prefix string
	// Date is the rest of it, a strftime pattern; DefaultDate when empty.
	Date string
	// DataStream has the documents go to the data stream PREFIX in place of indices
	// by date. A re-delivery after a rollover then is a second document.
	DataStream bool
	// Zone decides the day an event belongs to and the offset its timestamp is
	// written with.
	Zone *time.Location
}

// Check returns an error if indices cannot be named like that.
func (n Naming) Check() error {
	if n.Zone == nil {
		return errors.New("the names of indices need a timezone")
	}
	if err := CheckPrefix(n.Prefix); err != nil {
		return err
	}
	return CheckDate(cmp.Or(n.Date, DefaultDate))
}

// DatePattern returns the strftime pattern that follows the prefix, "" for a data stream.
func (n Naming) DatePattern() string {
	if n.DataStream {
		return ""
	}
	return cmp.Or(n.Date, DefaultDate)
}

// Base returns what every index name begins with, which is the whole name of a data
// stream.
func (n Naming) Base() string {
	if n.DataStream {
		return n.Prefix
	}
	return n.Prefix + "-"
}

// Pattern returns the pattern that matches the indices, and what else has their prefix.
func (n Naming) Pattern() string {
	if n.DataStream {
		return n.Base()
	}
	return n.Base() + "*"
}

// AppendDate appends the rest of the name of the index that a local time belongs to.
func (n Naming) AppendDate(dst []byte, t time.Time) []byte {
	return strftime.AppendFormat(dst, n.DatePattern(), t)
}

// Outside returns the index of the events that are far from their arrival, "" for a data
// stream.
func (n Naming) Outside() string {
	if n.DataStream {
		return ""
	}
	return n.Base() + Outside
}

// Local returns a time, in milliseconds since the epoch, in the timezone. Two
// kinds of local time cannot be written as RFC 3339 (section 5.6): offsets
// with seconds, which zones had before they were standardized, and years
// beyond 9999. Such a time is returned in UTC, so that the instant stays right.
func (n Naming) Local(milliseconds int64) (t time.Time, isLocal bool) {
	t = time.UnixMilli(milliseconds).In(n.Zone)
	_, offset := t.Zone()
	if year := t.Year(); offset%60 != 0 || year < 0 || year > 9999 {
		return t.UTC(), false
	}
	return t, true
}

// at returns the index by date that a time belongs to.
func (n Naming) at(t time.Time) string {
	local, _ := n.Local(t.UnixMilli())
	return string(n.AppendDate([]byte(n.Base()), local))
}

// Owns reports whether a name is that of an index of documents: PREFIX-outside, or one
// with digits where the index of today has some.
func (n Naming) Owns(index string) bool {
	date, ours := strings.CutPrefix(index, n.Base())
	return index == n.Outside() || ours && shapeOf(date) == shapeOf(strings.TrimPrefix(n.at(time.Now()), n.Base()))
}

// shapeOf returns a name with each digit as 0.
func shapeOf(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '0'
		}
		return r
	}, name)
}

// Indices returns those that events of a time, and of the day before it, belong to,
// the newest last. The first is PREFIX-outside, where there can be such an index.
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

// Next returns the index that events of the period after a time belong to, "" for a
// data stream.
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

// CheckPrefix returns an error for a prefix that breaks the rules for index names, which
// each bulk request would otherwise report.
// See https://docs.opensearch.org/latest/api-reference/index-apis/create-index/.
func CheckPrefix(prefix string) error {
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
	for _, reserved := range []string{Outside, deadLetters} {
		if strings.HasSuffix(prefix, "-"+reserved) {
			return fmt.Errorf("%q ends in -%s, which names an index or a template of the prefix %q: choose another end",
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
	return fmt.Errorf("%s: give %q", strings.TrimSuffix(err.Error(), remove), rest)
}

// isForbidden reports whether an index name cannot have a character.
func isForbidden(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`\/*?"<>|,#:`, r) }

// checkName checks the characters of a part of an index name; name is as it was given.
func checkName(name, characters string) error {
	switch {
	case !utf8.ValidString(characters):
		return fmt.Errorf("%q is not valid UTF-8: give letters, digits and hyphens", name)
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

// CheckDate returns an error unless a strftime pattern names an index for each period of
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
	if !strings.Contains(other, "%m") {
		other = strings.ReplaceAll(other, "%M", "%m") // %M is the minute
	}
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
		Fits := strings.Contains(date, parts[0]) // and no part without those before
		left := date
		for i, part := range parts {
			has := strings.Contains(date, part)
			Fits = Fits && (!has || i == 0 || strings.Contains(date, parts[i-1]))
			left = strings.ReplaceAll(left, part, "")
		}
		if Fits && !strings.Contains(left, "%") {
			return nil
		}
	}
	return fmt.Errorf("%q does not identify a day, month, hour or week: give one such as %%Y-%%m-%%d, %%Y-%%m, %%Y-%%m-%%d-%%H or %%G-w%%V", date)
}
