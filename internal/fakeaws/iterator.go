package fakeaws

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"
)

// encoding is of iterators. It is strict so that each has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// iterator is a position in a shard. It is handed out as an opaque text.
type iterator struct {
	Stream, Shard string
	Next          uint64 // sequence number to go on from
	Issued        int64  // milliseconds since the epoch
	Oldest        bool   `json:",omitempty"` // from the oldest record that is kept
	Passed        int    `json:",omitempty"` // answers so far that passed over expired records
}

func (it iterator) text() (string, error) {
	raw, err := json.Marshal(it)
	if err != nil {
		return "", fmt.Errorf("write a shard iterator: %w", err)
	}
	return fmt.Sprintf("%s.%08x", encoding.EncodeToString(raw), crc32.ChecksumIEEE(raw)), nil
}

// parseIterator reads a text; the sum tells a garbled one.
func parseIterator(text string) (it iterator, err error) {
	encoded, sum, _ := strings.Cut(text, ".")
	raw, err := encoding.DecodeString(encoded)
	if err != nil || sum != fmt.Sprintf("%08x", crc32.ChecksumIEEE(raw)) || json.Unmarshal(raw, &it) != nil {
		return iterator{}, failf(codeInvalidArgument, "Invalid ShardIterator.")
	}
	return it, nil
}
