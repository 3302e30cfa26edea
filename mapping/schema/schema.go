package schema

import (
	"embed"
	"fmt"
	"math"
	"regexp"
	"strings"

	"logsluice/subscription"
)

// Schema is the one definition of what documents look like: the fields they have
// next to the time and the line, where these come from, and which events become no
// document. The encoder, the index template, the field list for Dashboards and the
// table for people are made from it, so that they cannot drift apart.
type Schema struct {
	Name string
	// Version is for people, and stands in the index template.
	Version int
	Fields  []Field
	// Message is the type of the line: LightText or FullText.
	Message string
	Rest    Rest
	// RestFields bounds the fields that the rest adds to an index, if OpenSearch makes them.
	RestFields int
	Rules      []Rule
	// Hash identifies the file, apart from the roles of its fields.
	Hash   string
	source []byte // the file
}

// Source returns the YAML that the schema was read from.
func (s *Schema) Source() []byte { return s.source }

// Field is one field of the documents.
type Field struct {
	// Name is its name in the document; a dot leads into an object.
	Name string
	// Type is its OpenSearch type, and Options are further parameters of its mapping.
	Type    string
	Options map[string]any
	// Meaning is one phrase on what it holds, for people.
	Meaning string
	// Role is what it is to the dashboards, if the file states that; see InRole.
	Role Role
	// Kind is how its values are read.
	Kind Kind
	// Origin is where they come from.
	Origin Origin
	// Pattern, if it is not nil, finds the value in the name that it comes from, as its
	// first group.
	Pattern *regexp.Regexp
	// Constant is the value of a field that is the same in all documents.
	Constant subscription.Text
	// Paths lead to the value in the line's JSON; the first that has one counts.
	Paths []Path
	// Limit is how many characters a text may have.
	Limit int
	// Unit is that of a duration, otherwise NoUnit.
	Unit Unit

	lowercase bool
	until     string // signs at which the text ends
	values    map[string]string
	formats   []dateFormat
	whole     bool // a duration without a fraction
	least     int64
	most      int64
	unsigned  bool
	largest   float64
}

// Path is where a value may stand in the JSON of a line.
type Path struct {
	Name string
	Unit Unit // of a duration there
}

// Origin is where a value comes from.
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

// Rest is what becomes of a line's JSON that no field of the schema takes.
type Rest string

const (
	// RestNone leaves it in the line alone, where it is found by its words.
	RestNone Rest = "none"
	// RestFlat keeps it as one field of the type flat_object: each value is found
	// under its path, as text. See
	// https://docs.opensearch.org/latest/field-types/supported-field-types/flat-object/.
	RestFlat Rest = "flat_object"
	// RestDynamic has OpenSearch make a field of each key, up to a bound.
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

// MaxKeyword is the usual limit of a keyword's characters: CloudWatch's names end
// at 512, and longer values are not names. MaxTerm is what Lucene takes as a term, in
// bytes: OpenSearch refuses the document for more.
const (
	MaxKeyword = 1024
	MaxTerm    = 32766
)

// LightText is text without positions and frequencies, which takes less of disk and
// CPU; OpenSearch has it since 2.12. FullText has both.
const (
	LightText = "match_only_text"
	FullText  = "text"
)

// IsFullText reports whether fields of an OpenSearch type are searched by their words.
func IsFullText(t string) bool { return t == LightText || t == FullText }

// types are the OpenSearch types that a field may have.
// See https://docs.opensearch.org/latest/field-types/supported-field-types/index/.
var types = map[string]struct {
	kind    Kind
	limit   int // usual, and most for a keyword
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

// KindOf returns how values of an OpenSearch type are read, and whether a field may
// have the type.
func KindOf(t string) (Kind, bool) {
	known, isKnown := types[t]
	return known.kind, isKnown
}

// Fields that every document can have, whatever the schema.
const (
	TimeField    = "@timestamp"
	MessageField = "message"
	RefusedField = "refused" // of a document that is there as text only
	RestField    = "json"
)

// reserved are the fields that documents have without their being in a schema.
var reserved = []string{TimeField, MessageField, RefusedField, RestField}

//go:embed schemas/*.yaml
var builtIn embed.FS

// Default is the name of the built-in schema that is usual.
const Default = "default"

// BuiltIn returns a schema that comes with the program: default, plain or ecs.
func BuiltIn(name string) (*Schema, error) {
	data, err := builtIn.ReadFile("schemas/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("there is no built-in schema %q: give one of %s", name, strings.Join(BuiltIns(), ", "))
	}
	return Parse(data)
}

// BuiltIns returns the names of the schemas that come with the program.
func BuiltIns() []string { return []string{Default, "plain", "ecs"} }
