package deadletter

import (
	"encoding/json"
	"maps"
	"os"
	"testing"
)

// The index template is stable: a changed template would be installed again in each
// domain.
func TestTemplate(t *testing.T) {
	t.Parallel()
	template, err := Template("p")
	if err != nil || template.Name != "p-dead-letter" || len(template.Bodies) != 1 {
		t.Fatalf("%+v, %v", template, err)
	}
	want, err := os.ReadFile("testdata/template.json")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(template.Bodies[0]) + "\n"; got != string(want) {
		t.Errorf("the template is\n%s\nwant\n%s", got, want)
	}
}

// The fields by which letters are searched and shown are members of Letter, and each
// member is a field of the index.
func TestFields(t *testing.T) {
	t.Parallel()
	members := map[string]bool{}
	var visit func(before string, object map[string]any)
	visit = func(before string, object map[string]any) {
		for name, value := range object {
			if inner, isObject := value.(map[string]any); isObject {
				visit(before+name+".", inner)
			} else {
				members[before+name] = true
			}
		}
	}
	fields := map[string]bool{}
	var list func(before string, properties map[string]any)
	list = func(before string, properties map[string]any) {
		for name, property := range properties {
			if inner, isObject := property.(map[string]any)["properties"].(map[string]any); isObject {
				list(before+name+".", inner)
			} else {
				fields[before+name] = true
			}
		}
	}
	full, err := json.Marshal(Letter{TargetIndex: "i", TargetID: "1", LogGroup: "g", LogStream: "s", Cause: Cause{Status: 400}, Payload: "p"})
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(full, &object); err != nil {
		t.Fatal(err)
	}
	visit("", object)
	list("", Properties())
	if !maps.Equal(members, fields) {
		t.Errorf("a letter has the members %v, its index the fields %v", members, fields)
	}
	for _, name := range []string{TimeField, StageField, TypeField, ReasonField, TargetIndexField, LogGroupField, PayloadBytesField, PayloadField} {
		if !fields[name] {
			t.Errorf("%s is not a field", name)
		}
	}
}
