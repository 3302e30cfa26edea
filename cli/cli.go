// Package cli implements the commands. It parses flags and environment variables and
// wires the other packages together.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"logsluice/internal/safetext"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitOK       = 0
	exitFailure  = 1
	exitSettings = 2 // a setting is missing or invalid
)

// commands defines the command line.
type commands struct {
	Run         runCommand         `cmd:"" help:"Consume the stream until SIGTERM."`
	Decode      decodeCommand      `cmd:"" help:"Print the bulk request that run would send for subscription records."`
	Assets      assetsCommands     `cmd:"" help:"Print the files that OpenSearch and Dashboards need: policy, index template, schema, table of fields, saved objects."`
	Setup       setupCommand       `cmd:"" help:"Install or update the index templates, lifecycle policy and dashboards on the OpenSearch domain."`
	Doctor      doctorCommand      `cmd:"" help:"Check each link from the log groups to the indices, and report what is wrong and how to fix it."`
	Leases      leasesCommands     `cmd:"" help:"Show the lease table, or reset where reading continues."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a running worker whether it is alive; exit 0 if it is."`
	Help        helpCommand        `cmd:"" help:"Show the help of a command."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
	ShowVersion kong.VersionFlag   `name:"version" help:"Print the version and exit."`
}

// helpCommand documents the command help. withHelpFlag turns it into --help before parsing.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"Command whose help is shown."`
}

type versionCommand struct{}

// Run is called by kong.
func (versionCommand) Run(vars kong.Vars, std streams) error {
	return std.print([]byte(vars["version"]))
}

// withHelpFlag rewrites "help leases reset" to "leases reset --help", and "leases --help" to
// "leases show --help", because leases accepts the flags of show.
func withHelpFlag(args []string) []string {
	if len(args) > 0 && args[0] == "help" {
		args = append(slices.Clone(args[1:]), "--help")
	}
	if len(args) == 2 && args[0] == "leases" && (args[1] == "--help" || args[1] == "-h") {
		args = []string{"leases", "show", "--help"}
	}
	return args
}

// streams are the standard streams of a command.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// settingError reports a setting that is missing or invalid. Its text is one line that
// names the variable and the remedy.
type settingError struct{ error }

func settingf(format string, args ...any) error { return settingError{fmt.Errorf(format, args...)} }

// newParser returns a parser of the command line that fills in root.
func newParser(ctx context.Context, root *commands, settings *values, std streams, version string, exit func(int)) (*kong.Kong, error) {
	vars := kong.Vars{"version": version}
	parser, err := kong.New(root, append(settings.options(),
		kong.Name("logsluice"),
		kong.Description("CloudWatch logs from a Kinesis data stream into OpenSearch."),
		vars,
		kong.Writers(std.out, std.err),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: helpWidth}),
		kong.ValueFormatter(describe),
		kong.ExplicitGroups([]kong.Group{
			{Key: "stream", Title: "Stream and leases:"},
			{Key: "opensearch", Title: "OpenSearch:"},
			{Key: "documents", Title: "Documents:"},
			{Key: "operation", Title: "Operation:"},
		}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std, vars),
	)...)
	if err != nil {
		return nil, fmt.Errorf("create the command-line parser: %w", err)
	}
	markRequired(parser.Model.Node)
	return parser, nil
}

