package mapping

import (
	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// appliesTo reports whether a rule's conditions on the envelope are met.
func appliesTo(r *schema.Rule, e *subscription.Envelope) bool {
	return (r.Group == nil || r.Group.MatchString(e.LogGroup.String())) &&
		(r.Stream == nil || r.Stream.MatchString(e.LogStream.String()))
}

// matches reports whether a rule's conditions on the event are met.
func matches(r *schema.Rule, x *extractor, message func() []byte) bool {
	for _, c := range r.Fields {
		if f := x.found[c.Field]; f.rank == 0 || !c.Values[string(x.values[f.from:f.to])] {
			return false
		}
	}
	return r.Message == nil || r.Message.Match(message())
}
