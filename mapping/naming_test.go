package mapping

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// Documents go to the indices of the naming.
func TestIndexDate(t *testing.T) {
	f := func(date, want string) {
		t.Helper()
		m, err := New(Config{Naming: schema.Naming{Prefix: "app", Date: date, Zone: mustZone(t, "Asia/Kathmandu")}})
		if err != nil {
			t.Fatal(err)
		}
		var index struct {
			Create struct {
				Index string `json:"_index"`
			}
		}
		when := time.Date(2021, 1, 2, 18, 30, 0, 0, time.UTC) // there it is the 3rd, 0:15
		e := &subscription.Envelope{Events: []subscription.Event{{ID: []byte("1"), Timestamp: when.UnixMilli(), Message: schema.Literal("x")}}}
		action, _, _ := strings.Cut(string(m.AppendAll(nil, e)), "\n")
		if err := json.Unmarshal([]byte(action), &index); err != nil || index.Create.Index != want {
			t.Errorf("%s: %s, want %s, %v", date, index.Create.Index, want, err)
		}
		if names := m.naming.Indices(when); names[len(names)-1] != want {
			t.Errorf("%s: %v", date, names)
		}
	}
	f("", "app-2021-01-03")
	f("%Y.%m.%d", "app-2021.01.03")
	f("%Y-%m-%d-%H", "app-2021-01-03-00")
	f("%G-w%V", "app-2020-w53")
	f("%Y-%m", "app-2021-01")
	f("%Y.%j", "app-2021.003")
	f("%Y", "app-2021")
}

func TestDataStream(t *testing.T) {
	m, err := New(Config{Naming: schema.Naming{Prefix: "app", DataStream: true, Zone: mustZone(t, "UTC")}})
	if err != nil {
		t.Fatal(err)
	}
	e := &subscription.Envelope{Events: []subscription.Event{{ID: []byte("1"), Message: schema.Literal("x")}}}
	if got := string(m.AppendAll(nil, e)); !strings.HasPrefix(got, `{"create":{"_index":"app","_id":"1"}}`) {
		t.Error(got)
	}
	if names := m.naming.Indices(time.Now()); len(names) != 1 || names[0] != "app" || m.naming.Next(time.Now()) != "" {
		t.Error(names)
	}
	if m, err = New(Config{Naming: m.naming, NoIDs: true}); err != nil {
		t.Fatal(err)
	}
	if got := string(m.AppendAll(nil, e)); !strings.HasPrefix(got, `{"create":{"_index":"app"}}`) {
		t.Error(got)
	}
}
