package fakedynamodb

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// kind is the type of a value, as it is named in the protocol.
type kind string

const (
	kindS    kind = "S"
	kindN    kind = "N"
	kindB    kind = "B"
	kindBool kind = "BOOL"
	kindNull kind = "NULL"
	kindSS   kind = "SS"
	kindNS   kind = "NS"
	kindBS   kind = "BS"
	kindL    kind = "L"
	kindM    kind = "M"
)

var kinds = []kind{kindS, kindN, kindB, kindBool, kindNull, kindSS, kindNS, kindBS, kindL, kindM}

// isOrdered reports whether values of the kind can be ordered.
func (k kind) isOrdered() bool { return k == kindS || k == kindN || k == kindB }

// isSet reports whether values of the kind are sets.
func (k kind) isSet() bool { return k == kindSS || k == kindNS || k == kindBS }

// value is an attribute value. It is immutable, because items share parts with their earlier
// versions.
type value struct {
	kind kind
	text string // S, and the bytes of B
	num  number
	yes  bool
	list []value // L, and the sorted elements of a set
	m    item
}

// item maps names to attributes. A value of kind M has one, too.
type item map[string]value

// UnmarshalJSON parses a value and checks it.
func (v *value) UnmarshalJSON(raw []byte) error {
	// The most common forms do not need the decoder.
	if len(raw) >= 8 && raw[0] == '{' && (raw[2] == 'S' || raw[2] == 'N') && string(raw[3:6]) == `":"` {
		if text := raw[6 : len(raw)-2]; !bytes.ContainsAny(text, `"\`) {
			*v = value{kind: kind(raw[2:3]), text: string(text)}
			return v.normalize()
		}
	}
	var in struct {
		S, N       *string
		B          *[]byte
		BOOL, NULL *bool
		SS, NS     *[]string
		BS         *[][]byte
		L          *[]value
		M          *item
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	var found []value
	add := func(k kind, v value) {
		v.kind = k
		found = append(found, v)
	}
	if in.S != nil {
		add(kindS, value{text: *in.S})
	}
	if in.N != nil {
		add(kindN, value{text: *in.N})
	}
	if in.B != nil {
		add(kindB, value{text: string(*in.B)})
	}
	if in.BOOL != nil {
		add(kindBool, value{yes: *in.BOOL})
	}
	if in.NULL != nil {
		add(kindNull, value{yes: *in.NULL})
	}
	if in.SS != nil {
		add(kindSS, value{list: elements(kindS, *in.SS)})
	}
	if in.NS != nil {
		add(kindNS, value{list: elements(kindN, *in.NS)})
	}
	if in.BS != nil {
		add(kindBS, value{list: elements(kindB, *in.BS)})
	}
	if in.L != nil {
		add(kindL, value{list: *in.L})
	}
	if in.M != nil {
		add(kindM, value{m: *in.M})
	}
	switch len(found) {
	case 0:
		return invalidf("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	case 1:
		*v = found[0]
		return v.normalize()
	}
	return invalidf("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
}

func elements[T string | []byte](k kind, texts []T) []value {
	list := make([]value, len(texts))
	for i, text := range texts {
		list[i] = value{kind: k, text: string(text)}
	}
	return list
}

// normalize converts a parsed value to its canonical form.
func (v *value) normalize() error {
	switch {
	case v.kind == kindN:
		n, err := parseNumber(v.text)
		*v = numberValue(n)
		return err
	case v.kind == kindNull && !v.yes:
		return invalidf("One or more parameter values were invalid: Null attribute value types must have the value of true")
	case v.kind == kindM:
		if _, empty := v.m[""]; empty {
			return invalidf("Empty attribute name")
		}
	case v.kind.isSet():
		if len(v.list) == 0 {
			return invalidf("One or more parameter values were invalid: An %s set may not be empty", v.kind)
		}
		for i := range v.list {
			if err := v.list[i].normalize(); err != nil {
				return err
			}
		}
		slices.SortFunc(v.list, value.compare)
		if len(slices.CompactFunc(slices.Clone(v.list), value.equal)) < len(v.list) {
			return invalidf("One or more parameter values were invalid: Input collection contains duplicates")
		}
	}
	return nil
}

func numberValue(n number) value { return value{kind: kindN, num: n} }

// compare orders two values of the same ordered kind.
func (v value) compare(o value) int {
	if v.kind == kindN {
		return v.num.compare(o.num)
	}
	return strings.Compare(v.text, o.text)
}

func (v value) equal(o value) bool {
	return v.kind == o.kind && v.text == o.text && v.num == o.num && v.yes == o.yes &&
		slices.EqualFunc(v.list, o.list, value.equal) && maps.EqualFunc(v.m, o.m, value.equal)
}

// MarshalJSON writes the attributes sorted by name.
func (it item) MarshalJSON() ([]byte, error) { return it.appendJSON(nil), nil }

func (it item) appendJSON(b []byte) []byte {
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(it)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, name), ':')
		b = it[name].appendJSON(b)
	}
	return append(b, '}')
}

func (v value) appendJSON(b []byte) []byte {
	b = append(b, `{"`...)
	b = append(b, v.kind...)
	b = append(b, `":`...)
	switch v.kind {
	case kindBool, kindNull:
		if v.yes {
			b = append(b, "true"...)
		} else {
			b = append(b, "false"...)
		}
	case kindM:
		b = v.m.appendJSON(b)
	case kindL, kindSS, kindNS, kindBS:
		b = append(b, '[')
		for i, e := range v.list {
			if i > 0 {
				b = append(b, ',')
			}
			if v.kind == kindL {
				b = e.appendJSON(b)
			} else {
				b = e.appendScalar(b)
			}
		}
		b = append(b, ']')
	default:
		b = v.appendScalar(b)
	}
	return append(b, '}')
}

// appendScalar appends an S, N or B without its kind.
func (v value) appendScalar(b []byte) []byte {
	switch v.kind {
	case kindN:
		return append(append(append(b, '"'), v.num.String()...), '"')
	case kindB:
		return append(base64.StdEncoding.AppendEncode(append(b, '"'), []byte(v.text)), '"')
	}
	return appendText(b, v.text)
}

func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(text) // cannot fail for a string
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

// size returns the size of an item for limits and capacity. See
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
func (it item) size() int {
	n := 0
	for name, v := range it {
		n += len(name) + v.size()
	}
	return n
}

func (v value) size() int {
	switch v.kind {
	case kindN:
		return v.num.size()
	case kindBool, kindNull:
		return 1
	case kindM:
		return 3 + len(v.m) + v.m.size()
	}
	n := len(v.text)
	for _, e := range v.list {
		n += e.size()
	}
	if v.kind == kindL {
		n += 3 + len(v.list)
	}
	return n
}

// sdk returns the item as the SDK's type.
func (it item) sdk() map[string]types.AttributeValue {
	if it == nil {
		return nil
	}
	m := make(map[string]types.AttributeValue, len(it))
	for name, v := range it {
		m[name] = v.sdk()
	}
	return m
}

func (v value) sdk() types.AttributeValue {
	switch v.kind {
	case kindS:
		return &types.AttributeValueMemberS{Value: v.text}
	case kindN:
		return &types.AttributeValueMemberN{Value: v.num.String()}
	case kindB:
		return &types.AttributeValueMemberB{Value: []byte(v.text)}
	case kindBool:
		return &types.AttributeValueMemberBOOL{Value: v.yes}
	case kindNull:
		return &types.AttributeValueMemberNULL{Value: true}
	case kindM:
		return &types.AttributeValueMemberM{Value: v.m.sdk()}
	case kindL:
		list := make([]types.AttributeValue, len(v.list))
		for i, e := range v.list {
			list[i] = e.sdk()
		}
		return &types.AttributeValueMemberL{Value: list}
	case kindBS:
		list := make([][]byte, len(v.list))
		for i, e := range v.list {
			list[i] = []byte(e.text)
		}
		return &types.AttributeValueMemberBS{Value: list}
	}
	list := make([]string, len(v.list))
	for i, e := range v.list {
		if list[i] = e.text; e.kind == kindN {
			list[i] = e.num.String()
		}
	}
	if v.kind == kindNS {
		return &types.AttributeValueMemberNS{Value: list}
	}
	return &types.AttributeValueMemberSS{Value: list}
}
