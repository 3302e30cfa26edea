package e2e

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// role is a role of the security plugin.
// See https://docs.opensearch.org/latest/security/access-control/users-roles/.
type role struct {
	Cluster []string     `json:"cluster_permissions"`
	Indices []indexGrant `json:"index_permissions"`
}

// indexGrant is the actions that a role permits on indices.
type indexGrant struct {
	Patterns []string `json:"index_patterns"`
	Actions  []string `json:"allowed_actions"`
}

// allow adds a permission for index patterns, or for the cluster without patterns.
func (r *role) allow(permission string, patterns []string) {
	if len(patterns) == 0 {
		r.Cluster = append(r.Cluster, permission)
		return
	}
	i := slices.IndexFunc(r.Indices, func(g indexGrant) bool { return slices.Equal(g.Patterns, patterns) })
	if i < 0 {
		i = len(r.Indices)
		r.Indices = append(r.Indices, indexGrant{Patterns: patterns})
	}
	r.Indices[i].Actions = append(r.Indices[i].Actions, permission)
}

// allCommands is the role with the permissions of every command.
const allCommands = "all commands"

// readPermissions reads the table of docs/permissions-opensearch.md. It returns the role of each
// command and of all commands, for INDEX_PREFIX=logs, and the text of the page.
func readPermissions(t *testing.T) (roles map[string]*role, page string) {
	t.Helper()
	text, err := os.ReadFile("../docs/permissions-opensearch.md")
	if err != nil {
		t.Fatal(err)
	}
	page = string(text)
	_, after, begins := strings.Cut(page, "<!-- permissions -->\n")
	table, _, ends := strings.Cut(after, "<!-- -->")
	if !begins || !ends {
		t.Fatal("docs/permissions-opensearch.md has no table of permissions")
	}
	rows := slices.Collect(strings.Lines(table))
	cells := func(row string) []string {
		all := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), "|")
		for i := range all {
			all[i] = strings.ReplaceAll(strings.TrimSpace(all[i]), "`", "")
		}
		return all
	}
	commands := cells(rows[0])[2:5]
	roles = map[string]*role{allCommands: {}}
	for _, command := range commands {
		roles[command] = &role{}
	}
	for _, row := range rows[2:] {
		c := cells(row)
		var patterns []string
		if c[1] != "cluster" {
			patterns = strings.Split(c[1], ", ")
		}
		for i, command := range commands {
			switch c[2+i] {
			case "✓":
				roles[command].allow(c[0], patterns)
			case "":
			default:
				t.Errorf("%s has %q for %s", c[0], c[2+i], command)
			}
		}
		roles[allCommands].allow(c[0], patterns)
	}
	return roles, page
}

// roleOf returns the role of a command, for INDEX_PREFIX=logs, as JSON.
func roleOf(t *testing.T, command string) string {
	t.Helper()
	roles, _ := readPermissions(t)
	if roles[command] == nil {
		t.Fatalf("docs/permissions-opensearch.md has no column %s", command)
	}
	text, err := json.Marshal(roles[command])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// without returns a role without a permission.
func without(t *testing.T, role, permission string) string {
	t.Helper()
	reduced := strings.NewReplacer(`,"`+permission+`"`, "", `"`+permission+`",`, "").Replace(role)
	if reduced == role {
		t.Fatalf("the role lacks %s: %s", permission, role)
	}
	return reduced
}

// roleForPrefix returns a role for INDEX_PREFIX=logs changed to prefix.
func roleForPrefix(role, prefix string) string {
	return strings.NewReplacer(`"logs-`, `"`+prefix+"-", `"logs"`, `"`+prefix+`"`).Replace(role)
}

// tenantRoles returns the roles for a tenant in docs/permissions-opensearch.md as JSON: those of
// setup and of readers.
func tenantRoles(t *testing.T) (writers, readers string) {
	t.Helper()
	_, page := readPermissions(t)
	_, section, _ := strings.Cut(page, "\n## Dashboards\n")
	_, writers, _ = strings.Cut(section, "```json\n")
	writers, section, _ = strings.Cut(writers, "```")
	_, readers, _ = strings.Cut(section, "```json\n")
	readers, _, found := strings.Cut(readers, "```")
	if !found {
		t.Fatal("docs/permissions-opensearch.md does not have two roles under Dashboards")
	}
	return writers, readers
}

// The JSON roles in docs/permissions-opensearch.md match its table.
func TestRolesOnPage(t *testing.T) {
	t.Parallel()
	roles, page := readPermissions(t)
	for heading, command := range map[string]string{"Role for `run` alone": "run", "One role for all commands": allCommands} {
		_, section, _ := strings.Cut(page, "\n### "+heading+"\n")
		_, block, _ := strings.Cut(section, "```json\n")
		block, _, found := strings.Cut(block, "```")
		if !found {
			t.Errorf("docs/permissions-opensearch.md has no role under %s", heading)
			continue
		}
		var got role
		if err := json.Unmarshal([]byte(block), &got); err != nil {
			t.Errorf("%s: %v", heading, err)
		}
		if want := *roles[command]; !reflect.DeepEqual(got, want) {
			text, err := json.MarshalIndent(want, "", "  ")
			t.Errorf("%s differs from the role of the table\n%s %v", heading, text, err)
		}
	}
}
