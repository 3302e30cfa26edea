package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"logsluice/checkpoint"
	"logsluice/indexer/deadletter"
	"logsluice/opensearch"
)

// values parses flags and environment variables for kong, whose own errors use Go's terms and
// quote the value of a variable without its name. It keeps the error of each value until the
// command is known.
type values struct {
	wrong map[*kong.Value]error
	given map[*kong.Value]bool // by a flag, which overrides its variable
}

func newValues() *values {
	return &values{wrong: make(map[*kong.Value]error), given: make(map[*kong.Value]bool)}
}

// options returns options that make kong parse with v.
func (v *values) options() []kong.Option {
	return []kong.Option{
		kong.KindMapper(reflect.String, v.mapper(parseString)),
		kong.KindMapper(reflect.Bool, boolMapper{v.mapper(parseBool)}),
		kong.KindMapper(reflect.Int, v.mapper(parseInt)),
		kong.KindMapper(reflect.Map, v.mapper(parseMap)),
		kong.KindMapper(reflect.Slice, v.mapper(parseList)),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), v.mapper(parseDuration)),
		kong.TypeMapper(reflect.TypeFor[size](), v.mapper(parseSize)),
		kong.TypeMapper(reflect.TypeFor[checkpoint.Position](), v.mapper(parsePosition)),
		kong.TypeMapper(reflect.TypeFor[*time.Location](), v.mapper(parseZone)),
		kong.TypeMapper(reflect.TypeFor[opensearch.Address](), v.mapper(parseAddress)),
		kong.TypeMapper(reflect.TypeFor[deadletter.URL](), v.mapper(parseFolder)),
		kong.TypeMapper(reflect.TypeFor[period](), periodMapper{v.mapper(parsePeriod)}),
	}
}

// err returns the errors of a command's values, in the order of its help.
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

// mapper returns a mapper that parses with a function. An invalid value becomes the zero
// value of its type, so that kong continues.
func (v *values) mapper(parse parser) kong.MapperFunc {
	return func(ctx *kong.DecodeContext, target reflect.Value) error {
		// Kong parses a variable or a default into the setting itself.
		if setting := ctx.Value.Target; target.Addr().Pointer() != setting.Addr().Pointer() {
			if !v.given[ctx.Value] || !collects(setting.Kind()) {
				delete(v.wrong, ctx.Value)
			}
			v.given[ctx.Value] = true
		} else if v.given[ctx.Value] {
			ctx.Scan.Pop()
			return nil
		}
		token := ctx.Scan.Pop()
		text := fmt.Sprint(token.Value)
		hasValue := token.IsValue() || negative.MatchString(text)
		if !hasValue {
			ctx.Scan.PushToken(token) // which is another flag
		}
		var parsed any
		err := quotesError(ctx.Value, text)
		if err == nil {
			err = placeholderError(ctx.Value, text)
		}
		if err == nil {
			parsed, err = parse(ctx.Value, text)
		}
		if err == nil {
			err = limitError(ctx.Value, parse, parsed)
		}
		switch {
		case !hasValue:
			err = fmt.Errorf("the flag has no value: give --%s=VALUE", ctx.Value.Name)
		case err != nil && err.Error()[0] != '"':
			err = fmt.Errorf("%s %w", redact(ctx.Value, text), err)
		}
		if err != nil {
			v.wrong[ctx.Value] = fmt.Errorf("%s: %w", settingName(ctx.Value), err)
			if ctx.Value.Enum != "" && target.Kind() == reflect.String { // kong checks these itself
				target.SetString(ctx.Value.EnumSlice()[0])
			}
			return nil
		}
		switch given := reflect.ValueOf(parsed); {
		case target.Kind() == reflect.Map && !target.IsNil():
			for _, key := range given.MapKeys() {
				target.SetMapIndex(key, given.MapIndex(key))
			}
		case target.Kind() == reflect.Slice:
			target.Set(reflect.AppendSlice(target, given))
		default:
			target.Set(given.Convert(target.Type()))
		}
		return nil
	}
}

// collects reports whether a flag that is repeated keeps all its values. Other flags keep the
// last one.
func collects(kind reflect.Kind) bool { return kind == reflect.Map || kind == reflect.Slice }

// redact returns a value as errors quote it: without a password, without the part of a URL
// before the last @ and after the first question mark, and without the part of a user name
// after a colon.
func redact(value *kong.Value, text string) string {
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

// parser parses the text of a setting. Its error is printed after the text, unless it begins
// with a quotation of the invalid part.
type parser func(value *kong.Value, text string) (any, error)

// limitError returns an error for a number outside the tags least and most of its setting. 0 is
// valid if the setting has the tag zero. The tag note is added to the remedy.
func limitError(value *kong.Value, parse parser, parsed any) error {
	number := reflect.ValueOf(parsed)
	zero := value.Tag.Get("zero")
	if !number.CanInt() || number.Int() == 0 && zero != "" {
		return nil
	}
	beyond := func(tag string, sign int) bool {
		limit, err := parse(value, value.Tag.Get(tag)) // a missing tag is an error, too
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
	return fmt.Errorf("is %s: give %s", wrong, limitsOf(value, value.Tag.Get("note")))
}

// strayText describes blanks, line breaks or quotes around a text, with the remedy, or
// returns "".
func strayText(text string) string {
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
		return "has a leading or trailing space: remove it"
	}
	return ""
}

// quotesError returns an error for quotes around a value, which a shell would have removed.
// opensearch.CheckPassword checks passwords.
func quotesError(value *kong.Value, text string) error {
	if text = strings.TrimSpace(text); isQuoted(text) && value.Name != passwordFlag {
		return errors.New(strayText(text))
	}
	return nil
}

// settingName returns the name of a setting for errors: STREAM_NAME (--stream-name).
func settingName(value *kong.Value) string {
	flag := "--" + value.Name
	variable := variableOf(value)
	if variable == "" {
		return flag
	}
	return variable + " (" + flag + ")"
}

// variableOf returns the environment variable of a setting, or "". If the setting has several
// variables, it returns the one that is set.
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

// periodMapper parses a flag whose value can be omitted, or follow after a blank. That is
// unambiguous because no argument begins with a digit.
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

// Flags whose values redact hides.
const (
	passwordFlag = "opensearch-password"
	usernameFlag = "opensearch-username"
)
