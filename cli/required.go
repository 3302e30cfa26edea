package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
)

// Required settings. A command that requires settings has a method named required, which
// returns their flags without hyphens, and regionVariable if the command needs a region. The
// tag "missing" of such a setting describes the value to give.

// required returns the settings that a command requires.
func required(command *kong.Node) []string {
	if c, ok := command.Target.Addr().Interface().(interface{ required() []string }); ok {
		return c.required()
	}
	return nil
}

// markRequired marks the settings that each command requires in their help.
func markRequired(node *kong.Node) {
	names := required(node)
	for _, flag := range node.Flags {
		if slices.Contains(names, flag.Name) {
			flag.Help = "Required. " + flag.Help
		}
	}
	for _, child := range node.Children {
		markRequired(child)
	}
}

// missing returns an error that names all required settings without a value. A setting with
// an invalid value is not missing.
func (v *values) missing(ctx context.Context, command *kong.Node, flags []*kong.Flag) error {
	var names, examples, remedies []string
	add := func(name, short, example string) {
		names, examples, remedies = append(names, name), append(examples, example), append(remedies, short+" to "+example)
	}
	for _, name := range required(command) {
		if name == regionVariable {
			if cfg, err := awsconfig.LoadDefaultConfig(ctx); err == nil && cfg.Region == "" { // loadAWS reports the error
				add(name, name, "the region of the stream, such as us-east-1")
			}
			continue
		}
		flag := flags[slices.IndexFunc(flags, func(f *kong.Flag) bool { return f.Name == name })]
		if v.wrong[flag.Value] == nil && flag.Target.IsZero() {
			add(settingName(flag.Value), cmp.Or(variableOf(flag.Value), "--"+name), flag.Tag.Get("missing"))
		}
	}
	switch last := len(names) - 1; last {
	case -1:
		return nil
	case 0:
		return settingf("%s is missing: set it to %s", names[0], examples[0])
	default:
		return settingf("%s and %s are missing: set %s", strings.Join(names[:last], ", "), names[last], strings.Join(remedies, "; "))
	}
}
