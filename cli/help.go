package cli

import (
	"strings"

	"github.com/alecthomas/kong"
)

// What help says of a setting: all of it is in the setting's tags.

// describe returns the help of a setting with its variables, its default and its limits.
func describe(value *kong.Value) string {
	var facts []string
	for _, name := range value.Tag.Envs {
		facts = append(facts, "$"+name)
	}
	if usual := usualValue(value); usual != "" {
		facts = append(facts, "default "+usual)
	}
	if limits := limitsOf(value, ""); limits != "" {
		facts = append(facts, limits)
	}
	if len(facts) == 0 {
		return value.Help
	}
	return value.Help + " [" + strings.Join(facts, "; ") + "]"
}

// usualValue returns the default of a setting, or in words what happens without a value.
func usualValue(value *kong.Value) string {
	if value.Default != "" {
		return value.Default
	}
	return value.Tag.Get("otherwise")
}

// limitsOf returns the tags least, most and zero of a setting in words, with a note on the
// limits, "" for none.
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
