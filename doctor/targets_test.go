package doctor

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"logsluice/mapping/schema"
	"logsluice/opensearch"
)

func TestTargets(t *testing.T) {
	f := func(n schema.Naming, body string, want ...Target) {
		t.Helper()
		n.Prefix, n.Zone = "app", time.UTC
		templates := []opensearch.Template{{Name: "app", Bodies: [][]byte{[]byte(body)}}, {Name: "app-dead-letter", Bodies: [][]byte{[]byte(`{"priority":1000}`)}}}
		got, err := Targets(templates, n, time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, Target{Name: "app-dead-letter", Template: "app-dead-letter", Priority: 1000, AnyKind: true})
		if !slices.Equal(got, want) {
			t.Errorf("got  %s\nwant %s", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
		}
	}
	dated := func(name string) Target { return Target{Name: name, Template: "app", Priority: 103} }
	f(schema.Naming{}, `{"priority":103}`,
		dated("app-outside"), dated("app-2026-01-14"), dated("app-2026-01-15"), dated("app-2026-01-16"), Target{Name: "app"})
	f(schema.Naming{DataStream: true}, `{"priority":103,"data_stream":{}}`, Target{Name: "app", Template: "app", Priority: 103, DataStream: true})
}
