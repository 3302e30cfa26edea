package fakeaws

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"
)

// encoding is the encoding of iterators. It is strict, so each iterator has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// iterator is a position in a shard. Clients get it as opaque text.
type iterator struct {
	Stream, Shard string
	Next          uint64 // sequence number to continue from
	Issued        int64  // milliseconds since the epoch
	Oldest        bool   `json:",omitempty"` // from the oldest record that is kept
	Passed        int    `json:",omitempty"` // number of answers so far that skipped expired records
}

func (it iterator) text() (string, error) {
	raw, err := json.Marshal(it)
	if err != nil {
		return "", fmt.Errorf("write a shard iterator: %w", err)
	}
	return fmt.Sprintf("%s.%08x", encoding.EncodeToString(raw), crc32.ChecksumIEEE(raw)), nil
}

// parseIterator parses the text of an iterator. It fails if the checksum does not match.
func parseIterator(text string) (it iterator, err error) {
	encoded, sum, _ := strings.Cut(text, ".")
	raw, err := encoding.DecodeString(encoded)
	if err != nil || sum != fmt.Sprintf("%08x", crc32.ChecksumIEEE(raw)) || json.Unmarshal(raw, &it) != nil {
		return iterator{}, failf(codeInvalidArgument, "Invalid ShardIterator.")
	}
	return it, nil
}
