package mapping

import "encoding/json"

// Priorities of the index templates. A longer prefix wins over a shorter one
// that its indices match too (app-web-* over app-*): two templates of the same
// priority whose patterns overlap are refused by OpenSearch.
const basePriority = 100

// Template returns the name and the body of the composable index template of
// the daily indices. Its settings are spelled as OpenSearch gives them back
// (nested, values as strings), so that an installed template can be compared.
// See https://docs.opensearch.org/latest/im-plugin/index-templates/.
func (m *Mapper) Template() (name string, body []byte, err error) {
	properties := make(map[string]any, len(m.fields))
	for _, field := range m.fields {
		properties[field.Name] = field.Property
	}
	body, err = json.Marshal(map[string]any{
		"index_patterns": []string{m.prefix + "-*"},
		"priority":       basePriority + len(m.prefix),
		"template": map[string]any{
			"settings": map[string]any{"index": map[string]any{
				// One shard holds a small team's day; more cost each search.
				"number_of_shards": "1",
				// Set by name, so that an index nobody has searched for a while
				// is refreshed all the same: lines are found in a second.
				"refresh_interval": "1s",
				// About a fifth less disk for a little more CPU.
				"codec": "best_compression",
			}},
			"mappings": map[string]any{
				// Fields come from the schema alone: a stray one is kept in the
				// document and cannot clash or use up the field limit.
				"dynamic":    "false",
				"properties": properties,
			},
		},
	})
	return m.prefix, body, err
}

// Prefix is what every index name begins with.
func (m *Mapper) Prefix() string { return m.prefix }
