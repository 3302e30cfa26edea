package fakeaws

import (
	"crypto/md5" //nolint:gosec // the service's hash of partition keys
	"math/big"
)

var (
	one        = big.NewInt(1)
	hashKeys   = new(big.Int).Lsh(one, 128) // number of hash keys
	maxHashKey = new(big.Int).Sub(hashKeys, one)
)

// hashKeyRange is a shard's range of hash keys, including both ends.
type hashKeyRange struct{ StartingHashKey, EndingHashKey *bigText }

// bigText is a number that is a string in JSON.
type bigText big.Int

// MarshalText writes the number in decimal.
func (n *bigText) MarshalText() ([]byte, error) { return (*big.Int)(n).MarshalText() }

func rangeOf(sh *shard) hashKeyRange {
	return hashKeyRange{StartingHashKey: (*bigText)(sh.first), EndingHashKey: (*bigText)(sh.last)}
}

// hashKey returns the hash key of a partition key: its MD5 as a number.
func hashKey(partitionKey string) *big.Int {
	sum := md5.Sum([]byte(partitionKey)) //nolint:gosec // see the import
	return new(big.Int).SetBytes(sum[:])
}

// parseHashKey parses a hash key.
func parseHashKey(member, s string) (*big.Int, error) {
	key, ok := new(big.Int).SetString(s, 10)
	if !ok || key.Sign() < 0 || key.Cmp(maxHashKey) > 0 {
		return nil, failf(codeInvalidArgument, "Invalid %s %q: must be a number from 0 to 2^128-1.", member, s)
	}
	return key, nil
}

// uniformStart returns the first hash key of the i-th of n equal parts.
func uniformStart(i, n int) *big.Int {
	size := new(big.Int).Div(hashKeys, big.NewInt(int64(n)))
	return size.Mul(size, big.NewInt(int64(i)))
}