// Main runs a command until it finishes or ctx ends, and returns the exit code.
func Main(ctx context.Context, version string, args []string, in io.Reader, out, errOut io.Writer) int {
	var root commands
	exit := -1
	settings := newValues()
	parser, err := newParser(ctx, &root, settings, streams{in: in, out: out, err: errOut}, version, func(code int) { exit = code })
	if err != nil {
		return fail(errOut, err, exitFailure)
	}
	unsetEmpty(parser.Model.Node)
	args = withHelpFlag(args)
	command, err := parser.Parse(args)
	var parsing *kong.ParseError
	switch {
	case exit >= 0: // --help or --version has printed its text
		return exit
	case errors.As(err, &parsing) && strings.HasPrefix(err.Error(), unknown):
		return fail(errOut, unknownFlag(parser, parsing, args), exitSettings)
	case errors.As(err, &parsing) && strings.HasPrefix(err.Error(), unexpected):
		err, isCommand := unexpectedArgument(parser, parsing, args)
		if isCommand {
			listCommands(errOut, parsing)
		}
		return fail(errOut, err, exitSettings)
	case errors.As(err, &parsing) && (parsing.Context.Selected() == nil || len(parsing.Context.Selected().Children) > 0):
		listCommands(errOut, parsing)
		return fail(errOut, errors.New("no command is given: use one of those above"), exitSettings)
	case err != nil:
		return fail(errOut, err, exitSettings)
	}
	err = errors.Join(settings.err(command.Flags()), settings.missing(ctx, command.Selected(), command.Flags()))
	if err != nil {
		return fail(errOut, err, exitSettings)
	}
	err = command.Run()
	var setting settingError
	switch {
	case errors.As(err, &setting):
		return fail(errOut, withVariables(command.Flags(), err), exitSettings)
	case err != nil:
		return fail(errOut, err, exitFailure)
	}
	return exitOK
}

// listCommands prints the commands, or the subcommands of the selected one, each with the
// first part of its help.
func listCommands(w io.Writer, err *kong.ParseError) {
	node := err.Context.Model.Node
	if selected := err.Context.Selected(); selected != nil {
		node = selected
	}
	fmt.Fprintln(w, "Commands:")
	for _, leaf := range node.Leaves(true) {
		help, _, _ := strings.Cut(strings.NewReplacer(",", ".", ":", ".", ";", ".").Replace(leaf.Help), ".")
		const widest = len("assets dashboards")
		fmt.Fprintf(w, "  %-*s  %s\n", widest, leaf.Path(), head(help, helpWidth-widest-len("    ")))
	}
}

// unexpected begins kong's error for an argument that no command accepts.
const unexpected = "unexpected argument "

var assignment = regexp.MustCompile(`^([A-Z][A-Z0-9_]*)=`)

// unexpectedArgument returns an error with a remedy for an argument that no command accepts,
// and reports whether a command name was expected there. The error does not quote an argument
// that can be a secret: one after a flag, whose value it can be, and one with the characters
// of URLs and variables.
func unexpectedArgument(parser *kong.Kong, err *kong.ParseError, args []string) (wrong error, isCommand bool) {
	i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(err.Error()+",", unexpected+arg+",") })
	args = append([]string{"", ""}, args[:i+1]...) // i is -1 only if a later kong words its error differently
	arg, flag, before := args[len(args)-1], args[len(args)-2], args[:len(args)-1]
	selected := err.Context.Selected()
	_, notBool := parseBool(new(kong.Value), arg)
	switch variable := assignment.FindStringSubmatch(arg); {
	case len(before) > 1 && before[len(before)-2] == "--constant-fields":
		return errors.New("CONSTANT_FIELDS (--constant-fields) takes one value: separate pairs with commas, such as --constant-fields=env=prod,service=shop"), false
	case variable != nil:
		return fmt.Errorf("unexpected argument %s=***: set variables before the program's name, not after it", variable[1]), false
	case notBool == nil && isBoolFlag(parser, flag):
		return fmt.Errorf("unexpected argument %s: use %s=%s", arg, flag, arg), false
	case strings.HasPrefix(arg, "–") || strings.HasPrefix(arg, "—"):
		return fmt.Errorf("%.20q begins with a dash instead of a hyphen: use -- and the flag's name", arg), false
	case strings.ContainsAny(arg, "=:@"), slices.ContainsFunc(before, func(a string) bool { return strings.HasPrefix(a, "-") }):
		return errors.New("unexpected argument, not shown because it can be a secret: write each value as --flag=VALUE, and quote values that have spaces"), false
	case selected != nil && selected.Name == "show":
		return fmt.Errorf("unknown command %q: use leases, or leases reset", "leases "+arg), false
	case selected != nil && len(selected.Children) == 0:
		return fmt.Errorf("unexpected argument %q: %s --help shows what the command takes", arg, selected.Path()), false
	}
	remedy := "use one of those above"
	if _, names, found := strings.Cut(err.Error(), ", did you mean "); found {
		remedy = "did you mean " + names
	}
	return fmt.Errorf("unknown command %q: %s", arg, remedy), true
}

