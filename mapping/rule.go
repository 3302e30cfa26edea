package mapping

import (
	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// concerns reports whether a rule's conditions on the envelope hold.
func concerns(r *schema.Rule, e *subscription.Envelope) bool {
	return (r.Group == nil || r.Group.MatchString(e.LogGroup.String())) &&
		(r.Stream == nil || r.Stream.MatchString(e.LogStream.String()))
}

// holds reports whether a rule's conditions on the event do.
func holds(r *schema.Rule, x *extract, message func() []byte) bool {
	for _, c := range r.Fields {
		if f := x.found[c.Field]; f.rank == 0 || !c.Values[string(x.values[f.from:f.to])] {
			return false
		}
	}
	return r.Message == nil || r.Message.Match(message())
}
