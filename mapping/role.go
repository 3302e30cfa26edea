package mapping

import "slices"

// roles are what the fields of a schema are to a dashboard; nil for what it lacks.
type roles struct {
	group    *Field // where a line comes from
	level    *Field // error, warn, …
	text     *Field // what a line says, without what else is in it
	failure  *Field // what went wrong
	path     *Field // of a request
	status   *Field // of its response
	duration *Field // of it
}

// roles finds the fields by what the built-in schemas call them. One of another type
// than its role needs is not taken.
func (s *Schema) roles() roles {
	find := func(fits func(*Field) bool, names ...string) *Field {
		for _, name := range names {
			for i := range s.Fields {
				if f := &s.Fields[i]; f.Name == name && fits(f) {
					return f
				}
			}
		}
		return nil
	}
	return roles{
		group:    find((*Field).isTerm, "log_group", "aws.cloudwatch.log_group"),
		level:    find((*Field).isTerm, "level", "log.level"),
		text:     find((*Field).isString, "msg", "log.message"),
		failure:  find((*Field).isString, "error.message"),
		path:     find((*Field).isTerm, "path", "url.path"),
		status:   find((*Field).isNumber, "status", "http.response.status_code"),
		duration: find((*Field).isNumber, "duration_ms", "event.duration"),
	}
}

// isTerm tells whether documents can be counted and found by whole values.
func (f *Field) isTerm() bool { return f.Type == "keyword" && f.isCounted() }

func (f *Field) isNumber() bool {
	return slices.Contains([]kind{ofInteger, ofFloat, ofDuration}, f.kind) && f.isCounted()
}

func (f *Field) isString() bool { return f.kind == ofText }

func (f *Field) isCounted() bool {
	listed := newDashboardsField(f.Name, f.property(lightText))
	return listed.Searchable && listed.Aggregatable
}
