package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/kong"
	"github.com/dustin/go-humanize"

	"logsluice/internal/timetext"
)

// values parses flags and environment variables in place of kong, whose errors are
// Go's words and show what a variable holds without its name. The error of a value is
// kept until it is known which command runs.
type values struct {
	wrong map[*kong.Value]error
	given map[*kong.Value]bool // by a flag, which stands in place of its variable
}

func newValues() *values {
	return &values{wrong: make(map[*kong.Value]error), given: make(map[*kong.Value]bool)}
}

// options makes kong parse with v.
func (v *values) options() []kong.Option {
	return []kong.Option{
		kong.KindMapper(reflect.String, v.mapper(parseString)),
		kong.KindMapper(reflect.Bool, boolMapper{v.mapper(parseBool)}),
		kong.KindMapper(reflect.Int, v.mapper(parseInt)),
		kong.KindMapper(reflect.Map, v.mapper(parseMap)),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), v.mapper(parseDuration)),
		kong.TypeMapper(reflect.TypeFor[days](), v.mapper(parseDays)),
		kong.TypeMapper(reflect.TypeFor[size](), v.mapper(parseSize)),
		kong.TypeMapper(reflect.TypeFor[period](), periodMapper{v.mapper(parsePeriod)}),
	}
}

// err returns the errors of the values that a command has, in the order of its help.
func (v *values) err(flags []*kong.Flag) error {
	var errs []error
	for _, flag := range flags {
		if err := v.wrong[flag.Value]; err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// mapper makes a mapper of a function that parses text. A value that is wrong becomes
// what the zero value of its type is, for kong to go on.
func (v *values) mapper(parse func(value *kong.Value, text string) (any, error)) kong.MapperFunc {
	return func(ctx *kong.DecodeContext, target reflect.Value) error {
		// Kong parses a variable or a default into the setting itself.
		if own := ctx.Value.Target; target.Addr().Pointer() != own.Addr().Pointer() {
			if !v.given[ctx.Value] || !collects(own.Kind()) {
				delete(v.wrong, ctx.Value)
			}
			v.given[ctx.Value] = true
		} else if v.given[ctx.Value] {
			ctx.Scan.Pop()
			return nil
		}
		token := ctx.Scan.Pop()
		text := fmt.Sprint(token.Value)
		parsed, err := parse(ctx.Value, text)
		switch {
		case !token.IsValue():
			err = errors.New("the flag has no value")
		case err != nil:
			err = fmt.Errorf("%q %w", masked(ctx.Value, text), err)
		}
		if err != nil {
			v.wrong[ctx.Value] = fmt.Errorf("%s: %w", settingName(ctx.Value), err)
			if ctx.Value.Enum != "" { // kong checks these itself
				target.SetString(ctx.Value.EnumSlice()[0])
			}
			return nil
		}
		if given := reflect.ValueOf(parsed); target.Kind() == reflect.Map && !target.IsNil() {
			for _, key := range given.MapKeys() {
				target.SetMapIndex(key, given.MapIndex(key))
			}
		} else {
			target.Set(given.Convert(target.Type()))
		}
		return nil
	}
}

// collects reports whether a flag that is given more than once has all its values; of others
// the last one counts.
func collects(kind reflect.Kind) bool { return kind == reflect.Map || kind == reflect.Slice }

// masked is a value as errors show it: a URL without what stands before the last @.
func masked(value *kong.Value, text string) string {
	if i := strings.LastIndexByte(text, '@'); i >= 0 && strings.HasSuffix(value.Name, "-url") {
		return "***" + text[i:]
	}
	return text
}

// settingName names a setting as errors do: STREAM_NAME (--stream-name).
func settingName(value *kong.Value) string {
	flag := "--" + value.Name
	variable := variableOf(value)
	if variable == "" {
		return flag
	}
	return variable + " (" + flag + ")"
}

// variableOf returns the environment variable of a setting, the one that is set if it has
// several, "" if it has none.
func variableOf(value *kong.Value) string {
	for _, name := range value.Tag.Envs {
		if os.Getenv(name) != "" {
			return name
		}
	}
	return append(value.Tag.Envs, "")[0]
}

// boolMapper parses a flag that needs no value.
type boolMapper struct{ kong.MapperFunc }

// IsBool is called by kong.
func (boolMapper) IsBool() bool { return true }

// Decode is called by kong.
func (b boolMapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		ctx.Scan.PushTyped("true", kong.FlagValueToken)
	}
	return b.MapperFunc(ctx, target)
}

// periodMapper parses a flag whose value may be left out, or follow after a blank: no
// argument begins with a digit.
type periodMapper struct{ kong.MapperFunc }

// IsBool is called by kong.
func (periodMapper) IsBool() bool { return true }

// Decode is called by kong.
func (p periodMapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	next := ctx.Scan.Peek()
	first, _ := utf8.DecodeRuneInString(next.String())
	if next.Type != kong.FlagValueToken && (!next.IsValue() || !unicode.IsDigit(first)) {
		ctx.Scan.PushTyped(defaultPeriod.String(), kong.FlagValueToken)
	}
	return p.MapperFunc(ctx, target)
}

func parsePeriod(value *kong.Value, text string) (any, error) {
	const least = 100 * time.Millisecond
	parsed, err := parseDuration(value, text)
	if err != nil {
		return nil, err
	}
	if d := parsed.(time.Duration); d >= least {
		return period(d), nil
	}
	return nil, fmt.Errorf("is too short: give at least %s", timetext.Format(least))
}

// parseString leaves blanks and line breaks around a value out, which come with values that
// are read from files. A password may have blanks, and names in AWS are checked as they are.
func parseString(value *kong.Value, text string) (any, error) {
	switch value.Name {
	case "opensearch-password":
		return strings.TrimRight(text, "\r\n"), nil
	case "stream-name", "application-name", "worker-id":
		return text, nil
	}
	text = strings.TrimSpace(text)
	if isQuoted(text) {
		return nil, errors.New("has quotes around it: remove them")
	}
	if value.Enum == "" {
		return text, nil
	}
	var choices []string
	for _, choice := range value.EnumSlice() {
		if strings.EqualFold(choice, text) {
			return choice, nil
		}
		if choice != "" {
			choices = append(choices, choice)
		}
	}
	last := len(choices) - 1
	return nil, fmt.Errorf("is invalid: give %s or %s", strings.Join(choices[:last], ", "), choices[last])
}

func parseBool(_ *kong.Value, text string) (any, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return nil, errors.New("is neither true nor false: give one of them")
}

func parseInt(value *kong.Value, text string) (any, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	switch {
	case errors.Is(err, strconv.ErrRange):
		return nil, errors.New("is too large a number")
	case err != nil:
		return nil, fmt.Errorf("is not a whole number: give one such as %s", example(value, "1"))
	}
	return n, nil
}

// constantName is what a constant field can be called, and otherPair what follows a value if
// pairs are separated by other than a comma.
var (
	constantName = regexp.MustCompile(`^[\pL\d_.@-]+$`)
	otherPair    = regexp.MustCompile(`[;&|\s]\s*[\pL\d_.@-]+=`)
)

// isQuoted reports whether a text has quotes around it.
func isQuoted(text string) bool {
	last := len(text) - 1
	return last > 0 && text[0] == text[last] && (text[0] == '"' || text[0] == '\'')
}

// parseMap parses NAME=VALUE,NAME=VALUE. A comma of a value is written \,.
func parseMap(_ *kong.Value, text string) (any, error) {
	pairs := map[string]string{}
	for _, pair := range kong.SplitEscaped(text, ',') {
		name, value, found := strings.Cut(pair, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch _, twice := pairs[name]; {
		case !found || name == "":
			return nil, errors.New("does not have the form NAME=VALUE,NAME=VALUE: give for example env=prod,service=shop")
		case !constantName.MatchString(name):
			return nil, fmt.Errorf("has the name %q: give a name of letters, digits, and . _ - @", name)
		case twice:
			return nil, fmt.Errorf("has the name %q twice: remove one", name)
		case value == "":
			return nil, fmt.Errorf("has no value for %q: give one, or remove the name", name)
		case isQuoted(value):
			return nil, fmt.Errorf("has quotes around %s: remove them", value)
		case otherPair.MatchString(value):
			return nil, errors.New("separates pairs with something other than a comma: give for example env=prod,service=shop")
		}
		pairs[name] = value
	}
	return pairs, nil
}

func parseDuration(value *kong.Value, text string) (any, error) {
	text = strings.TrimSpace(text)
	duration, err := time.ParseDuration(text)
	if err == nil {
		return duration, nil
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return nil, fmt.Errorf("has no unit: give ms, s, m or h, such as %s", withUnit(text, value, "s"))
	}
	return nil, fmt.Errorf("is not a time: give a number and its unit (ms, s, m or h), such as %s", example(value, "15s"))
}

// days is a time in days (30d), or as Go spells one (36h).
type days time.Duration

// String is called for errors.
func (d days) String() string { return timetext.Format(time.Duration(d)) }

func parseDays(value *kong.Value, text string) (any, error) {
	text = strings.TrimSpace(text)
	if duration, err := time.ParseDuration(text); err == nil {
		return days(duration), nil
	}
	if n, found := strings.CutSuffix(text, "d"); found && !strings.HasPrefix(n, "-") {
		const bits = 16 // which time.Duration holds
		if count, err := strconv.ParseUint(n, 10, bits); err == nil {
			return days(time.Duration(count) * 24 * time.Hour), nil
		}
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return nil, fmt.Errorf("has no unit: give m, h or d, such as %s", withUnit(text, value, "d"))
	}
	return nil, fmt.Errorf("is not a time: give a number and its unit (m, h or d), such as %s", example(value, "30d"))
}

// size is a number of bytes.
type size int64

// String returns the number with a unit if it is a multiple of one.
func (s size) String() string {
	units := []string{"", "KiB", "MiB", "GiB"}
	for len(units) > 1 && s != 0 && s%1024 == 0 {
		s, units = s/1024, units[1:]
	}
	return strconv.FormatInt(int64(s), 10) + units[0]
}

// sizeText is whole bytes, or a number with a unit.
var sizeText = regexp.MustCompile(`^(\d+|\d+(\.\d+)?\s*([kKmMgGtT]i?[bB]?|[bB]))$`)

// parseSize parses bytes, or a number with a unit: 8MB is 8,000,000 bytes and 8MiB
// 8,388,608.
func parseSize(_ *kong.Value, text string) (any, error) {
	const most = 1 << 50
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n < most {
		return size(n), nil
	}
	if !sizeText.MatchString(text) {
		return nil, errors.New("is not a size: give bytes, or a number with a unit, such as 1000000, 8MB or 8MiB")
	}
	if n, err := humanize.ParseBytes(text); err == nil && n < most {
		return size(n), nil
	}
	return nil, errors.New("is too large a size")
}

// withUnit adds the unit of a setting's default to a number that has none. A negative one
// becomes the default.
func withUnit(number string, value *kong.Value, usual string) string {
	if strings.HasPrefix(number, "-") {
		return example(value, "1"+usual)
	}
	unit := strings.TrimLeft(value.Default, "0123456789.")
	return number + cmp.Or(unit, usual)
}

// example is the default of a setting, else another value that it can have.
func example(value *kong.Value, other string) string {
	if value.HasDefault && value.Default != "" {
		return value.Default
	}
	return other
}
