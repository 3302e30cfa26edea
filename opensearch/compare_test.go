package opensearch

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	f := func(was, is string, all bool, want ...string) {
		t.Helper()
		var before, after any
		if err := json.Unmarshal([]byte(was), &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(is), &after); err != nil {
			t.Fatal(err)
		}
		got := diff("", before, after, all)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s, %s: %q", was, is, got)
		}
	}
	f(`{"a":1,"b":{"c":[1,2]}}`, `{"a":1,"b":{"c":[1,2]}}`, true)
	f(`{"a":1,"b":2}`, `{"a":1}`, true, "b: 2 → none")
	f(`{"a":1,"b":2}`, `{"a":1}`, false)
	f(`{"a":{"b":2,"c":3}}`, `{"a":{"b":1}}`, true, "a.b: 2 → 1", "a.c: 3 → none")
	f(`{"a":{"b":2,"c":3}}`, `{"a":{"b":1}}`, false, "a.b: 2 → 1")
	f(`{"a":1}`, `{"a":{"b":1}}`, false, `a: 1 → {"b":1}`)
	f(`{}`, `{"a":[]}`, false, `a: none → []`)
	f(`{"a":[1,2]}`, `{"a":[2,1]}`, false, `a: [1,2] → [2,1]`)
	f(`{"a":[{"b":1,"c":2},{"b":2}]}`, `{"a":[{"b":1},{"b":3},{"b":4}]}`, false, `a[1].b: 2 → 3`, `a[2]: none → {"b":4}`)
	f(`{"a":[{"b":1}]}`, `{"a":[]}`, false, `a[0]: {"b":1} → none`)
	same := strings.Repeat("x", 200)
	f(`{"a":"`+same+`1y"}`, `{"a":"`+same+`2y"}`, false, `a: …`+same[:20]+`1y" → …`+same[:20]+`2y"`)
	f(`{"a":"`+same+`"}`, `{"a":"y"}`, false, `a: "`+same[:99]+`… → "y"`)
	f(`{"a":"`+same+`é`+same+`"}`, `{"a":"`+same+`è`+same+`"}`, false, `a: …`+same[:19]+`é`+same[:76]+`… → …`+same[:19]+`è`+same[:76]+`…`)
}
