// Package cli has the commands: it reads flags and environment variables and
// wires the other packages together.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

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
	Run         runCommand         `cmd:"" default:"withargs" help:"Consume the stream until SIGTERM (the default command)."`
	Decode      decodeCommand      `cmd:"" help:"Print the bulk request that run would send for subscription records."`
	Assets      assetsCommands     `cmd:"" help:"Print what belongs to the documents elsewhere: policy, index template, schema, table of fields, index pattern."`
	Setup       setupCommand       `cmd:"" help:"Install or update on the OpenSearch domain what belongs there: index templates, lifecycle policy, dashboards."`
	Doctor      doctorCommand      `cmd:"" help:"Look at each link from the log groups to the indices, and say what is wrong and what to do."`
	Leases      leasesCommands     `cmd:"" help:"Show the lease table, or reset where reading goes on."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a running worker whether it is alive; exit 0 if it is."`
	Version     kong.VersionFlag   `help:"Print the version and exit."`
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
	parser, err := kong.New(&root,
		kong.Name("logsluice"),
		kong.Description("CloudWatch logs from a Kinesis data stream into OpenSearch."),
		kong.Vars{"version": version},
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "stream", Title: "Stream and leases:"},
			{Key: "opensearch", Title: "OpenSearch:"},
			{Key: "documents", Title: "Documents:"},
			{Key: "operation", Title: "Operation:"},
		}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams{in: in, out: out, err: errOut}),
	)
	if err != nil {
		return fail(errOut, err, exitFailure)
	}
	unsetEmpty(parser.Model.Node)
	command, err := parser.Parse(args)
	switch {
	case exit >= 0: // --help or --version has done its work
		return exit
	case err != nil:
		return fail(errOut, nameVariable(parser.Model.Node, err), exitSettings)
	}
	err = command.Run()
	var setting settingError
	switch {
	case errors.As(err, &setting):
		return fail(errOut, err, exitSettings)
	case err != nil:
		return fail(errOut, err, exitFailure)
	}
	return exitOK
}

// fail prints an error as one line.
func fail(w io.Writer, err error, code int) int {
	fmt.Fprintf(w, "logsluice: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	return code
}

// nameVariable adds to an error about a flag the environment variable that
// it was most likely set by.
func nameVariable(node *kong.Node, err error) error {
	for _, flag := range node.Flags {
		about := strings.HasPrefix(err.Error(), "--"+flag.Name+" ") || strings.HasPrefix(err.Error(), "--"+flag.Name+":")
		if about && len(flag.Envs) > 0 && !strings.Contains(err.Error(), flag.Envs[0]) {
			return fmt.Errorf("%s (%w)", flag.Envs[0], err)
		}
	}
	for _, child := range node.Children {
		err = nameVariable(child, err)
	}
	return err
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
