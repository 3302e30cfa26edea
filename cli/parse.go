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

// Parsers of settings by type.

func parsePeriod(value *kong.Value, text string) (any, error) {
	parsed, err := parseDuration(value, text)
	d, _ := parsed.(time.Duration)
	return period(d), err
}

// parseString trims whitespace around a value, which values from files often have. Passwords
// keep spaces, and whitespace around the name of an AWS resource is an error.
func parseString(value *kong.Value, text string) (any, error) {
	switch value.Name {
	case passwordFlag:
		text = strings.TrimRight(text, "\r\n")
		return text, opensearch.CheckPassword(text)
	case "stream-name", "application-name", "worker-id":
		if wrong := strayText(text); wrong != "" {
			return nil, errors.New(wrong)
		}
	case usernameFlag:
		if strings.Contains(text, ":") { // RFC 7617
			return nil, errors.New("has a colon, which a user name cannot have: set only the user name, and set OPENSEARCH_PASSWORD to the password")
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
	return nil, fmt.Errorf("is invalid: use %s or %s", strings.Join(choices[:last], ", "), choices[last])
}

// parseList parses a list separated by commas.
func parseList(value *kong.Value, text string) (any, error) {
	var list []string
	for _, part := range strings.Split(text, ",") {
		if strings.TrimSpace(part) == "" {
			return nil, errors.New("is empty, or has an empty part: set a value, or leave the flag out")
		}
		parsed, err := parseString(value, part)
		if err != nil {
			return nil, fmt.Errorf("%q %w", part, err)
		}
		list = append(list, parsed.(string))
	}
	return list, nil
}

// negative matches a negative number, which begins like a flag.
var negative = regexp.MustCompile(`^-[\d.]+[a-zA-Z]*$`)

// placeholderError returns an error if text has a placeholder that was not replaced with a value.
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
	return errors.New("has a variable or placeholder that was not replaced: replace it with its value")
}

func parseBool(value *kong.Value, text string) (any, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "t", "yes", "y", "on", "enabled", "1":
		return true, nil
	case "false", "f", "no", "n", "off", "disabled", "0":
		return false, nil
	}
	if value.Name == "data-stream" {
		return nil, errors.New("is neither true nor false: set it to true, and INDEX_PREFIX to the name of the data stream")
	}
	return nil, errors.New("is neither true nor false: use one of them")
}

func parseInt(value *kong.Value, text string) (any, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	switch {
	case errors.Is(err, strconv.ErrRange):
		return nil, fmt.Errorf("is too large: use a number such as %s", example(value, "1"))
	case err != nil:
		return nil, fmt.Errorf("is not a whole number: use one such as %s", example(value, "1"))
	}
	return n, nil
}

// isQuoted reports whether text has quotes around it.
func isQuoted(text string) bool {
	last := len(text) - 1
	return last > 0 && text[0] == text[last] && (text[0] == '"' || text[0] == '\'')
}

// parseMap parses NAME=VALUE,NAME=VALUE. A comma in a value is written \,.
func parseMap(_ *kong.Value, text string) (any, error) {
	pairs := map[string]string{}
	for _, pair := range kong.SplitEscaped(text, ',') {
		name, value, found := strings.Cut(pair, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch _, twice := pairs[name]; {
		case !found || name == "":
			return nil, errors.New("does not have the form NAME=VALUE,NAME=VALUE: use for example env=prod,service=shop")
		case !constantName.MatchString(name):
			return nil, fmt.Errorf("has the name %q: use only letters, digits, and . _ - @", name)
		case twice:
			return nil, fmt.Errorf("has the name %q twice: remove one", name)
		case value == "":
			return nil, fmt.Errorf("has no value for %q: set one, or remove the name", name)
		case strings.ContainsFunc(value, unicode.IsControl):
			return nil, fmt.Errorf("has control characters in the value of %q: remove them", name)
		case isQuoted(value):
			return nil, fmt.Errorf("has quotes around %s: remove them", value)
		case otherPair.MatchString(value):
			return nil, errors.New("separates pairs with something other than a comma: use for example env=prod,service=shop")
		}
		pairs[name] = value
	}
	return pairs, nil
}

// parseDuration parses a duration in Go's syntax (36h), or in days and weeks (30d, 7d12h).
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
		return nil, fmt.Errorf("is negative: use a time such as %s%s", usual, orZero)
	case plainNumber.MatchString(text):
		return nil, fmt.Errorf("has no unit: add ms, s, m, h or d, such as %s", withUnit(text, value))
	case timeText.MatchString(text):
		return nil, fmt.Errorf("is too long: use a time such as %s%s", usual, orZero)
	}
	return nil, fmt.Errorf("is not a time: use a number with a unit (ms, s, m, h or d), such as %s", usual)
}

