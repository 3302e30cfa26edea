package fakeaws

import (
	"fmt"
	"strconv"
	"strings"
)

// sequencePrefix makes sequence numbers as long as the service's, 56 digits, so that they
// have the same order as strings and as numbers.
const sequencePrefix = "49600000000000000000000000000000000"

func sequenceNumber(n uint64) string { return fmt.Sprintf("%s%021d", sequencePrefix, n) }

// parseSequenceNumber parses a sequence number of this service.
func parseSequenceNumber(s string) (uint64, error) {
	digits, ours := strings.CutPrefix(s, sequencePrefix)
	n, err := strconv.ParseUint(digits, 10, 64)
	if !ours || len(digits) != 21 || err != nil {
		return 0, failf(codeInvalidArgument, "Invalid sequence number %q.", s)
	}
	return n, nil
}
