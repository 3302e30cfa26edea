package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "write docs/settings.md")

const settingsPage = "../docs/settings.md"

// docs/settings.md is made from the tags of the settings:
// go test ./cli -run TestSettingsPage -update
func TestSettingsPage(t *testing.T) {
	page := settingsAsPage(t)
	if *update {
		if err := os.WriteFile(settingsPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(settingsPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != page {
		t.Error("docs/settings.md differs from the settings' tags: go test ./cli -run TestSettingsPage -update writes it")
	}
}

const aboutSettings = `# Settings

For anyone who configures logsluice: every setting, its default and its limits. This page is generated from the flags.

Every setting is an environment variable and a flag (` + "`STREAM_NAME` is `--stream-name`" + `); the flag takes precedence. ` + "`logsluice run --help`" + ` lists them. An empty variable counts as not set.

- Sizes are bytes or have a unit: ` + "`8MB`, `256MiB`" + `.
- Times have a unit: ` + "`500ms`, `15s`, `7d12h`, `2w`" + `.
- Choices can be written in any case.
- Region, credentials and endpoints are the AWS SDK's own variables: ` + "`AWS_REGION`" + ` (required), ` + "`AWS_PROFILE`, `AWS_ENDPOINT_URL_KINESIS`" + ` and so on.

A missing or invalid setting ends the command with exit code 2 and one line that names it, before any request is sent.

**stack** is the parameter of the [CloudFormation stack](deploy.md#change), or the value that the stack sets. For any other setting, build [an image with it](incidents.md#lines-lack-fields). The stack reads the password when a task starts.
`

const settingsHead = "| variable | default | stack | meaning |\n| --- | --- | --- | --- |\n"

// settingsAsPage returns the page: the settings of run in the groups of its help, then the
// settings that run does not have.
func settingsAsPage(t *testing.T) string {
	t.Helper()
	var page strings.Builder
	page.WriteString(aboutSettings)
	stack := readStackTemplate(t).settings(t)
	isOfRun := map[string]bool{}
	users := map[string][]string{}
	var others []*kong.Flag
	for _, leaf := range modelOf(t).Leaves(true) {
		title := ""
		for _, flag := range leaf.Flags {
			switch {
			case len(flag.Envs) == 0:
			case leaf.Name == "run":
				if flag.Group.Title != title {
					title = flag.Group.Title
					fmt.Fprintf(&page, "\n## %s\n\n%s", strings.TrimSuffix(title, ":"), settingsHead)
				}
				isOfRun[flag.Name] = true
				page.WriteString(row(flag, slices.Contains(required(leaf), flag.Name), stack))
			case !isOfRun[flag.Name]:
				if users[flag.Name] == nil {
					others = append(others, flag)
				}
				users[flag.Name] = append(users[flag.Name], leaf.Path())
			}
		}
	}
	page.WriteString("\n## Other commands\n\n" + settingsHead)
	for _, flag := range others {
		flag.Help = "For `" + strings.Join(users[flag.Name], "`, `") + "`. " + flag.Help
		page.WriteString(row(flag, false, stack))
	}
	return page.String()
}

// modelOf returns the command line of the program.
func modelOf(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := newParser(context.Background(), new(commands), newValues(), streams{out: io.Discard, err: io.Discard}, "", func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

// literal matches values and names, which the page shows as code.
var literal = regexp.MustCompile(`(s3|https)://[\w:/]+|/(healthz|readyz|metrics)\b|%\w[-\w%]*|[A-Z]+(_[A-Z0-9]+)+|PREFIX\b([-/.]\w+)*|\w+=\w+,\w+=\w+|s3:\w+|@\w+:\w+|:desc\b|\\,|logsluice [a-z]+ [a-z]+\b|\b\d+(ms|s|m|h|d|KiB|MiB|GiB)\b`)

func row(flag *kong.Flag, isRequired bool, stack map[string]string) string {
	variables := "`" + strings.Join(flag.Envs, "`, or `") + "`"
	standard := defaultText(flag.Value)
	switch {
	case isRequired:
		standard = "required"
	case standard != "" && standard == flag.Default:
		standard = "`" + standard + "`"
	}
	meaning := strings.TrimPrefix(flag.Help, "Required. ")
	if more := flag.Tag.Get("more"); more != "" {
		meaning += " " + more
	}
	if limits := limitsOf(flag.Value, ""); limits != "" {
		meaning += " " + strings.ToUpper(limits[:1]) + limits[1:] + "."
	}
	return fmt.Sprintf("| %s | %s | %s | %s |\n", variables, standard, stack[flag.Envs[0]], literal.ReplaceAllString(meaning, "`$0`"))
}

// The tags of settings name checks that exist, and each setting that a command requires says
// what to set it to.
func TestSettingTags(t *testing.T) {
	for _, leaf := range modelOf(t).Leaves(true) {
		for _, flag := range leaf.Flags {
			if check := flag.Tag.Get("check"); check != "" && checks[check] == nil {
				t.Errorf("--%s of %s names an unknown check %q", flag.Name, leaf.Path(), check)
			}
			if slices.Contains(required(leaf), flag.Name) && flag.Tag.Get("missing") == "" {
				t.Errorf("--%s is required by %s and has no tag missing", flag.Name, leaf.Path())
			}
		}
	}
}

// settingInText matches a setting as errors, remedies and pages name it.
var settingInText = regexp.MustCompile(`\b([A-Z][A-Z0-9_]+) \(--([a-z0-9-]+)\)`)

// The settings that the program's texts name exist, and both names belong together.
func TestSettingNames(t *testing.T) {
	names := map[string]string{"SHARDS": "shards", "RATE": "rate"} // settings of local/produce
	for _, leaf := range modelOf(t).Leaves(true) {
		for _, flag := range leaf.Flags {
			for _, name := range flag.Envs {
				names[name] = flag.Name
			}
		}
	}
	found := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != ".." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case filepath.Ext(path) != ".go":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range settingInText.FindAllStringSubmatch(string(text), -1) {
			found++
			if names[match[1]] != match[2] {
				t.Errorf("%s: setting %s does not exist", path, match[0])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found == 0 {
		t.Error("no text names a setting")
	}
}
