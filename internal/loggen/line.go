package loggen

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// line is a message under construction.
type line struct {
	text []byte
	rng  *rand.Rand
	at   time.Time
}

// japan is the timezone of the services' logs.
var japan = time.FixedZone("JST", 9*60*60)

// write returns a message of one of the kinds.
func (l *line) write(kinds []frequency, timestamp int64) string {
	l.text, l.at = l.text[:0], time.UnixMilli(timestamp).In(japan)
	n := l.rng.IntN(1000)
	for _, k := range kinds {
		if n -= k.perMille; n < 0 {
			k.kind(l)
			break
		}
	}
	return string(l.text)
}

func (l *line) str(s string) { l.text = append(l.text, s...) }

// number writes a number from low to high, inclusive.
func (l *line) number(low, high int) {
	l.text = strconv.AppendInt(l.text, int64(low+l.rng.IntN(high-low+1)), 10)
}

// padded writes a number with the given number of digits.
func (l *line) padded(digits int) {
	for range digits {
		l.text = append(l.text, "0123456789"[l.rng.IntN(10)])
	}
}

func (l *line) hex(digits int) { l.text = appendHex(l.text, l.rng, digits) }

func (l *line) uuid() {
	for i, digits := range [...]int{8, 4, 4, 4, 12} {
		if i > 0 {
			l.text = append(l.text, '-')
		}
		l.hex(digits)
	}
}

func (l *line) time(layout string) { l.text = l.at.AppendFormat(l.text, layout) }

// oneOf writes one of the words, preferring the first ones.
func (l *line) oneOf(words []string) { l.str(l.choose(words)) }

func (l *line) choose(words []string) string {
	return words[min(l.rng.IntN(len(words)), l.rng.IntN(len(words)))]
}

// chance reports true with a probability in percent.
func (l *line) chance(percent int) bool { return l.rng.IntN(100) < percent }

func (l *line) address() {
	l.oneOf(networks)
	l.number(0, 255)
	l.str(".")
	l.number(1, 254)
}

func appendHex(b []byte, rng *rand.Rand, digits int) []byte {
	var random uint64
	for i := range digits {
		if i%16 == 0 {
			random = rng.Uint64()
		}
		b = append(b, "0123456789abcdef"[random&15])
		random >>= 4
	}
	return b
}
