package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/alecthomas/kong"
	"github.com/dustin/go-humanize"
	"github.com/xhit/go-str2duration/v2"

	"logsluice/opensearch"
)

// How the text of each kind of setting is parsed, and what it cannot be.

func parsePeriod(value *kong.Value, text string) (any, error) {
	parsed, err := parseDuration(value, text)
	d, _ := parsed.(time.Duration)
	return period(d), err
}

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
	case usernameFlag:
		if strings.Contains(text, ":") { // as RFC 7617 has it
			return nil, errors.New("has a colon, which a user cannot have: give the user only, and the password in OPENSEARCH_PASSWORD")
		}
	}
	text = strings.TrimSpace(text)
	if check := checks[value.Tag.Get("check")]; check != nil && text != "" {
		return text, check(text)
	}
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
	if value.Name == "schema" && strings.ContainsAny(text, "./") {
		return nil, errors.New("is a file: set SCHEMA_FILE (--schema-file) to it")
	}
	return nil, fmt.Errorf("is invalid: give %s or %s", strings.Join(choices[:last], ", "), choices[last])
}

// parseList parses what commas separate.
func parseList(value *kong.Value, text string) (any, error) {
	var list []string
	for _, part := range strings.Split(text, ",") {
		if strings.TrimSpace(part) == "" {
			return nil, errors.New("is empty, or has an empty part: give a value, or leave the flag out")
		}
		parsed, err := parseString(value, part)
		if err != nil {
			return nil, fmt.Errorf("%q %w", part, err)
		}
		list = append(list, parsed.(string))
	}
	return list, nil
}

// negative is a value that begins like a flag.
var negative = regexp.MustCompile(`^-[\d.]+[a-zA-Z]*$`)

// placeholderError refuses a text in the place of which nothing has put a value.
func placeholderError(value *kong.Value, text string) error {
	pattern := placeholder
	switch {
	case value.Name == passwordFlag:
		pattern = passwordPlaceholder
	case strings.HasSuffix(value.Name, "-url"):
		text = text[strings.LastIndexByte(text, '@')+1:]
	}
	if !pattern.MatchString(text) {
		return nil
	}
	return errors.New("has a variable or placeholder that nothing has replaced: give its value")
}

func parseBool(value *kong.Value, text string) (any, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "t", "yes", "y", "on", "enabled", "1":
		return true, nil
	case "false", "f", "no", "n", "off", "disabled", "0":
		return false, nil
	}
	if value.Name == "data-stream" {
		return nil, errors.New("is neither true nor false: give true, and set INDEX_PREFIX to the name of the data stream")
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
	parsed, err := parseDuration(value, text)
	if err != nil || limitError(value, parseDuration, parsed) != nil {
		return usual
	}
	const far = 100 // a number of another unit is meant
	if d, err := parseDuration(value, usual); err == nil && parsed.(time.Duration) > far*d.(time.Duration) {
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

// Texts that should have been replaced before the program got them: in a value, and as a
// whole password, which can have such signs in it.
var (
	placeholder         = regexp.MustCompile(`\$\{\w|\$\(|\$[A-Z_][A-Z0-9_]*|\{\{resolve:|<[A-Za-z][\w -]*>`)
	passwordPlaceholder = regexp.MustCompile(`^(\$\{\w+\}|\$\(.+\)|\{\{resolve:.+\}\})$`)
)

// constantName is what a constant field can be called, and otherPair what follows a value if
// pairs are separated by other than a comma.
var (
	constantName = regexp.MustCompile(`^[\pL\d_.@-]+$`)
	otherPair    = regexp.MustCompile(`[;&|\s]\s*[\pL\d_.@-]+=`)
)

var (
	// plainNumber is one without a unit, and aroundUnit what stands before one or after it.
	plainNumber = regexp.MustCompile(`^[-+]?\d+([.,]\d+)?$`)
	aroundUnit  = regexp.MustCompile(`(\d)\s+(\pL)|(\pL)\s+(\d)`)
	timeText    = regexp.MustCompile(`^[-+]?([\d.]+\s*(ns|us|µs|ms|s|m|h|d|w)\s*)+$`)
)

// sizeText is whole bytes, or a number with a unit.
var sizeText = regexp.MustCompile(`^(\d+|\d+(\.\d+)?\s*([kKmMgGtT]i?[bB]?|[bB]))$`)
