package schema

import (
	"embed"
	"fmt"
	"math"
	"regexp"
	"strings"

	"logsluice/subscription"
)

// Schema defines what documents contain: their fields in addition to the time and the
// line, the sources of these, and which events are dropped. The encoder, the index
// template, the fields of Dashboards and the table of fields are made from it, so that they
// cannot diverge.
type Schema struct {
	Name string
	// Version is informative and is part of the index template.
	Version int
	Fields  []Field
	// Message is the type of the field of the line: LightText or FullText.
	Message string
	Rest    Rest
	// RestFields limits the fields that OpenSearch may create in an index for the rest.
	RestFields int
	Rules      []Rule
	// Hash identifies the file without the roles of its fields.
	Hash   string
	source []byte // the file
}

// Source returns the YAML of the schema.
func (s *Schema) Source() []byte { return s.source }

// Field is one field of the documents.
type Field struct {
	// Name is the name in documents. A dot leads into an object.
	Name string
	// Type is the OpenSearch type. Options are further parameters of the mapping.
	Type    string
	Options map[string]any
	// Meaning describes the content in a phrase.
	Meaning string
	// Role is the role for dashboards, if the file has one. See InRole.
	Role Role
	// As is what values mean.
	As Meaning
	// Kind is how values are read.
	Kind Kind
	// Origin is the source of values.
	Origin Origin
	// Pattern, unless it is nil, extracts the value from the name of its origin, as its
	// first group.
	Pattern *regexp.Regexp
	// Constant is the value of a field that is the same in all documents.
	Constant subscription.Text
	// Paths lead to the value in the line's JSON. The first one with a value counts.
	Paths []Path
	// Limit is the maximum number of characters of text.
	Limit int
	// Unit is the unit of a duration, otherwise NoUnit.
	Unit Unit

	lowercase bool
	until     string // characters at which the text ends
	values    map[string]string
	formats   []dateFormat
	plausible bool // dates are from 1970 to 2100
	whole     bool // a duration without a fraction
	least     int64
	most      int64
	unsigned  bool
	largest   float64
}

// Path locates a value in a line's JSON.
type Path struct {
	Name string
	Unit Unit // unit of a duration at this path
	// Dialects are those in whose lines the path counts, or nil if it counts in all.
	Dialects []string
	// Multiline reports whether only text of several lines counts.
	Multiline bool
}

// Origin is the source of a field's values.
type Origin string

// Origins.
const (
	FromJSON    Origin = "json"
	FromValue   Origin = "value" // a constant
	FromGroup   Origin = "log_group"
	FromStream  Origin = "log_stream"
	FromOwner   Origin = "owner"
	FromAccount Origin = "account" // @aws.account of the event
	FromRegion  Origin = "region"  // @aws.region of the event
)

// Rest is how the parts of a line's JSON that are not fields are indexed.
type Rest string

const (
	// RestNone does not index them separately. They are found by the words of the line.
	RestNone Rest = "none"
	// RestFlat indexes them as one field of the type flat_object: each value can be found
	// by its path, as text.
	// See https://docs.opensearch.org/latest/field-types/supported-field-types/flat-object/.
	RestFlat Rest = "flat_object"
	// RestDynamic lets OpenSearch create a field for each key, up to a limit.
	RestDynamic Rest = "dynamic"
)

// Kind is how values of a type are read.
type Kind uint8

// Kinds.
const (
	TextKind Kind = iota
	IntegerKind
	FloatKind
	DurationKind
	BooleanKind
	DateKind
	IPKind
)

// MaxKeyword is the default limit of a keyword's characters: names in CloudWatch have at
// most 512, and longer values are not names. MaxTerm is the maximum size in bytes of a
// term in Lucene: OpenSearch refuses documents with longer ones.
const (
	MaxKeyword = 1024
	MaxTerm    = 32766
)

// LightText is text without positions and frequencies, which takes less disk space and
// CPU time. OpenSearch supports it since 2.12. FullText has both.
const (
	LightText = "match_only_text"
	FullText  = "text"
)

// IsFullText reports whether fields of an OpenSearch type are searched by words.
func IsFullText(t string) bool { return t == LightText || t == FullText }

// types are the OpenSearch types that a field may have.
// See https://docs.opensearch.org/latest/field-types/supported-field-types/index/.
var types = map[string]struct {
	kind    Kind
	limit   int // the default, and the maximum for a keyword
	integer [2]int64
	largest float64
}{
	"keyword":         {kind: TextKind, limit: MaxKeyword},
	"text":            {kind: TextKind, limit: MaxTerm},
	"match_only_text": {kind: TextKind, limit: MaxTerm},
	"long":            {kind: IntegerKind, integer: [2]int64{math.MinInt64, math.MaxInt64}},
	"unsigned_long":   {kind: IntegerKind, integer: [2]int64{0, math.MaxInt64}},
	"integer":         {kind: IntegerKind, integer: [2]int64{math.MinInt32, math.MaxInt32}},
	"short":           {kind: IntegerKind, integer: [2]int64{math.MinInt16, math.MaxInt16}},
	"byte":            {kind: IntegerKind, integer: [2]int64{math.MinInt8, math.MaxInt8}},
	"double":          {kind: FloatKind, largest: math.MaxFloat64},
	"float":           {kind: FloatKind, largest: math.MaxFloat32},
	"half_float":      {kind: FloatKind, largest: 65504},
	"scaled_float":    {kind: FloatKind, largest: math.MaxInt64},
	"boolean":         {kind: BooleanKind},
	"date":            {kind: DateKind},
	"ip":              {kind: IPKind},
}

// KindOf returns how values of an OpenSearch type are read, and whether fields may have
// the type.
func KindOf(t string) (Kind, bool) {
	known, isKnown := types[t]
	return known.kind, isKnown
}

// Fields that every document can have, whatever the schema.
const (
	TimeField    = "@timestamp"
	MessageField = "message"
	RefusedField = "refused" // of documents indexed as text only
	RestField    = "json"
)

// reserved are fields that documents can have without being in a schema.
var reserved = []string{TimeField, MessageField, RefusedField, RestField}

//go:embed schemas/*.yaml
var builtIn embed.FS

// Default is the name of the default built-in schema.
const Default = "default"

// BuiltIn returns a built-in schema: default, plain or ecs.
func BuiltIn(name string) (*Schema, error) {
	data, err := builtIn.ReadFile("schemas/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("the built-in schema %q does not exist: use one of %s", name, strings.Join(BuiltIns(), ", "))
	}
	return Parse(data)
}

// BuiltIns returns the names of the built-in schemas.
func BuiltIns() []string { return []string{Default, "plain", "ecs"} }
