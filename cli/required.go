package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
)

// requirement is a setting without which a command does nothing.
type requirement struct {
	variable string // of the environment, "" for none
	flag     string // "" for none
	value    string
	what     string // to set it to
}

type requirements []requirement

// required are the settings that a command requires.
func required(command *kong.Node) requirements {
	if c, ok := command.Target.Addr().Interface().(interface{ required() requirements }); ok {
		return c.required()
	}
	return nil
}

// markRequired has help say which settings a command requires.
func markRequired(node *kong.Node) {
	for _, r := range required(node) {
		for _, flag := range node.Flags {
			if "--"+flag.Name == r.flag {
				flag.Help = "Required. " + flag.Help
			}
		}
	}
	for _, child := range node.Children {
		markRequired(child)
	}
}

// without leaves out the settings whose values are wrong: they are not missing.
func (rs requirements) without(wrong map[*kong.Value]error) requirements {
	return slices.DeleteFunc(rs, func(r requirement) bool {
		for value := range wrong {
			if "--"+value.Name == r.flag {
				return true
			}
		}
		return false
	})
}

// err returns an error that names all that are missing.
func (rs requirements) err(ctx context.Context) error {
	var names, whats, remedies []string
	for _, r := range rs {
		if r.variable == regionVariable {
			if cfg, err := awsconfig.LoadDefaultConfig(ctx); err != nil || cfg.Region != "" {
				continue // an error is for who loads it to report
			}
		}
		if r.value == "" {
			names, whats = append(names, r.name()), append(whats, r.what)
			remedies = append(remedies, cmp.Or(r.variable, r.flag)+" to "+r.what)
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

// name names a setting as errors do.
func (r requirement) name() string {
	switch {
	case r.flag == "":
		return r.variable
	case r.variable == "":
		return r.flag
	}
	return r.variable + " (" + r.flag + ")"
}
