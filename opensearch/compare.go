package opensearch

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// The differences between installed and wanted objects, each with its path.

// Installed is the only change of an object that does not exist.
const Installed = "installed"

// diff returns the differences between the server's value and the wanted one, with their
// paths. Members that only the server's object has count if all is set.
func diff(path string, was, is any, all bool) (changes []string) {
	switch after := is.(type) {
	case map[string]any:
		before, isObject := was.(map[string]any)
		if !isObject {
			break
		}
		for key, value := range after {
			changes = append(changes, diff(join(path, key), before[key], value, all)...)
		}
		for key, value := range before {
			if _, stays := after[key]; !stays && all {
				changes = append(changes, diff(join(path, key), value, nil, all)...)
			}
		}
		return changes
	case []any:
		before, isList := was.([]any)
		if !isList || len(after) > 0 && !isObject(after[0]) {
			break
		}
		for i := range max(len(before), len(after)) {
			changes = append(changes, diff(fmt.Sprintf("%s[%d]", path, i), at(before, i), at(after, i), all)...)
		}
		return changes
	}
	if reflect.DeepEqual(was, is) {
		return nil
	}
	return []string{path + ": " + difference(was, is)}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func isObject(v any) bool {
	_, is := v.(map[string]any)
	return is
}

// at returns an element of a list, or nil beyond its end.
func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// difference returns two values as text for people. Long values are cut to where they
// differ.
func difference(was, is any) string {
	const most, before = 100, 20
	from, to := text(was), text(is)
	if len(from) > most && len(to) > most {
		same := 0
		for same < min(len(from), len(to)) && from[same] == to[same] {
			same++
		}
		if skip := same - before; skip > 0 {
			from, to = "…"+from[skip:], "…"+to[skip:]
		}
	}
	for _, s := range []*string{&from, &to} {
		if len(*s) > most {
			*s = (*s)[:most] + "…"
		}
	}
	return strings.ToValidUTF8(from+" → "+to, "")
}

func text(v any) string {
	if v == nil {
		return "none"
	}
	text, _ := json.Marshal(v) // it was JSON
	return string(text)
}
