package fakeaws

import (
	"crypto/md5" //nolint:gosec // the service's hash of partition keys
	"math/big"
)

var (
	one        = big.NewInt(1)
	hashKeys   = new(big.Int).Lsh(one, 128) // how many there are
	maxHashKey = new(big.Int).Sub(hashKeys, one)
)

// hashKeyRange is a shard's part of the hash keys, both ends within it.
type hashKeyRange struct{ StartingHashKey, EndingHashKey *bigText }

// bigText is a number that JSON carries as a text.
type bigText big.Int

// MarshalText writes the number in decimal.
func (n *bigText) MarshalText() ([]byte, error) { return (*big.Int)(n).MarshalText() }

func rangeOf(sh *shard) hashKeyRange {
	return hashKeyRange{StartingHashKey: (*bigText)(sh.first), EndingHashKey: (*bigText)(sh.last)}
}

// hashKey is the key that a partition key maps to: its MD5 as a number.
func hashKey(partitionKey string) *big.Int {
	sum := md5.Sum([]byte(partitionKey)) //nolint:gosec // see the import
	return new(big.Int).SetBytes(sum[:])
}

// parseHashKey reads a hash key.
func parseHashKey(member, s string) (*big.Int, error) {
	key, ok := new(big.Int).SetString(s, 10)
	if !ok || key.Sign() < 0 || key.Cmp(maxHashKey) > 0 {
		return nil, failf(codeInvalidArgument, "Invalid %s %q: must be a number from 0 to 2^128-1.", member, s)
	}
	return key, nil
}

// uniformStart is where the i-th of n equal parts of the hash keys begins.
func uniformStart(i, n int) *big.Int {
	size := new(big.Int).Div(hashKeys, big.NewInt(int64(n)))
	return size.Mul(size, big.NewInt(int64(i)))
}