// isBoolFlag reports whether any command has a flag of this name that needs no value.
func isBoolFlag(parser *kong.Kong, name string) bool {
	flag, _ := flagOf(parser, name)
	return flag != nil && flag.IsBool()
}

// flagOf returns the flag of a name, or nil, and the commands that have it.
func flagOf(parser *kong.Kong, name string) (found *kong.Flag, commands []string) {
	for _, leaf := range parser.Model.Leaves(true) {
		for _, flag := range leaf.Flags {
			if "--"+flag.Name == name {
				found, commands = flag, append(commands, leaf.Path())
			}
		}
	}
	return found, commands
}

// unknown begins kong's error for an unknown flag.
const unknown = "unknown flag "

// unknownFlag adds a remedy to the error for an unknown flag: the commands that have the flag,
// or where the command's flags are listed.
func unknownFlag(parser *kong.Kong, err *kong.ParseError, args []string) error {
	selected := "logsluice"
	if node := err.Context.Selected(); node != nil {
		selected = node.Path()
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), unknown), ",")
	if name == "-v" || name == "-V" {
		return fmt.Errorf("unknown flag %s: use --version for the version", name)
	}
	for _, arg := range args { // kong parses -stream-name as -s -t …
		arg, _, _ = strings.Cut(arg, "=")
		if flag, _ := flagOf(parser, "-"+arg); flag != nil && !strings.HasPrefix(arg, "--") {
			return fmt.Errorf("unknown flag %s: use -%s, with two hyphens", arg, arg)
		}
	}
	if _, others := flagOf(parser, name); others != nil {
		if selected == "logsluice" {
			return fmt.Errorf("the flag %s comes before the command: put it after %s", name, strings.Join(others, ", "))
		}
		return fmt.Errorf("%s is not a flag of %s, but of %s: leave it out", name, selected, strings.Join(others, ", "))
	}
	if !strings.HasPrefix(name, "--") {
		return fmt.Errorf("unknown flag %s: flags have two hyphens and a name, and %s --help lists those of the command", name, selected)
	}
	return fmt.Errorf("%w: %s --help lists those of the command", err, selected)
}

// withVariables replaces a setting's first variable in the text of an error with the variable
// that is set, for settings with several variables.
func withVariables(flags []*kong.Flag, err error) error {
	text := err.Error()
	for _, flag := range flags {
		if set := variableOf(flag.Value); set != "" && set != flag.Envs[0] {
			text = strings.ReplaceAll(text, flag.Envs[0]+" (--", set+" (--")
		}
	}
	return errors.New(text)
}

// helpWidth is the maximum width of help in columns.
const helpWidth = 80

// fail prints an error as one line.
func fail(w io.Writer, err error, code int) int {
	fmt.Fprintf(w, "logsluice: %s\n", safetext.Escape(strings.ReplaceAll(err.Error(), "\n", "; ")))
	return code
}

// unsetEmpty unsets empty environment variables, because task definitions often have
// variables without a value.
func unsetEmpty(node *kong.Node) {
	for _, flag := range node.Flags {
		for _, name := range flag.Envs {
			if os.Getenv(name) == "" {
				_ = os.Unsetenv(name) // fails only for invalid names
			}
		}
	}
	for _, child := range node.Children {
		unsetEmpty(child)
	}
}
