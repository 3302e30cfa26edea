package subscription

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"hash"

	"logsluice/internal/jsonscan"
)

// An id is trusted as an identity when it is a string of at least as many
// digits as CloudWatch's, which have 56: emulators count from 0.
const (
	minTrusted = 32
	maxTrusted = 128
)

// occurrences counts the events of an envelope that have no id to be trusted.
type occurrences struct {
	hash   hash.Hash
	origin []byte // the state of hash after the origin of the events
	seen   map[[16]byte]uint32
}

func newOccurrences(e *Envelope) *occurrences {
	o := &occurrences{hash: sha256.New(), seen: make(map[[16]byte]uint32)}
	for _, text := range []Text{e.Owner, e.LogGroup, e.LogStream} {
		o.hash.Write(text)
	}
	o.origin, _ = o.hash.(encoding.BinaryMarshaler).MarshalBinary() // sha256 promises it, and has no error
	return o
}

// identities are those of the events of an input that have no id to be trusted.
type identities struct{ seen map[[16]byte]struct{} }

// maxIdentities bounds how many are remembered, at some 30 bytes each.
const maxIdentities = 10_000

// note notes an identity, and reports whether it was noted before.
func (s *identities) note(id [16]byte) (again bool) {
	if _, again = s.seen[id]; again || len(s.seen) == maxIdentities {
		return again
	}
	if s.seen == nil {
		s.seen = make(map[[16]byte]struct{})
	}
	s.seen[id] = struct{}{}
	return false
}

// identify settles the identity of each event. It runs when the whole envelope
// is read, as the origin may come last. All identities of one envelope differ.
func (e *Envelope) identify(ofInput *identities) {
	for i := range e.Events {
		ev := &e.Events[i]
		if id := ev.ID; trusted(id) {
			ev.ID = id[1 : len(id)-1]
			continue
		} else if id != nil { // otherwise Given may be a number
			ev.Given = id
		}
		// Which occurrence of the same event this is belongs to its identity:
		// the same line can be logged twice in a millisecond.
		if e.occurrences == nil {
			e.occurrences = newOccurrences(e)
		}
		what := e.occurrences.digest(ev)
		key := [16]byte(what[:16])
		id := identity(what, uint64(e.occurrences.seen[key]))
		ev.ID, ev.Identical = hex.AppendEncode(nil, id[:]), ofInput.note(id)
		e.occurrences.seen[key]++
	}
}

// trusted tells whether an id, as the string literal it came in, is CloudWatch's.
func trusted(id []byte) bool {
	return len(id) >= minTrusted+2 && len(id) <= maxTrusted+2 && jsonscan.Digits(id[1:]) == len(id)-2
}

// digest is the hash of what an event is. Canonical literals end by
// themselves, so that no two different events are spelled alike.
func (o *occurrences) digest(ev *Event) (sum [sha256.Size]byte) {
	_ = o.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(o.origin) // its own state
	o.hash.Write(ev.Message)
	o.hash.Write(binary.BigEndian.AppendUint64(nil, uint64(ev.Timestamp))) //nolint:gosec // its bits
	o.hash.Sum(sum[:0])
	return sum
}

// identity is 128 bits of hash over an event and its occurrence.
func identity(what [sha256.Size]byte, occurrence uint64) [16]byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(what[:], occurrence))
	return [16]byte(sum[:16])
}
