package loggen

import "math/bits"

// idMaker makes event ids: the timestamp, 80 bits specific to the run, and a count of 64
// bits, as a decimal number. The ids in AWS's examples have the same structure: the
// timestamp is above 144 bits, and the lowest bits count the events of a batch.
type idMaker struct {
	seed, count uint64
}

// next returns the id of an event at a time in Unix milliseconds.
func (m *idMaker) next(timestamp int64) string {
	const (
		pieceDigits = 14
		piece       = 100_000_000_000_000 // 10^pieceDigits
	)
	high := uint64(timestamp)<<16 | 0x14d9 //nolint:gosec // times are after 1970
	middle, low := m.seed, m.count
	m.count++

	var digits [4 * pieceDigits]byte
	for end := len(digits); end > 0; end -= pieceDigits {
		var rest uint64
		high, rest = high/piece, high%piece
		middle, rest = bits.Div64(rest, middle, piece)
		low, rest = bits.Div64(rest, low, piece)
		for i := end - 1; i >= end-pieceDigits; i-- {
			digits[i] = "0123456789"[rest%10]
			rest /= 10
		}
	}
	return string(digits[:])
}
