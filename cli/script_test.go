package cli

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the program available to the scripts as the command logsluice.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"logsluice": func() {
		os.Exit(Main(context.Background(), "v1.2.3", os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}})
}

// TestScripts runs the scripts of testdata/script, which run the program as a process. $DATA is
// testdata and $SCHEMAS the built-in schemas. The environment has no other settings.
func TestScripts(t *testing.T) {
	folders := make(map[string]string)
	for name, folder := range map[string]string{"DATA": "testdata", "SCHEMAS": "../mapping/schema/schemas"} {
		var err error
		if folders[name], err = filepath.Abs(folder); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:         "testdata/script",
		WorkdirRoot: t.TempDir(), // the default is not removed when -run skips scripts
		Setup: func(env *testscript.Env) error {
			for name, folder := range folders {
				env.Setenv(name, folder)
			}
			return nil
		},
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"code": code},
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
	})
}

// code is a command of the scripts: "code 2 logsluice run" runs logsluice and checks that it
// exits with 2.
func code(script *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		script.Fatalf("usage: code N program [argument...]")
	}
	want, err := strconv.Atoi(args[0])
	script.Check(err)
	got := 0
	var exit *exec.ExitError
	err = script.Exec(args[1], args[2:]...)
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		script.Check(err)
	}
	if got != want {
		script.Fatalf("exit code %d, not %d", got, want)
	}
}
