package schema

import (
	_ "embed"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// Dialect is the meaning of units and levels in the lines of an emitter. dialects.yaml documents the members.
type Dialect struct {
	Name  string
	Has   []map[string]ValueKind
	Lacks []string
	// Unit is the unit of durations without their own, or NoUnit if it is not known.
	Unit Unit
	// Whole reports whether only whole numbers are in Unit, of at least Least: a smaller one is
	// more likely in another unit.
	Whole bool
	Least int
	// Level is the level of lines without one, or "".
	Level string
	// Metrics is the path of an object that states the units of other keys, as that of the
	// CloudWatch embedded metric format, or "".
	Metrics string

	levels map[int]string
}

// RequestDialect stands for all lines with the method or the status of an HTTP request.
const RequestDialect = "request"

// ValueKind is a set of kinds of JSON values.
type ValueKind uint16

// Kinds of JSON values. A string is Lower or Upper by its first letter.
const (
	LowerString ValueKind = 1 << iota
	UpperString
	OtherString
	NumberValue
	BoolValue
	ObjectValue
	ArrayValue
	SecondsValue // a number of 10 digits, as seconds since 1970 have
	DigitsString // of 50 digits or more, as the ids of events have
	MillisValue  // a number of 13 digits, as milliseconds since 1970 have
	AnyString    = LowerString | UpperString | OtherString
	AnyValue     = AnyString | NumberValue | BoolValue | ObjectValue | ArrayValue
)

var valueKinds = map[string]ValueKind{
	"lower": LowerString, "upper": UpperString, "other": OtherString, "string": AnyString, "number": NumberValue, "digits": DigitsString, "seconds": SecondsValue, "millis": MillisValue, "bool": BoolValue, "object": ObjectValue, "array": ArrayValue, "any": AnyValue,
}

//go:embed dialects.yaml
var dialectFile []byte

// Dialects returns the dialects, the most specific first. They must not be changed.
var Dialects = sync.OnceValues(func() ([]Dialect, error) { return parseDialects(dialectFile) })

func parseDialects(data []byte) ([]Dialect, error) {
	var file yaml.Node
	if err := yaml.Unmarshal(data, &file); err != nil || len(file.Content) == 0 {
		return nil, errors.Join(errors.New("the dialects are not YAML"), err)
	}
	var list []Dialect
	err := elements(file.Content[0], func(n *yaml.Node) error {
		d := Dialect{levels: map[int]string{}}
		err := members(n, "a dialect", map[string]func(*yaml.Node) error{
			"name":    func(n *yaml.Node) (err error) { d.Name, err = stringOf(n); return err },
			"has":     func(n *yaml.Node) error { return elements(n, d.readHas) },
			"lacks":   func(n *yaml.Node) (err error) { d.Lacks, err = stringsOf(n); return err },
			"unit":    func(n *yaml.Node) (err error) { d.Unit, err = oneUnit(n); return err },
			"least":   func(n *yaml.Node) (err error) { d.Least, err = number(n, math.MaxInt32); return err },
			"whole":   func(n *yaml.Node) (err error) { d.Whole, err = boolOf(n); return err },
			"level":   func(n *yaml.Node) (err error) { d.Level, err = stringOf(n); return err },
			"metrics": func(n *yaml.Node) (err error) { d.Metrics, err = stringOf(n); return err },
			"levels":  func(n *yaml.Node) error { return n.Decode(&d.levels) },
		})
		list = append(list, d)
		return err
	})
	return list, err
}

func (d *Dialect) readHas(n *yaml.Node) error {
	var keys map[string]string
	if err := n.Decode(&keys); err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	has := map[string]ValueKind{}
	for key, kind := range keys {
		if has[key] = valueKinds[kind]; has[key] == 0 {
			return failure(n, "%q is not a kind of value", kind)
		}
	}
	d.Has = append(d.Has, has)
	return nil
}

// checkDialect returns an error unless a dialect exists.
func checkDialect(n *yaml.Node, name string) error {
	list, err := Dialects()
	if err != nil {
		return err
	}
	names := []string{RequestDialect}
	for _, d := range list {
		names = append(names, d.Name)
	}
	if !slices.Contains(names, name) {
		slices.Sort(names)
		return failure(n, "the dialect %q does not exist: use one of %s", name, `"`+strings.Join(names, `", "`)+`"`)
	}
	return nil
}

// mostDuration is the maximum of a duration whose unit is the dialect's. A larger number is
// more likely in another unit.
const mostDuration = 7 * 24 * 3600 * Seconds

// unitOf returns the unit of a number in the dialect, or NoUnit if it is not known.
func (d *Dialect) unitOf(number []byte) Unit {
	if d == nil || d.Unit == NoUnit {
		return NoUnit
	}
	n, ok := toNanoseconds(number, d.Unit)
	if !ok || n > int64(mostDuration) {
		return NoUnit
	}
	if whole, isWhole := integer(number); d.Whole && (!isWhole || whole < int64(d.Least)) {
		return NoUnit
	}
	return d.Unit
}
