package schema

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// Decimals are exact.
func TestDecimal(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		text := fmt.Sprint(rng.Uint64() >> rng.IntN(64))
		if rng.IntN(2) == 0 {
			text += "." + fmt.Sprint(rng.Uint64()>>rng.IntN(64))
		}
		if rng.IntN(3) == 0 {
			text += fmt.Sprintf("e%d", rng.IntN(60)-40)
		}
		if rng.IntN(2) == 0 {
			text = "-" + text
		}
		shift := rng.IntN(10)
		exact, _ := new(big.Rat).SetString(text)
		exact.Mul(exact, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(shift)), nil)))
		rounded, _ := new(big.Int).SetString(exact.FloatString(0), 10) // rounds half away from zero
		n, whole, ok := decimal([]byte(text), shift)
		if fits := new(big.Int).Abs(rounded).Cmp(big.NewInt(math.MaxInt64)) <= 0; ok && (!fits || rounded.Cmp(big.NewInt(n)) != 0 || whole != exact.IsInt()) || !ok && fits {
			t.Fatalf("%s and %d: %d, %v, %v; want %s, %v", text, shift, n, whole, ok, rounded, exact.IsInt())
		}
	}
}
