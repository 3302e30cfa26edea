package deploy

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write docs/parameters.md")

const parametersPage = "../docs/parameters.md"

// docs/parameters.md is generated from the parameters of logsluice.yaml:
// go test ./deploy -run TestParametersPage -update
func TestParametersPage(t *testing.T) {
	page := parametersAsPage(t)
	if *update {
		if err := os.WriteFile(parametersPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(parametersPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != page {
		t.Error("docs/parameters.md differs from logsluice.yaml: write it with go test ./deploy -run TestParametersPage -update")
	}
}

const aboutParameters = `# Parameters of the stack

For whoever deploys ` + "`deploy/logsluice.yaml`" + `: every parameter, generated from the template. [Deploying](deploy.md) explains how to set them.
`

// parameter is a parameter of the template.
type parameter struct {
	Description   string   `yaml:"Description"`
	Default       *string  `yaml:"Default"`
	AllowedValues []string `yaml:"AllowedValues"`
	MinValue      string   `yaml:"MinValue"`
	MaxValue      string   `yaml:"MaxValue"`
	// Constraint describes AllowedPattern in words.
	Constraint string `yaml:"ConstraintDescription"`
}

// parametersAsPage returns the page, which has the parameters in the groups of the console.
func parametersAsPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("logsluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Metadata struct {
			Interface struct {
				Groups []struct {
					Label struct {
						Default string `yaml:"default"`
					} `yaml:"Label"`
					Parameters []string `yaml:"Parameters"`
				} `yaml:"ParameterGroups"`
			} `yaml:"AWS::CloudFormation::Interface"`
		} `yaml:"Metadata"`
		Parameters map[string]parameter `yaml:"Parameters"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	code := codeIn(slices.Collect(maps.Keys(template.Parameters)))
	var page strings.Builder
	page.WriteString(aboutParameters)
	for _, group := range template.Metadata.Interface.Groups {
		fmt.Fprintf(&page, "\n## %s\n\n| parameter | default | allowed | meaning |\n| --- | --- | --- | --- |\n", group.Label.Default)
		for _, name := range group.Parameters {
			p, found := template.Parameters[name]
			if !found {
				t.Errorf("the group %q has a parameter %s that the template does not have, or that another group has", group.Label.Default, name)
			}
			delete(template.Parameters, name)
			page.WriteString(p.row(name, code))
		}
	}
	if len(template.Parameters) > 0 {
		t.Errorf("parameters without a group: %v", slices.Sorted(maps.Keys(template.Parameters)))
	}
	return page.String()
}

// codeIn matches the text that the page shows as code: names of parameters, examples and values.
func codeIn(names []string) *regexp.Regexp {
	names = slices.DeleteFunc(names, func(name string) bool { return strings.ToLower(name[1:]) == name[1:] }) // words such as Image
	return regexp.MustCompile(`https://[\w.-]*\w(/\w+)?|\barn:[\w:/-]+|/[a-z]+/\S+/\w+\b|\d{12}\.dkr\S+\w|\w+=\w+,\w+=\w+|\w+=[\w-]*\w|%\w[-\w%]*|\bPREFIX[\w/-]+…?|\b(aws|dead-letters)/\w*|` +
		`\b(es|aoss|basic|setup|doctor|global|zcat|[A-Z]+_[A-Z_]+|GZIP|PROVISIONED|ENABLED|` + strings.Join(names, "|") + `)\b`)
}

// number matches values that are not marked as code.
var number = regexp.MustCompile(`^\d+$`)

func inCode(value string) string {
	if value == "" || number.MatchString(value) {
		return value
	}
	return "`" + value + "`"
}

func (p parameter) row(name string, code *regexp.Regexp) string {
	usual, values := "required", make([]string, len(p.AllowedValues))
	if p.Default != nil {
		usual = inCode(*p.Default)
	}
	meaning := code.ReplaceAllString(p.Description, "`$0`")
	for i, value := range p.AllowedValues {
		values[i] = inCode(value)
		meaning = strings.Replace(" "+meaning, " "+value+": ", " `"+value+"`: ", 1)[1:]
	}
	allowed := strings.TrimSuffix(code.ReplaceAllString(p.Constraint, "`$0`"), ", or empty")
	switch {
	case p.AllowedValues != nil:
		allowed = strings.Join(values, ", ")
	case p.MaxValue != "":
		allowed = p.MinValue + " to " + p.MaxValue
	case p.MinValue != "":
		allowed = "at least " + p.MinValue
	case strings.HasPrefix(allowed, "the "): // the meaning already has it
		allowed = ""
	}
	meaning = strings.Replace(meaning, "docs/fields.md", "[fields](fields.md)", 1)
	return fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, usual, allowed, strings.TrimSuffix(meaning, "."))
}
