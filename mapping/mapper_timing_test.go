package mapping

import (
	"testing"

	"logsluice/internal/loggen"
	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// BenchmarkSchemas makes the documents of 20,000 events of several services, JSON and
// others.
func BenchmarkSchemas(b *testing.B) {
	const events = 20_000
	var envelopes []*subscription.Envelope
	g := loggen.New(loggen.Options{Seed: 1, Events: events})
	for r, more := g.Next(); more; r, more = g.Next() {
		e := &subscription.Envelope{Owner: schema.Literal(r.Owner), LogGroup: schema.Literal(r.LogGroup), LogStream: schema.Literal(r.LogStream)}
		for _, ev := range r.Events {
			e.Events = append(e.Events, subscription.Event{ID: []byte(ev.ID), Timestamp: ev.Timestamp, Message: schema.Literal(ev.Message)})
		}
		envelopes = append(envelopes, e)
	}
	schemas := map[string]*schema.Schema{}
	for _, name := range schema.BuiltIns() {
		schemas[name] = mustBuiltIn(b, name)
	}
	schemas["default, rest"] = schemaOf(b, string(schemas["default"].Source())+"rest: flat_object")
	for name, s := range schemas {
		b.Run(name, func(b *testing.B) {
			m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: mustZone(b, "UTC")}, Schema: s})
			if err != nil {
				b.Fatal(err)
			}
			var body []byte
			b.ReportAllocs()
			for b.Loop() {
				for _, e := range envelopes {
					body = m.AppendAll(body[:0], e)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
		})
	}
}
