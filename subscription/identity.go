package subscription

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"hash"

	"logsluice/internal/jsonscan"
)

// An id is trusted as an identity if it is a string of minTrusted to maxTrusted digits.
// CloudWatch's have 56; emulators count from 0.
const (
	minTrusted = 32
	maxTrusted = 128
)

// occurrences counts the events of an envelope without a trusted id.
type occurrences struct {
	hash   hash.Hash
	origin []byte // state of hash after the events' origin
	seen   map[[16]byte]uint32
}

func newOccurrences(e *Envelope) *occurrences {
	o := &occurrences{hash: sha256.New(), seen: make(map[[16]byte]uint32)}
	for _, text := range []Text{e.Owner, e.LogGroup, e.LogStream} {
		o.hash.Write(text)
	}
	o.origin, _ = o.hash.(encoding.BinaryMarshaler).MarshalBinary() // sha256 implements it and never fails
	return o
}

// identities are the identities of an input's events without a trusted id.
type identities struct{ seen map[[16]byte]struct{} }

// maxIdentities limits the identities kept, at about 30 bytes each.
const maxIdentities = 10_000

// add adds an identity and reports whether it was already present.
func (i *identities) add(id [16]byte) (again bool) {
	if _, again = i.seen[id]; again || len(i.seen) == maxIdentities {
		return again
	}
	if i.seen == nil {
		i.seen = make(map[[16]byte]struct{})
	}
	i.seen[id] = struct{}{}
	return false
}

// identify sets the identity of each event. It runs after the whole envelope is read,
// because the origin may follow the events. Identities within one envelope are unique.
func (e *Envelope) identify(ofInput *identities) {
	for i := range e.Events {
		ev := &e.Events[i]
		if id := ev.ID; isTrusted(id) {
			ev.ID = id[1 : len(id)-1]
			continue
		} else if id != nil { // otherwise OriginalID may be a number
			ev.OriginalID = id
		}
		// The number of the occurrence is part of the identity: the same line can be
		// logged twice in a millisecond.
		if e.occurrences == nil {
			e.occurrences = newOccurrences(e)
		}
		what := e.occurrences.digest(ev)
		key := [16]byte(what[:16])
		id := identity(what, uint64(e.occurrences.seen[key]))
		ev.ID, ev.Identical = hex.AppendEncode(nil, id[:]), ofInput.add(id)
		e.occurrences.seen[key]++
	}
}

// isTrusted reports whether an id, given as a string literal, is CloudWatch's.
func isTrusted(id []byte) bool {
	return len(id) >= minTrusted+2 && len(id) <= maxTrusted+2 && jsonscan.Digits(id[1:]) == len(id)-2
}

// digest returns the hash of an event. Canonical literals are self-delimiting, so
// different events have different input.
func (o *occurrences) digest(ev *Event) (sum [sha256.Size]byte) {
	_ = o.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(o.origin) // a state of the same type
	o.hash.Write(ev.Message)
	o.hash.Write(binary.BigEndian.AppendUint64(nil, uint64(ev.Timestamp))) //nolint:gosec // only its bits matter
	o.hash.Sum(sum[:0])
	return sum
}

// identity returns 128 bits of the hash of an event and its occurrence.
func identity(what [sha256.Size]byte, occurrence uint64) [16]byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(what[:], occurrence))
	return [16]byte(sum[:16])
}
