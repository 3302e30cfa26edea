package mapping

import (
	"bytes"

	"logsluice/mapping/schema"
)

// Log shippers put a line into an object of their own: as a string under one of these keys,
// or as the object that they decoded. Its fields are those of the inner line, and of the outer
// one only what the inner one lacks.
var wrappers = [...]struct {
	key      string
	object   bool     // whether the line can be an object that the shipper decoded
	dialects []string // in which the key has a line, nil for all
}{
	{"log", false, []string{"container"}},    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/firelens-taskdef.html, Docker's json-file
	{"log_processed", true, nil},             // https://docs.fluentbit.io/manual/data-pipeline/filters/kubernetes (Merge_Log_Key)
	{"@message", true, []string{"insights"}}, // https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html
	{"short_message", false, nil},            // https://archivedocs.graylog.org/en/latest/pages/gelf.html, Docker's gelf
	{"MESSAGE", false, nil},                  // https://www.freedesktop.org/software/systemd/man/latest/systemd.journal-fields.html
	{"message", false, []string{"cloudwatch_event", "vector"}},
}

// maxWraps is how many times a line can be wrapped.
const maxWraps = 2

// noteWrapper records a value that can be an inner line: text or, if the shipper decodes it,
// an object.
func (x *extractor) noteWrapper(n *node) {
	kind := x.line.kind()
	if w := n.wrapper - 1; kind&schema.AnyString != 0 || kind == schema.ObjectValue && wrappers[w].object {
		x.inner[w] = x.line.at
	}
}

// unwrap reads the line inside the current one, if it has JSON.
func (x *extractor) unwrap(depth int) {
	candidates, outer := x.inner, x.line
	x.inner = [len(wrappers)]int{}
	if depth == maxWraps || candidates == x.inner {
		return
	}
	d := x.dialect()
	for w, at := range candidates {
		if at > 0 && x.mayWrap(w, d) && x.readInner(w, at, depth) {
			x.unwrap(depth + 1)
			break
		}
		x.line = outer
	}
	x.line = outer
}

// mayWrap reports whether the value of a wrapper can be a line, in the dialect of the outer
// one. The key log can be one in any line that has no field itself.
func (x *extractor) mayWrap(w int, d *schema.Dialect) bool {
	if wrappers[w].dialects == nil || x.isIn(wrappers[w].dialects, d) {
		return true
	}
	if wrappers[w].key != "log" {
		return false
	}
	for i := range x.found {
		if x.found[i].rank > 0 && x.found[i].rank < outerRank {
			return false
		}
	}
	return true
}

// readInner reads an inner line that begins at a place of the outer one. It reports whether it
// has its own JSON.
func (x *extractor) readInner(w, at, depth int) (read bool) {
	x.line.at = at
	isObject := x.line.accept('{')
	if !isObject {
		v, how, ok := x.scalar()
		if !ok || how != schema.Fits || bytes.IndexByte(v.Text, '{') < 0 {
			return false
		}
		x.texts[depth] = append(x.texts[depth][:0], v.Text...) // inner values overwrite it
		x.line = line{text: x.texts[depth]}
	}
	for i := range x.found {
		if x.found[i].rank > 0 {
			x.found[i].rank += outerRank
		}
	}
	if x.level >= 0 {
		x.found[x.level].unfit = schema.Fits // that of the outer line does not matter
	}
	x.marks, x.metrics, x.isInner = marks{}, 0, true
	if isObject {
		x.complete = x.object(x.root)
		x.readDeferred()
		read = true
	} else {
		read = x.readText()
	}
	for i := range x.found {
		if f := &x.found[i]; read && f.rank > outerRank && f.path >= 0 && x.fields[i].Paths[f.path].Name == wrappers[w].key {
			*f = found{} // it is the inner line, whose own value counts
		}
	}
	return read
}
