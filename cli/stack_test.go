package cli

import (
	"bytes"
	"fmt"
	"iter"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"go.yaml.in/yaml/v3"

	"logsluice/internal/fakecloudwatch"
)

// stackTemplate is deploy/logsluice.yaml with the defaults of its parameters. References to a
// resource become its logical id in lower case.
type stackTemplate struct {
	Parameters map[string]struct {
		Default string `yaml:"Default"`
	} `yaml:"Parameters"`
	Mappings  map[string]map[string]map[string]string `yaml:"Mappings"`
	Resources map[string]yaml.Node                    `yaml:"Resources"`
}

func readStackTemplate(t *testing.T) *stackTemplate {
	t.Helper()
	text, err := os.ReadFile("../deploy/logsluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var s stackTemplate
	if err := yaml.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// resourcesOf returns the properties of the resources of a type, by their logical ids.
func (s *stackTemplate) resourcesOf(t *testing.T, kind string) map[string]map[string]yaml.Node {
	t.Helper()
	all := make(map[string]map[string]yaml.Node)
	for id, node := range s.Resources {
		var resource struct {
			Type       string               `yaml:"Type"`
			Properties map[string]yaml.Node `yaml:"Properties"`
		}
		if node.Kind != yaml.MappingNode {
			continue // Fn::ForEach
		}
		if err := node.Decode(&resource); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if resource.Type == kind {
			all[id] = resource.Properties
		}
	}
	return all
}

// notOfState are the properties of an alarm that do not affect its state.
var notOfState = []string{"AlarmDescription", "AlarmActions", "OKActions"}

// alarms returns the alarms on metrics from the program's log lines, and the names of those on
// AWS's own metrics only.
func (s *stackTemplate) alarms(t *testing.T) (ours map[string]fakecloudwatch.Definition, others map[string]bool) {
	t.Helper()
	ours, others = make(map[string]fakecloudwatch.Definition), make(map[string]bool)
	for id, properties := range s.resourcesOf(t, "AWS::CloudWatch::Alarm") {
		for _, name := range notOfState {
			delete(properties, name)
		}
		for name, node := range properties {
			if err := s.resolve(&node); err != nil {
				t.Fatalf("%s.%s: %v", id, name, err)
			}
			properties[name] = node
		}
		text, err := yaml.Marshal(properties)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("Namespace: logsluice")) {
			others[id] = true
			continue
		}
		// A property that the evaluation does not support must not be ignored.
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		var d fakecloudwatch.Definition
		if err := decoder.Decode(&d); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		ours[id] = d
	}
	return ours, others
}

// settings returns, for each variable of the template's task definition, the parameters that
// determine its value. Without parameters it is the value itself, or "set" if the value depends
// on a resource.
func (s *stackTemplate) settings(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, properties := range s.resourcesOf(t, "AWS::ECS::TaskDefinition") {
		for variables := range eachNode(properties["ContainerDefinitions"]) {
			if variables.Kind != yaml.MappingNode || len(variables.Content) != 4 || variables.Content[0].Value != "Name" {
				continue
			}
			var parameters []string
			value := variables.Content[3] // of Value or ValueFrom
			for node := range eachNode(*value) {
				for name := range strings.FieldsFuncSeq(node.Value, func(r rune) bool { return !unicode.IsLetter(r) }) {
					if _, ok := s.Parameters[name]; ok && node.Kind == yaml.ScalarNode {
						parameters = append(parameters, "`"+name+"`")
					}
				}
			}
			slices.Sort(parameters)
			text := strings.Join(slices.Compact(parameters), ", ")
			switch {
			case text != "":
			case value.Kind == yaml.ScalarNode && value.Tag == "!!str":
				text = value.Value
			default:
				text = "set"
			}
			all[variables.Content[1].Value] = text
		}
	}
	return all
}

// eachNode yields a node and all its descendants.
func eachNode(node yaml.Node) iter.Seq[*yaml.Node] {
	return func(yield func(*yaml.Node) bool) { walkNode(&node, yield) }
}

func walkNode(node *yaml.Node, yield func(*yaml.Node) bool) bool {
	if !yield(node) {
		return false
	}
	for _, child := range node.Content {
		if !walkNode(child, yield) {
			return false
		}
	}
	return true
}

// environment returns variables of the template's task definition.
func (s *stackTemplate) environment(t *testing.T, names ...string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, properties := range s.resourcesOf(t, "AWS::ECS::TaskDefinition") {
		var containers []struct {
			Environment []struct {
				Name  string    `yaml:"Name"`
				Value yaml.Node `yaml:"Value"`
			} `yaml:"Environment"`
		}
		node := properties["ContainerDefinitions"]
		if err := node.Decode(&containers); err != nil {
			t.Fatal(err)
		}
		for _, v := range containers[0].Environment {
			for _, name := range names {
				if v.Name != name {
					continue
				}
				if err := s.resolve(&v.Value); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				all[name] = v.Value.Value
			}
		}
	}
	for _, name := range names {
		if all[name] == "" {
			t.Fatalf("the template does not set %s", name)
		}
	}
	return all
}

var variable = regexp.MustCompile(`\$\{[^}]+\}`)

// resolve replaces CloudFormation functions in a node by their values.
func (s *stackTemplate) resolve(node *yaml.Node) error {
	for _, child := range node.Content {
		if err := s.resolve(child); err != nil {
			return err
		}
	}
	switch node.Tag {
	case "!Ref":
		s.set(node, s.ref(node.Value))
	case "!Sub":
		if node.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d: !Sub of a list is not supported", node.Line)
		}
		s.set(node, variable.ReplaceAllStringFunc(node.Value, func(v string) string { return s.ref(v[2 : len(v)-1]) }))
	case "!FindInMap":
		s.set(node, s.Mappings[node.Content[0].Value][node.Content[1].Value][node.Content[2].Value])
	case "!If":
		if len(node.Content) != 3 || node.Content[0].Value != "ByAccount" {
			return fmt.Errorf("line %d: !If %s is not supported", node.Line, node.Content[0].Value)
		}
		*node = *node.Content[2] // Subscribe is log-groups
	default:
		if len(node.Tag) > 1 && node.Tag[0] == '!' && node.Tag[1] != '!' {
			return fmt.Errorf("line %d: %s is not supported", node.Line, node.Tag)
		}
	}
	return nil
}

func (*stackTemplate) set(node *yaml.Node, value string) {
	*node = yaml.Node{Kind: yaml.ScalarNode, Value: value, Line: node.Line}
}

func (s *stackTemplate) ref(name string) string {
	if p, ok := s.Parameters[name]; ok {
		return p.Default
	}
	return strings.ToLower(name) // bucket names are lower case
}