// size is a number of bytes.
type size int64

// String returns the size with the largest binary unit that divides it, such as 8MiB.
func (s size) String() string {
	units := []string{"", "KiB", "MiB", "GiB"}
	for len(units) > 1 && s != 0 && s%1024 == 0 {
		s, units = s/1024, units[1:]
	}
	return strconv.FormatInt(int64(s), 10) + units[0]
}

// parseSize parses a number of bytes, with or without a unit: 8MB is 8,000,000 bytes and
// 8MiB is 8,388,608.
func parseSize(value *kong.Value, text string) (any, error) {
	const most = 1 << 50
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n < most {
		return size(n), nil
	}
	if !sizeText.MatchString(text) {
		return nil, errors.New("is not a size: use a number of bytes, or a number with a unit, such as 1000000, 8MB or 8MiB")
	}
	if n, err := humanize.ParseBytes(text); err == nil && n < most {
		return size(n), nil
	}
	return nil, fmt.Errorf("is too large: use a size such as %s", example(value, "8MiB"))
}

// withUnit adds the unit of a setting's default to a number without one. It returns the
// default if the setting does not allow the result.
func withUnit(number string, value *kong.Value) string {
	usual := example(value, "1s")
	text := number + strings.TrimLeft(usual, "0123456789.")
	parsed, err := parseDuration(value, text)
	if err != nil || limitError(value, parseDuration, parsed) != nil {
		return usual
	}
	const far = 100 // the number probably has another unit
	if d, err := parseDuration(value, usual); err == nil && parsed.(time.Duration) > far*d.(time.Duration) {
		return usual
	}
	return text
}

// example returns the default of a setting, or other if it has none.
func example(value *kong.Value, other string) string {
	if value.HasDefault && value.Default != "" {
		return value.Default
	}
	return other
}

// Placeholders that should have been replaced before the program started. In a password only
// the whole text counts, because a password can contain such characters.
var (
	placeholder         = regexp.MustCompile(`\$\{\w|\$\(|\$[A-Z_][A-Z0-9_]*|\{\{resolve:|<[A-Za-z][\w -]*>`)
	passwordPlaceholder = regexp.MustCompile(`^(\$\{\w+\}|\$\(.+\)|\{\{resolve:.+\}\})$`)
)

// constantName matches the name of a constant field. otherPair matches the next pair in a
// value, if pairs are not separated by commas.
var (
	constantName = regexp.MustCompile(`^[\pL\d_.@-]+$`)
	otherPair    = regexp.MustCompile(`[;&|\s]\s*[\pL\d_.@-]+=`)
)

var (
	// plainNumber matches a number without a unit, aroundUnit the spaces around a unit.
	plainNumber = regexp.MustCompile(`^[-+]?\d+([.,]\d+)?$`)
	aroundUnit  = regexp.MustCompile(`(\d)\s+(\pL)|(\pL)\s+(\d)`)
	timeText    = regexp.MustCompile(`^[-+]?([\d.]+\s*(ns|us|µs|ms|s|m|h|d|w)\s*)+$`)
)

// sizeText matches a whole number of bytes, or a number with a unit.
var sizeText = regexp.MustCompile(`^(\d+|\d+(\.\d+)?\s*([kKmMgGtT]i?[bB]?|[bB]))$`)
