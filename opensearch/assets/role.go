package assets

import (
	"slices"

	"logsluice/mapping/schema"
)

// roles are what the fields of a schema are to a dashboard; nil for what it lacks.
type roles struct {
	group    *schema.Field // where a line comes from
	level    *schema.Field // error, warn, …
	text     *schema.Field // what a line says, without what else is in it
	failure  *schema.Field // what went wrong
	path     *schema.Field // of a request
	status   *schema.Field // of its response
	duration *schema.Field // of it
}

// rolesOf finds the fields by what the built-in schemas call them. One of another type
// than its role needs is not taken.
func rolesOf(s *schema.Schema) roles {
	find := func(fits func(*schema.Field) bool, names ...string) *schema.Field {
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
		group:    find(isTerm, "log_group", "aws.cloudwatch.log_group"),
		level:    find(isTerm, "level", "log.level"),
		text:     find(isString, "msg", "log.message"),
		failure:  find(isString, "error.message"),
		path:     find(isTerm, "path", "url.path"),
		status:   find(isNumber, "status", "http.response.status_code"),
		duration: find(isNumber, "duration_ms", "event.duration"),
	}
}

// isTerm tells whether documents can be counted and found by whole values.
func isTerm(f *schema.Field) bool { return f.Type == "keyword" && isCounted(f) }

func isNumber(f *schema.Field) bool {
	return slices.Contains([]schema.Kind{schema.IntegerKind, schema.FloatKind, schema.DurationKind}, f.Kind) && isCounted(f)
}

func isString(f *schema.Field) bool { return f.Kind == schema.TextKind }

func isCounted(f *schema.Field) bool {
	listed := newDashboardsField(f.Name, property(f, schema.LightText))
	return listed.Searchable && listed.Aggregatable
}
