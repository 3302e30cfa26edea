package cli

import (
	"strings"

	"github.com/alecthomas/kong"
)

// The help of a setting, made from its tags.

// describe returns the help of a setting with its variables, default and limits.
func describe(value *kong.Value) string {
	var facts []string
	for _, name := range value.Tag.Envs {
		facts = append(facts, "$"+name)
	}
	if text := defaultText(value); text != "" {
		facts = append(facts, "default "+text)
	}
	if limits := limitsOf(value, ""); limits != "" {
		facts = append(facts, limits)
	}
	if len(facts) == 0 {
		return value.Help
	}
	return value.Help + " [" + strings.Join(facts, "; ") + "]"
}

// defaultText returns the default of a setting, or a description of what happens without a
// value.
func defaultText(value *kong.Value) string {
	if value.Default != "" {
		return value.Default
	}
	return value.Tag.Get("otherwise")
}

// limitsOf describes the limits in the tags least, most and zero of a setting, followed by
// note if that is not "". It returns "" for a setting without limits.
func limitsOf(value *kong.Value, note string) string {
	limits := value.Tag.Get("least")
	if most := value.Tag.Get("most"); most != "" {
		limits += " to " + most
	} else if limits != "" {
		limits = "at least " + limits
	}
	if note != "" {
		limits += ", " + note
	}
	if zero := value.Tag.Get("zero"); zero != "" {
		limits += ", or 0 " + zero
	}
	return limits
}
