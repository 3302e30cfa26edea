// Package cli has the commands: it reads flags and environment variables and
// wires the other packages together.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"logsluice/internal/safetext"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitOK       = 0
	exitFailure  = 1
	exitSettings = 2 // a setting is missing or wrong
)

// commands is the command line.
type commands struct {
	Run         runCommand         `cmd:"" help:"Consume the stream until SIGTERM."`
	Decode      decodeCommand      `cmd:"" help:"Print the bulk request that run would send for subscription records."`
	Assets      assetsCommands     `cmd:"" help:"Print what belongs to the documents elsewhere: policy, index template, schema, table of fields, index pattern."`
	Setup       setupCommand       `cmd:"" help:"Install or update on the OpenSearch domain what belongs there: index templates, lifecycle policy, dashboards."`
	Doctor      doctorCommand      `cmd:"" help:"Look at each link from the log groups to the indices, and say what is wrong and what to do."`
	Leases      leasesCommands     `cmd:"" help:"Show the lease table, or reset where reading goes on."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a running worker whether it is alive; exit 0 if it is."`
	Help        helpCommand        `cmd:"" help:"Show the help of a command."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
	ShowVersion kong.VersionFlag   `name:"version" help:"Print the version and exit."`
}

// helpCommand stands for --help, which withHelpFlag makes of it.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"Command whose help is shown."`
}

type versionCommand struct{}

// Run is called by kong.
func (versionCommand) Run(vars kong.Vars, std streams) error {
	return std.print([]byte(vars["version"]))
}

// withHelpFlag makes "leases reset --help" of "help leases reset", and "leases show --help"
// of "leases --help", as leases has the flags of show.
func withHelpFlag(args []string) []string {
	if len(args) > 0 && args[0] == "help" {
		args = append(slices.Clone(args[1:]), "--help")
	}
	if len(args) == 2 && args[0] == "leases" && (args[1] == "--help" || args[1] == "-h") {
		args = []string{"leases", "show", "--help"}
	}
	return args
}

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// settingError is a setting that is missing or wrong, in one line that names
// the variable and the remedy.
type settingError struct{ error }

func settingf(format string, args ...any) error { return settingError{fmt.Errorf(format, args...)} }

// Main runs a command until it is done or ctx ends, and returns the exit code.
func Main(ctx context.Context, version string, args []string, in io.Reader, out, errOut io.Writer) int {
	var root commands
	exit := -1
	settings := newValues()
	vars := kong.Vars{"version": version}
	parser, err := kong.New(&root, append(settings.options(),
		kong.Name("logsluice"),
		kong.Description("CloudWatch logs from a Kinesis data stream into OpenSearch."),
		vars,
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: helpWidth}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "stream", Title: "Stream and leases:"},
			{Key: "opensearch", Title: "OpenSearch:"},
			{Key: "documents", Title: "Documents:"},
			{Key: "operation", Title: "Operation:"},
		}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams{in: in, out: out, err: errOut}, vars),
	)...)
	if err != nil {
		return fail(errOut, err, exitFailure)
	}
	unsetEmpty(parser.Model.Node)
	markRequired(parser.Model.Node)
	command, err := parser.Parse(withHelpFlag(args))
	var parsing *kong.ParseError
	switch {
	case exit >= 0: // --help or --version has done its work
		return exit
	case errors.As(err, &parsing) && strings.HasPrefix(err.Error(), unknown):
		return fail(errOut, unknownFlag(parser, parsing), exitSettings)
	case errors.As(err, &parsing) && (parsing.Context.Selected() == nil || len(parsing.Context.Selected().Children) > 0):
		return failUsage(errOut, parser, parsing)
	case err != nil:
		return fail(errOut, err, exitSettings)
	}
	err = errors.Join(settings.err(command.Flags()), required(command.Selected()).err(ctx))
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

// failUsage lists the commands before an error.
func failUsage(w io.Writer, parser *kong.Kong, err *kong.ParseError) int {
	parser.Stdout = w
	_ = err.Context.PrintUsage(false)
	if strings.HasPrefix(err.Error(), "expected ") {
		return fail(w, errors.New("no command is given: give one of those above"), exitSettings)
	}
	return fail(w, err, exitSettings)
}

// unknown begins kong's error of an unknown flag.
const unknown = "unknown flag "

// unknownFlag adds to the error of an unknown flag which commands have it, or where the flags
// of the command are listed.
func unknownFlag(parser *kong.Kong, err *kong.ParseError) error {
	selected := "logsluice"
	if node := err.Context.Selected(); node != nil {
		selected = node.Path()
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), unknown), ",")
	var others []string
	for _, leaf := range parser.Model.Leaves(true) {
		if slices.ContainsFunc(leaf.Flags, func(f *kong.Flag) bool { return "--"+f.Name == name }) {
			others = append(others, leaf.Path())
		}
	}
	if len(others) > 0 {
		return fmt.Errorf("%s does not have the flag %s, which is one of: %s", selected, name, strings.Join(others, ", "))
	}
	return fmt.Errorf("%w: %s --help lists those of the command", err, selected)
}

// withVariables names settings in an error by the variables that are set, where a setting has
// more than one.
func withVariables(flags []*kong.Flag, err error) error {
	text := err.Error()
	for _, flag := range flags {
		if set := variableOf(flag.Value); set != "" && set != flag.Envs[0] {
			text = strings.ReplaceAll(text, flag.Envs[0]+" (--", set+" (--")
		}
	}
	return errors.New(text)
}

// helpWidth is how many columns help takes at most.
const helpWidth = 80

// fail prints an error as one line.
func fail(w io.Writer, err error, code int) int {
	fmt.Fprintf(w, "logsluice: %s\n", safetext.Escape(strings.ReplaceAll(err.Error(), "\n", "; ")))
	return code
}

// unsetEmpty makes an empty environment variable the same as none, as task
// definitions often have variables without a value.
func unsetEmpty(node *kong.Node) {
	for _, flag := range node.Flags {
		for _, name := range flag.Envs {
			if os.Getenv(name) == "" {
				_ = os.Unsetenv(name) // fails for impossible names only
			}
		}
	}
	for _, child := range node.Children {
		unsetEmpty(child)
	}
}
