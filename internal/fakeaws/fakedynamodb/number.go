package fakedynamodb

import (
	"math/big"
	"strconv"
	"strings"
)

// number is 0.digits × 10^exp. Its digits have no zeros at either end, so that equal numbers
// are equal values, and fractions sort like strings. Zero has no digits. See "Number" in
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
type number struct {
	digits   string
	exp      int
	negative bool
}

const (
	maxDigits = 38
	maxExp    = 126  // 9.99…E+125
	minExp    = -129 // 1E-130
)

func parseNumber(text string) (number, error) {
	rest, exp := text, 0
	if i := strings.IndexAny(rest, "eE"); i >= 0 {
		var err error
		if exp, err = strconv.Atoi(rest[i+1:]); err != nil {
			return number{}, notANumber()
		}
		rest = rest[:i]
	}
	negative := strings.HasPrefix(rest, "-")
	if negative || strings.HasPrefix(rest, "+") {
		rest = rest[1:]
	}
	whole, fraction, _ := strings.Cut(rest, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return number{}, notANumber()
	}
	return makeNumber(negative, digits, exp+len(whole))
}

func notANumber() error {
	return invalidf("The parameter cannot be converted to a numeric value")
}

// makeNumber trims the digits and checks that the service can store the number.
func makeNumber(negative bool, digits string, exp int) (number, error) {
	trimmed := strings.TrimLeft(digits, "0")
	exp -= len(digits) - len(trimmed)
	trimmed = strings.TrimRight(trimmed, "0")
	switch {
	case trimmed == "":
		return number{}, nil
	case len(trimmed) > maxDigits:
		return number{}, invalidf("Attempting to store more than 38 significant digits in a Number")
	case exp > maxExp:
		return number{}, invalidf("Number overflow. Attempting to store a number with magnitude larger than supported range")
	case exp < minExp:
		return number{}, invalidf("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	}
	return number{digits: trimmed, exp: exp, negative: negative}, nil
}

// String returns the number without an exponent and without leading or trailing zeros.
func (n number) String() string {
	text := n.digits
	switch {
	case text == "":
		return "0"
	case n.exp <= 0:
		text = "0." + strings.Repeat("0", -n.exp) + text
	case n.exp >= len(text):
		text += strings.Repeat("0", n.exp-len(text))
	default:
		text = text[:n.exp] + "." + text[n.exp:]
	}
	if n.negative {
		return "-" + text
	}
	return text
}

func (n number) sign() int {
	switch {
	case n.digits == "":
		return 0
	case n.negative:
		return -1
	}
	return 1
}

func (n number) compare(o number) int {
	if s, t := n.sign(), o.sign(); s != t || s == 0 {
		return s - t
	}
	c := n.exp - o.exp
	if c == 0 {
		c = strings.Compare(n.digits, o.digits)
	}
	if n.negative {
		return -c
	}
	return c
}

// add returns the exact sum. It fails if the service cannot store it.
func (n number) add(o number) (number, error) {
	least := min(n.exp-len(n.digits), o.exp-len(o.digits))
	sum := new(big.Int).Add(n.scaled(least), o.scaled(least))
	digits := new(big.Int).Abs(sum).String()
	return makeNumber(sum.Sign() < 0, digits, least+len(digits))
}

func (n number) negated() number {
	n.negative = !n.negative && n.digits != ""
	return n
}

// scaled returns the number divided by 10^least. The result must be an integer.
func (n number) scaled(least int) *big.Int {
	scaled := new(big.Int)
	if n.digits != "" {
		scaled.SetString(n.digits+strings.Repeat("0", n.exp-len(n.digits)-least), 10)
	}
	if n.negative {
		scaled.Neg(scaled)
	}
	return scaled
}

// size returns the size of a number as the service calculates it.
func (n number) size() int { return (len(n.digits)+1)/2 + 1 }

// integer returns a count as a number.
func integer(n int) number {
	digits := strconv.Itoa(n)
	made, _ := makeNumber(false, digits, len(digits)) // a count is never too large
	return made
}
