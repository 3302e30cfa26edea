package subscription

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// An id is trusted as an identity when it is a string of at least as many
// digits as CloudWatch's, which have 56: emulators count from 0.
const (
	minTrusted = 32
	maxTrusted = 128
)

// identify settles the identity of each event. It runs when the whole envelope
// is read, as the origin may come last.
func (e *Envelope) identify() {
	var seen map[[sha256.Size]byte]uint64
	for i := range e.Events {
		ev := &e.Events[i]
		if id := ev.ID; trusted(id) {
			ev.ID = id[1 : len(id)-1]
			continue
		}
		// Which occurrence of the same event this is belongs to its identity:
		// the same line can be logged twice in a millisecond.
		if seen == nil {
			seen = make(map[[sha256.Size]byte]uint64)
		}
		what := e.digest(ev)
		ev.ID = identity(what, seen[what])
		seen[what]++
	}
}

// trusted tells whether an id, as the string literal it came in, is CloudWatch's.
func trusted(id []byte) bool {
	if len(id) < minTrusted+2 || len(id) > maxTrusted+2 {
		return false
	}
	for _, c := range id[1 : len(id)-1] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// digest is the hash of what an event is. Canonical literals end by
// themselves, so that no two different events are spelled alike.
func (e *Envelope) digest(ev *Event) (sum [sha256.Size]byte) {
	hash := sha256.New()
	for _, text := range []Text{e.Owner, e.LogGroup, e.LogStream, ev.Message} {
		hash.Write(text)
	}
	hash.Write(binary.BigEndian.AppendUint64(nil, uint64(ev.Timestamp))) //nolint:gosec // its bits
	hash.Sum(sum[:0])
	return sum
}

// identity is 128 bits of hash over an event and its occurrence, in hexadecimal.
func identity(what [sha256.Size]byte, occurrence uint64) []byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(what[:], occurrence))
	return hex.AppendEncode(nil, sum[:16])
}
