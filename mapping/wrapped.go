package mapping

import (
	"bytes"

	"logsluice/mapping/schema"
)

// Log shippers put a line into an object of their own: as a string under one of these keys,
// or as the object that they decoded. Its fields are those of the inner line, and of the outer
// one only what the inner one lacks.
var wrappers = []struct {
	key      string
	object   bool     // whether the line can be an object that the shipper decoded
	dialects []string // in which the key has a line, nil for all
}{
	{"log", false, nil},           // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/firelens-taskdef.html, Docker's json-file
	{"log_processed", true, nil},  // https://docs.fluentbit.io/manual/data-pipeline/filters/kubernetes (Merge_Log_Key)
	{"@message", true, nil},       // https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html
	{"short_message", false, nil}, // https://archivedocs.graylog.org/en/latest/pages/gelf.html, Docker's gelf
	{"MESSAGE", false, nil},       // https://www.freedesktop.org/software/systemd/man/latest/systemd.journal-fields.html
	{"message", false, []string{"cloudwatch_event", "vector"}},
}

// maxWraps is how many times a line can be wrapped.
const maxWraps = 2

// outerRank is added to the ranks of values of an outer line.
const outerRank = 1 << 24

// wrapped is an inner line that was noticed.
type wrapped struct {
	at      int // where its value begins, 0 if no line was noticed
	wrapper int // its key, in wrappers
}

// noteWrapper records a value that can be an inner line: text or, if the shipper decodes it,
// an object.
func (x *extractor) noteWrapper(n *node) {
	kind := x.line.kind()
	if w := &wrappers[n.wrapper-1]; kind&schema.AnyString != 0 || kind == schema.ObjectValue && w.object {
		x.inner = wrapped{x.line.at, n.wrapper - 1}
	}
}

// unwrap reads the line inside the current one, if it has JSON.
func (x *extractor) unwrap(depth int) {
	inner, outer := x.inner, x.line
	x.inner = wrapped{}
	if inner.at == 0 || depth == maxWraps {
		return
	}
	w := &wrappers[inner.wrapper]
	if w.dialects != nil && !x.isIn(w.dialects, x.dialect()) {
		return
	}
	x.line.at = inner.at
	isObject := x.line.accept('{')
	if !isObject {
		v, how, ok := x.scalar()
		// Without a brace it has no JSON. The text is copied, because inner values overwrite it.
		if !ok || how != schema.Fits || bytes.IndexByte(v.Text, '{') < 0 {
			x.line = outer
			return
		}
		x.texts[depth] = append(x.texts[depth][:0], v.Text...)
		x.line = line{text: x.texts[depth]}
	}
	for i := range x.found {
		if x.found[i].rank > 0 {
			x.found[i].rank += outerRank
		}
	}
	x.marks, x.metrics = marks{}, 0
	var read bool
	if isObject {
		read = x.object(x.root)
		x.readDeferred()
	} else {
		read = x.readText()
	}
	for i := range x.found {
		f := &x.found[i]
		switch {
		case f.rank > outerRank && f.path >= 0 && x.fields[i].Paths[f.path].Name == w.key && read:
			*f = found{} // it is the inner line, whose own value counts
		case f.rank > 0 && f.rank < outerRank:
			f.path = -1 // not a path of the outer line
		}
	}
	if x.inner.at > 0 {
		x.unwrap(depth + 1)
	}
	x.line = outer
}
