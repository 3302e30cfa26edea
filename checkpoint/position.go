package checkpoint

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Position is where the reading of a shard without a checkpoint begins.
type Position struct {
	kind string
	time time.Time // for AT_TIMESTAMP, millisecond precision
}

// Kinds of positions, as Kinesis names them.
const (
	trimHorizon = "TRIM_HORIZON"
	latest      = "LATEST"
	atTimestamp = "AT_TIMESTAMP"
)

// Attributes that hold a position: that of the first start, or that of one shard which must
// be read from a different one.
const (
	attrStartPosition  = "StartPosition"  // TRIM_HORIZON or AT_TIMESTAMP
	attrStartTimestamp = "StartTimestamp" // for AT_TIMESTAMP: milliseconds since the Unix epoch
)

// readPosition returns the position that an item holds.
func readPosition(it item) (Position, error) {
	switch kind := text(it[attrStartPosition]); kind {
	case trimHorizon:
		return Position{kind: kind}, nil
	case atTimestamp:
		milliseconds, err := strconv.ParseInt(text(it[attrStartTimestamp]), 10, 64)
		if err != nil {
			return Position{}, fmt.Errorf("it has no valid %s", attrStartTimestamp)
		}
		return Position{kind: kind, time: time.UnixMilli(milliseconds)}, nil
	default:
		return Position{}, fmt.Errorf("its %s %q is not a position", attrStartPosition, kind)
	}
}

// ParsePosition parses TRIM_HORIZON (the oldest record that Kinesis keeps), LATEST (the time
// of the application's first start) or an RFC 3339 time.
func ParsePosition(s string) (Position, error) {
	switch kind := strings.ToUpper(strings.ReplaceAll(s, "-", "_")); kind {
	case trimHorizon, latest:
		return Position{kind: kind}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return Position{}, errors.New("is not a position: use TRIM_HORIZON, LATEST or a time such as 2026-01-31T09:00:00Z")
	}
	return Position{kind: atTimestamp, time: t}, nil
}

// Timestamp returns the time from which to read. ok is false when reading starts at the
// oldest record.
func (p Position) Timestamp() (t time.Time, ok bool) { return p.time, p.kind == atTimestamp }

// isOtherThan reports whether p, the configured position, differs from that of the first
// start. LATEST is stored as the time of that start.
func (p Position) isOtherThan(first Position) bool {
	switch p.kind {
	case "":
		return false
	case latest:
		return first.kind != atTimestamp
	}
	return p.kind != first.kind || p.time.UnixMilli() != first.time.UnixMilli()
}

func (p Position) String() string {
	if p.kind == atTimestamp {
		return p.kind + " " + p.time.UTC().Format(time.RFC3339Nano)
	}
	return p.kind
}
