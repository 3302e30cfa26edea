package mapping

import (
	"embed"
	"fmt"
	"math"
	"regexp"
	"strings"

	"logsluice/subscription"
)

// Schema is the one definition of what documents look like: the fields they have
// beside the time and the line, where these come from, and which events become no
// document. It yields the encoder, the index template, the field list for
// Dashboards and the table for people.
type Schema struct {
	Name string
	// Version is for people, and stands in the index template.
	Version int
	Fields  []Field
	message string // its type: lightText or fullText
	rest    rest
	most    int // fields that the rest adds to an index, if OpenSearch makes them
	rules   []rule
	source  []byte // the file
	hash    string // of it
}

// Source is the YAML that the schema was read from.
func (s *Schema) Source() []byte { return s.source }

// Field is one field of the documents.
type Field struct {
	// Name is its name in the document; a dot leads into an object.
	Name string
	// Type is its OpenSearch type.
	Type string
	// Meaning is one phrase on what it holds, for people.
	Meaning string

	options map[string]any // of the type, beside what follows
	kind    kind
	origin  origin
	pattern *regexp.Regexp    // whose first group is the value, of the envelope's own
	value   subscription.Text // of a constant
	paths   []path            // in the line's JSON, the first that has a value counts

	limit     int // characters of a text
	lowercase bool
	until     string // signs at which the text ends
	values    map[string]string
	formats   []dateFormat
	unit      unit // of a duration
	whole     bool // a duration without a fraction
	least     int64
	most      int64
	unsigned  bool
	largest   float64
}

// path is where a value may stand in the JSON of a line.
type path struct {
	name string
	unit unit // of a duration there
}

// origin is where a value comes from.
type origin string

const (
	fromJSON    origin = "json"
	fromValue   origin = "value" // a constant
	fromGroup   origin = "log_group"
	fromStream  origin = "log_stream"
	fromOwner   origin = "owner"
	fromAccount origin = "account" // @aws.account of the event
	fromRegion  origin = "region"  // @aws.region of the event
)

// kind is how values of a type are read.
type kind uint8

const (
	ofText kind = iota
	ofInteger
	ofFloat
	ofDuration
	ofBoolean
	ofDate
	ofIP
)

// maxKeyword is the usual limit of a keyword's characters: CloudWatch's names end
// at 512, and longer values are no names. Lucene takes 32,766 bytes as a term, and
// OpenSearch refuses the document for more.
const (
	maxKeyword = 1024
	maxTerm    = 32766
)

// types are the OpenSearch types that a field may have.
// See https://docs.opensearch.org/latest/field-types/supported-field-types/index/.
var types = map[string]struct {
	kind    kind
	limit   int // usual, and most for a keyword
	integer [2]int64
	largest float64
}{
	"keyword":         {kind: ofText, limit: maxKeyword},
	"text":            {kind: ofText, limit: maxTerm},
	"match_only_text": {kind: ofText, limit: maxTerm},
	"long":            {kind: ofInteger, integer: [2]int64{math.MinInt64, math.MaxInt64}},
	"unsigned_long":   {kind: ofInteger, integer: [2]int64{0, math.MaxInt64}},
	"integer":         {kind: ofInteger, integer: [2]int64{math.MinInt32, math.MaxInt32}},
	"short":           {kind: ofInteger, integer: [2]int64{math.MinInt16, math.MaxInt16}},
	"byte":            {kind: ofInteger, integer: [2]int64{math.MinInt8, math.MaxInt8}},
	"double":          {kind: ofFloat, largest: math.MaxFloat64},
	"float":           {kind: ofFloat, largest: math.MaxFloat32},
	"half_float":      {kind: ofFloat, largest: 65504},
	"scaled_float":    {kind: ofFloat, largest: math.MaxInt64},
	"boolean":         {kind: ofBoolean},
	"date":            {kind: ofDate},
	"ip":              {kind: ofIP},
}

// Fields that every schema has.
const (
	timeField    = "@timestamp"
	messageField = "message"
	refusedField = "refused" // of a document that is there as text only
	restField    = "json"
)

// reserved are the fields that documents have without their being in a schema.
var reserved = []string{timeField, messageField, refusedField, restField}

//go:embed schemas/*.yaml
var builtIn embed.FS

// DefaultSchema is the name of the built-in schema that is usual.
const DefaultSchema = "default"

// BuiltIn returns a schema that comes with the program: default, plain or ecs.
func BuiltIn(name string) (*Schema, error) {
	data, err := builtIn.ReadFile("schemas/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("there is no built-in schema %q: give one of %s", name, strings.Join(BuiltIns(), ", "))
	}
	return ParseSchema(data)
}

// BuiltIns are the names of the schemas that come with the program.
func BuiltIns() []string { return []string{DefaultSchema, "plain", "ecs"} }
