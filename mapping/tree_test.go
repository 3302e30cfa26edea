package mapping

import (
	"testing"

	"logsluice/mapping/schema"
)

// keysOf returns keys of lines, some of which the schema default looks for, with the node of each
// according to a map.
func keysOf(t testing.TB) (*node, map[string]*node) {
	t.Helper()
	m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: mustZone(t, "UTC")}})
	if err != nil {
		t.Fatal(err)
	}
	root, nodes := m.extract.root, map[string]*node{"": nil, "caller": nil, "x": nil, "user_agent": nil, "Levels": nil, "hosts": nil, "thread_name": nil}
	for _, member := range root.members {
		nodes[member.key] = member.node
		nodes[member.key+"_"] = nil
		nodes[member.key[1:]] = nil
	}
	for _, member := range root.members { // the last byte of a key can be another key
		nodes[member.key] = member.node
	}
	return root, nodes
}

// The table of keys finds what a map finds.
func TestFind(t *testing.T) {
	t.Parallel()
	root, nodes := keysOf(t)
	for key, want := range nodes {
		if got := root.find([]byte(key)); got != want {
			t.Errorf("%q: %p, want %p", key, got, want)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	root, nodes := keysOf(b)
	var keys [][]byte
	for key := range nodes {
		keys = append(keys, []byte(key))
	}
	for name, find := range map[string]func([]byte) *node{"table": root.find, "map": func(key []byte) *node { return nodes[string(key)] }} {
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				find(keys[i%len(keys)])
			}
		})
	}
}
