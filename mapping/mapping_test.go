package mapping

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func mustBuiltIn(t testing.TB, name string) *schema.Schema {
	t.Helper()
	s, err := schema.BuiltIn(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newMapper(t testing.TB, prefix, zone string) *Mapper {
	t.Helper()
	m, err := New(Config{Naming: schema.Naming{Prefix: prefix, Zone: mustZone(t, zone)}, Schema: mustBuiltIn(t, "plain")})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAppend(t *testing.T) {
	f := func(zone string, timestamp int64, wantIndex, wantTime string) {
		t.Helper()
		m := newMapper(t, "app", zone)
		envelope := &subscription.Envelope{Owner: subscription.Text(`"123"`), LogGroup: subscription.Text(`"/g"`), LogStream: subscription.Text(`"s\"1"`)}
		event := &subscription.Event{ID: []byte("42"), Timestamp: timestamp, Message: subscription.Text(`"{\"a\":1}"`)}
		want := `before{"create":{"_index":"` + wantIndex + `","_id":"42"}}` + "\n" +
			`{"@timestamp":"` + wantTime + `","message":"{\"a\":1}","log_group":"/g","log_stream":"s\"1","owner":"123"}` + "\n"
		envelope.Events = []subscription.Event{*event}
		if got := string(m.AppendAll([]byte("before"), envelope)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	f("UTC", 1544414264183, "app-2018-12-10", "2018-12-10T03:57:44.183Z")
	f("Asia/Tokyo", 1544414264183, "app-2018-12-10", "2018-12-10T12:57:44.183+09:00")
	f("Asia/Tokyo", 1544456640000, "app-2018-12-11", "2018-12-11T00:44:00.000+09:00")
	f("America/New_York", 1544414264183, "app-2018-12-09", "2018-12-09T22:57:44.183-05:00")
	f("Asia/Kathmandu", 0, "app-1970-01-01", "1970-01-01T05:30:00.000+05:30")
	f("UTC", -1, "app-1969-12-31", "1969-12-31T23:59:59.999Z")
	// RFC 3339 has no offsets with seconds (Monrovia was 44 minutes and 30 seconds
	// behind) and no years after 9999: the instant is kept in UTC.
	f("Africa/Monrovia", 0, "app-1970-01-01", "1970-01-01T00:00:00.000Z")
	f("Asia/Tokyo", 253402300799999, "app-9999-12-31", "9999-12-31T23:59:59.999Z")
	f("America/New_York", -62167219200000, "app-0000-01-01", "0000-01-01T00:00:00.000Z")
}

// An invalid naming is refused.
func TestNew_Failure(t *testing.T) {
	f := func(n schema.Naming) {
		t.Helper()
		if _, err := New(Config{Naming: n, Schema: mustBuiltIn(t, "plain")}); err == nil {
			t.Errorf("%+v is accepted", n)
		}
	}
	f(schema.Naming{Prefix: "App", Zone: time.UTC})
	f(schema.Naming{Prefix: "app", Date: "%d", Zone: time.UTC})
	f(schema.Naming{Prefix: "app", Date: "%d", DataStream: true, Zone: time.UTC})
	f(schema.Naming{Prefix: "app"})
}

// Time-series collections of Serverless refuse ids.
func TestAppendWithoutIDs(t *testing.T) {
	m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: time.UTC}, Schema: mustBuiltIn(t, "plain"), NoIDs: true})
	if err != nil {
		t.Fatal(err)
	}
	event := &subscription.Event{ID: []byte("42"), Timestamp: 1544414264183, Message: subscription.Text(`"m"`)}
	action, _, _ := strings.Cut(string(m.AppendAll(nil, &subscription.Envelope{Events: []subscription.Event{*event}})), "\n")
	if action != `{"index":{"_index":"app-2018-12-10"}}` {
		t.Errorf("action %s", action)
	}
}

// Documents that OpenSearch refused are indexed as text only.
func TestPlainAndMinimal(t *testing.T) {
	m := newMapper(t, "app", "UTC")
	source := func(message string) []byte {
		return []byte(`{"@timestamp":"2018-12-10T03:57:44.183Z","message":` + message + `,"log_group":"/g","owner":"1"}`)
	}
	f := func(name, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %.300s, want %.300s", name, got, want)
		}
	}
	group, stream := []byte(`"/g"`), []byte(`"s\""`)
	f("plain", string(m.AppendPlain([]byte("x"), source(`"a\"\u0000<b>"`), group, stream, "kind", `why "so"`)),
		`x{"@timestamp":"2018-12-10T03:57:44.183Z","message":"a\"\u0000<b>","log_group":"/g","log_stream":"s\"","refused":{"reason":"why \"so\"","type":"kind"}}`)
	f("minimal", string(m.AppendMinimal([]byte("x"), source(`"a\nb"`), group, stream)),
		`x{"@timestamp":"2018-12-10T03:57:44.183Z","message":"a\nb","log_group":"/g","log_stream":"s\""}`)
	ecs, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: time.UTC}, Schema: mustBuiltIn(t, "ecs")})
	if err != nil {
		t.Fatal(err)
	}
	f("in the fields of the schema", string(ecs.AppendMinimal(nil, source(`"a"`), group, stream)),
		`{"@timestamp":"2018-12-10T03:57:44.183Z","message":"a","aws.cloudwatch.log_group":"/g","aws.cloudwatch.log_stream":"s\""}`)
	quoting := `"\"message\":\"no\\\\\",\"@timestamp\":\"no\"\\\\"`
	f("a line that quotes another", string(m.AppendMinimal(nil, source(quoting), nil, nil)), `{"@timestamp":"2018-12-10T03:57:44.183Z","message":`+quoting+`}`)
	// Lines that are too long are cut at a whole character, within the length of a term.
	for _, unit := range []string{"a", "é", `\n`, `\u0000`, "𝄞", `\\`} {
		for lead := range 7 {
			literal := `"` + strings.Repeat("x", lead) + strings.Repeat(unit, 40_000) + `"`
			var bare struct{ Message string }
			if err := json.Unmarshal(m.AppendMinimal(nil, source(literal), nil, nil), &bare); err != nil {
				t.Fatalf("%q: %v", unit, err)
			}
			var whole string
			if err := json.Unmarshal([]byte(literal), &whole); err != nil {
				t.Fatal(err)
			}
			if n := len(bare.Message); n > schema.MaxTerm || len(unit) > 2 && n < schema.MaxTerm/6-6 || !strings.HasPrefix(whole, bare.Message) {
				t.Errorf("%q after %d: cut to %d bytes", unit, lead, n)
			}
		}
	}
}
