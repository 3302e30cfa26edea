package fakedynamodb

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"regexp"
	"slices"
	"sort"
	"time"
)

// attribute is a key attribute of a table, with its kind.
type attribute struct {
	name string
	kind kind
}

// table stores rows sorted by key.
type table struct {
	name        string
	key         []attribute // the hash key, and a range key if the table has one
	description createTableInput
	created     time.Time
	rows        []*row
}

// row is an item with its sort key.
type row struct {
	position uint64 // hash of the hash key
	key      []value
	item     item
}

const (
	maxItem = 400 << 10
	arn     = "arn:aws:dynamodb:us-east-1:000000000000:table/"
)

var tableName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`)

// table returns the table of a request.
func (d *DynamoDB) table(name string) (*table, error) {
	if t := d.tables[name]; t != nil {
		return t, nil
	}
	if !tableName.MatchString(name) {
		return nil, invalidf("Invalid table/index name.  Table/index names must be between 3 and 255 characters long, and may contain only the characters a-z, A-Z, 0-9, '_', '-', and '.'")
	}
	return nil, failf(codeNotFound, "Requested resource not found")
}

// positionOf returns the position of a hash key. It stands for the service's hash function.
func positionOf(v value) uint64 {
	sum := sha256.Sum256(v.appendScalar(nil))
	return binary.BigEndian.Uint64(sum[:])
}

func (r *row) compare(o *row) int {
	if c := cmp.Compare(r.position, o.position); c != 0 {
		return c
	}
	return slices.CompareFunc(r.key, o.key, value.compare)
}

// rowOf returns the row for an item, which must have the table's key.
func (t *table) rowOf(it item) (*row, error) {
	r := &row{item: it}
	for _, a := range t.key {
		v, ok := it[a.name]
		switch {
		case !ok:
			return nil, invalidf("One or more parameter values were invalid: Missing the key %s in the item", a.name)
		case v.kind != a.kind:
			return nil, invalidf("One or more parameter values were invalid: Type mismatch for key %s expected: %s actual: %s", a.name, a.kind, v.kind)
		case v.kind != kindN && v.text == "":
			return nil, invalidf("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", a.name)
		}
		r.key = append(r.key, v)
	}
	r.position = positionOf(r.key[0])
	return r, nil
}

// rowOfKey returns the row for a key, which must have no other attributes.
func (t *table) rowOfKey(key item) (*row, error) {
	if len(key) != len(t.key) {
		return nil, invalidf("The provided key element does not match the schema")
	}
	return t.rowOf(key)
}

// keyOf returns an item's key.
func (t *table) keyOf(r *row) item {
	key := make(item, len(t.key))
	for i, a := range t.key {
		key[a.name] = r.key[i]
	}
	return key
}

// isKey reports whether an attribute is part of the key.
func (t *table) isKey(name string) bool {
	return slices.ContainsFunc(t.key, func(a attribute) bool { return a.name == name })
}

// scalarKeys returns an error for a path into a key attribute, which has no parts.
func (t *table) scalarKeys(paths []path) error {
	for _, p := range paths {
		if len(p) > 1 && t.isKey(p[0].name) {
			return invalidf("Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: %s", p[0].name)
		}
	}
	return nil
}

// find returns the index of a row, and the item there, nil if it does not exist.
func (t *table) find(r *row) (int, item) {
	i := sort.Search(len(t.rows), func(i int) bool { return t.rows[i].compare(r) >= 0 })
	if i < len(t.rows) && t.rows[i].compare(r) == 0 {
		return i, t.rows[i].item
	}
	return i, nil
}

// store writes an item, or deletes it if it is nil, at the index of a row.
func (d *DynamoDB) store(t *table, r *row, it item) {
	i, before := t.find(r)
	switch {
	case it != nil && before != nil:
		t.rows[i].item = it
	case it != nil:
		t.rows = slices.Insert(t.rows, i, &row{r.position, r.key, it})
	case before != nil:
		t.rows = slices.Delete(t.rows, i, i+1)
	}
	if d.options.Changed != nil && (before != nil || it != nil) {
		d.options.Changed(t.name, before.sdk(), it.sdk())
	}
}

// checkKeyUnchanged returns an error for an update of the key.
func (t *table) checkKeyUnchanged(update *bound) error {
	if update == nil {
		return nil
	}
	for _, a := range update.actions {
		if name := a.path.named(update.ExpressionAttributeNames)[0].name; t.isKey(name) {
			return invalidf("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", name)
		}
	}
	return nil
}

// applyUpdate returns the item after an update. It fails if the item exceeds the service's limits.
func (t *table) applyUpdate(r *row, before item, update *bound) (item, error) {
	if before == nil {
		before = t.keyOf(r)
	}
	after, err := update.apply(before)
	if err != nil {
		return nil, err
	}
	return after, tooLarge(after)
}
