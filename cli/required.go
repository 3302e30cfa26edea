package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
)

// A setting that some command requires has the tag missing, which says what to set it to.
// The command has a method required, which returns the flags without their hyphens, and
// regionVariable if it needs a region.

// required returns the settings that a command requires.
func required(command *kong.Node) []string {
	if c, ok := command.Target.Addr().Interface().(interface{ required() []string }); ok {
		return c.required()
	}
	return nil
}

// markRequired has help say which settings a command requires.
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

// missing returns an error that names all settings that a command requires and that have no
// value. Those whose values are wrong are not missing.
func (v *values) missing(ctx context.Context, command *kong.Node, flags []*kong.Flag) error {
	var names, whats, remedies []string
	add := func(name, short, what string) {
		names, whats, remedies = append(names, name), append(whats, what), append(remedies, short+" to "+what)
	}
	for _, name := range required(command) {
		if name == regionVariable {
			if cfg, err := awsconfig.LoadDefaultConfig(ctx); err == nil && cfg.Region == "" { // an error is for who loads it to report
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
		return settingf("%s is missing: set it to %s", names[0], whats[0])
	default:
		return settingf("%s and %s are missing: set %s", strings.Join(names[:last], ", "), names[last], strings.Join(remedies, "; "))
	}
}
