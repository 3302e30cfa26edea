package checkpoint

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Rules for the names of tables and workers.

// validTable is DynamoDB's. See
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html.
var validTable = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`)

// CheckTable returns an error for what is not the name of a table in DynamoDB.
func CheckTable(name string) error {
	if !validTable.MatchString(name) {
		return errors.New("is not the name of a table, which has 3 to 255 of the characters a-z, A-Z, 0-9, _, . and -: give such a name")
	}
	return nil
}

// maxWorker keeps a row, which names up to three workers, within the 1 KB that one
// write unit pays for.
const maxWorker = 128

// CheckWorker returns an error for a name that a worker cannot have. What is not valid
// UTF-8 comes back from DynamoDB as another name, and the worker would not know its own
// leases.
func CheckWorker(name string) error {
	switch {
	case strings.TrimSpace(name) != name || name == "":
		return errors.New("has a leading or trailing blank: remove it")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("has characters that cannot be printed: remove them")
	case len(name) > maxWorker:
		return fmt.Errorf("has %d bytes: give at most %d", len(name), maxWorker)
	}
	return nil
}
