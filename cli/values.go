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
	"github.com/xhit/go-str2duration/v2"

	"logsluice/opensearch"
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
		if names := flag.Envs; len(names) == 2 && !v.given[flag.Value] {
			first, second := os.Getenv(names[0]), os.Getenv(names[1])
			if first != "" && second != "" && first != second {
				errs = append(errs, fmt.Errorf("%s and %s are both set, and differ: remove one", names[0], names[1]))
			}
		}
	}
	return errors.Join(errs...)
}

// mapper makes a mapper of a function that parses text. A value that is wrong becomes
// what the zero value of its type is, for kong to go on.
func (v *values) mapper(parse parser) kong.MapperFunc {
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
		var parsed any
		err := quotesError(ctx.Value, text)
		if err == nil {
			parsed, err = parse(ctx.Value, text)
		}
		if err == nil {
			err = limitError(ctx.Value, parse, parsed)
		}
		switch {
		case !token.IsValue():
			err = fmt.Errorf("the flag has no value: give --%s=VALUE", ctx.Value.Name)
		case err != nil:
			err = fmt.Errorf("%s %w", shown(ctx.Value, text), err)
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

// shown is a value as errors show it: a password not at all, a URL without what stands before
// the last @ and after the first question mark, and a user without what follows a colon.
func shown(value *kong.Value, text string) string {
	switch {
	case value.Name == passwordFlag:
		return "the value"
	case value.Name == usernameFlag:
		if user, _, found := strings.Cut(text, ":"); found {
			text = user + ":***"
		}
	case strings.HasSuffix(value.Name, "-url"):
		if i := strings.LastIndexByte(text, '@'); i >= 0 {
			text = "***" + text[i:]
		}
		text = opensearch.WithoutQuery(text)
	}
	return strconv.Quote(text)
}

// parser makes a value of the text of a setting. Its error follows the text.
type parser func(value *kong.Value, text string) (any, error)

// limitError returns an error for a number that is not within the tags least and most of its
// setting. 0 is, if the tag zero says what it is for. The tag note follows the remedy.
func limitError(value *kong.Value, parse parser, parsed any) error {
	number := reflect.ValueOf(parsed)
	zero, note := value.Tag.Get("zero"), value.Tag.Get("note")
	if !number.CanInt() || number.Int() == 0 && zero != "" {
		return nil
	}
	beyond := func(tag string, sign int) bool {
		limit, err := parse(value, value.Tag.Get(tag)) // an empty one is an error, too
		return err == nil && cmp.Compare(number.Int(), reflect.ValueOf(limit).Int()) == sign
	}
	words := []string{"too small", "too large"}
	switch n := parsed.(type) {
	case time.Duration, period:
		words = []string{"too short", "too long"}
	case size:
		if n > 0 {
			words[0] = fmt.Sprintf("too small (%d bytes)", n)
		}
	}
	wrong := words[0]
	if beyond("most", 1) {
		wrong = words[1]
	} else if !beyond("least", -1) {
		return nil
	}
	give := "at least " + value.Tag.Get("least")
	if most := value.Tag.Get("most"); most != "" {
		give = value.Tag.Get("least") + " to " + most
	}
	if note != "" {
		give += ", " + note
	}
	if zero != "" {
		give += ", or 0 " + zero
	}
	return fmt.Errorf("is %s: give %s", wrong, give)
}

// blemish returns what is wrong around a text, as with one from a file, with the remedy, ""
// if nothing is.
func blemish(text string) string {
	switch trimmed := strings.TrimSpace(text); {
	case trimmed == "" && text != "":
		return "is blank: give it a value"
	case isQuoted(trimmed):
		return "has quotes around it: remove them"
	case strings.HasSuffix(text, "\n"):
		return "ends in a newline: remove it"
	case strings.HasSuffix(text, "\r"):
		return "ends in a carriage return: remove it"
	case trimmed != text:
		return "has a leading or trailing blank: remove it"
	}
	return ""
}

// quotesError returns an error for quotes around a value, which a shell would have removed.
// opensearch.CheckPassword has its own for passwords.
func quotesError(value *kong.Value, text string) error {
	if text = strings.TrimSpace(text); isQuoted(text) && value.Name != passwordFlag {
		return errors.New(blemish(text))
	}
	return nil
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
	parsed, err := parseDuration(value, text)
	d, _ := parsed.(time.Duration)
	return period(d), err
}

// Flags whose values errors do not show, or not whole.
const (
	passwordFlag = "opensearch-password"
	usernameFlag = "opensearch-username"
)

// parseString leaves blanks and line breaks around a value out, which come with values that
// are read from files. A password may have blanks, and names in AWS are not changed.
func parseString(value *kong.Value, text string) (any, error) {
	switch value.Name {
	case passwordFlag:
		text = strings.TrimRight(text, "\r\n")
		return text, opensearch.CheckPassword(text)
	case "stream-name", "application-name", "worker-id":
		if wrong := blemish(text); wrong != "" {
			return nil, errors.New(wrong)
		}
		return text, nil
	case usernameFlag:
		if strings.Contains(text, ":") { // as RFC 7617 has it
			return nil, errors.New("has a colon, which a user cannot have: give the user only, and the password in OPENSEARCH_PASSWORD")
		}
	}
	text = strings.TrimSpace(text)
	if value.Enum == "" {
		return text, nil
	}
	var choices []string
	for _, choice := range value.EnumSlice() {
		if strings.EqualFold(choice, strings.ReplaceAll(text, "-", "_")) || choice == "warn" && strings.EqualFold(text, "warning") {
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
	case "true", "t", "yes", "y", "on", "enabled", "1":
		return true, nil
	case "false", "f", "no", "n", "off", "disabled", "0":
		return false, nil
	}
	return nil, errors.New("is neither true nor false: give one of them")
}

func parseInt(value *kong.Value, text string) (any, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	switch {
	case errors.Is(err, strconv.ErrRange):
		return nil, fmt.Errorf("is too large a number: give one such as %s", example(value, "1"))
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
		case strings.ContainsFunc(value, unicode.IsControl):
			return nil, fmt.Errorf("has control characters in the value of %q: remove them", name)
		case isQuoted(value):
			return nil, fmt.Errorf("has quotes around %s: remove them", value)
		case otherPair.MatchString(value):
			return nil, errors.New("separates pairs with something other than a comma: give for example env=prod,service=shop")
		}
		pairs[name] = value
	}
	return pairs, nil
}

var (
	// plainNumber is one without a unit, and aroundUnit what stands before one or after it.
	plainNumber = regexp.MustCompile(`^[-+]?\d+([.,]\d+)?$`)
	aroundUnit  = regexp.MustCompile(`(\d)\s+(\pL)|(\pL)\s+(\d)`)
	timeText    = regexp.MustCompile(`^[-+]?([\d.]+\s*(ns|us|µs|ms|s|m|h|d|w)\s*)+$`)
)

// parseDuration parses a time as Go spells one (36h), or in days and weeks (30d, 7d12h).
func parseDuration(value *kong.Value, text string) (any, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	duration, err := str2duration.ParseDuration(aroundUnit.ReplaceAllString(text, "$1$3$2$4"))
	usual, orZero := example(value, "15s"), ""
	if zero := value.Tag.Get("zero"); zero != "" {
		orZero = ", or 0 " + zero
	}
	switch {
	case err == nil:
		return duration, nil
	case plainNumber.MatchString(text) && text[0] == '-':
		return nil, fmt.Errorf("is negative: give a time such as %s%s", usual, orZero)
	case plainNumber.MatchString(text):
		return nil, fmt.Errorf("has no unit: give ms, s, m, h or d, such as %s", withUnit(text, value))
	case timeText.MatchString(text):
		return nil, fmt.Errorf("is too long: give a time such as %s%s", usual, orZero)
	}
	return nil, fmt.Errorf("is not a time: give a number and its unit (ms, s, m, h or d), such as %s", usual)
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
func parseSize(value *kong.Value, text string) (any, error) {
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
	return nil, fmt.Errorf("is too large a size: give one such as %s", example(value, "8MiB"))
}

// withUnit adds the unit of a setting's default to a number that has none, or returns the
// default if the setting does not allow that.
func withUnit(number string, value *kong.Value) string {
	usual := example(value, "1s")
	text := number + strings.TrimLeft(usual, "0123456789.")
	if parsed, err := parseDuration(value, text); err != nil || limitError(value, parseDuration, parsed) != nil {
		return usual
	}
	return text
}

// example is the default of a setting, else another value that it can have.
func example(value *kong.Value, other string) string {
	if value.HasDefault && value.Default != "" {
		return value.Default
	}
	return other
}
