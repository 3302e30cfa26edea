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

// validTable matches DynamoDB's table names. See
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html.
var validTable = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`)

// CheckTable returns an error if name is not a valid DynamoDB table name.
func CheckTable(name string) error {
	if !validTable.MatchString(name) {
		return errors.New("is not a valid DynamoDB table name: use 3 to 255 of the characters a-z, A-Z, 0-9, _, . and -")
	}
	return nil
}

// maxWorker is the maximum length of a worker's name in bytes. A row names up to three
// workers and must fit into 1 KB, the size of one write unit.
const maxWorker = 128

// CheckWorker returns an error if name is not valid for a worker. DynamoDB would return a
// name that is not valid UTF-8 in another form, and the worker would not recognize its own
// leases.
func CheckWorker(name string) error {
	switch {
	case strings.TrimSpace(name) != name || name == "":
		return errors.New("has leading or trailing whitespace: remove it")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("has characters that cannot be printed: remove them")
	case len(name) > maxWorker:
		return fmt.Errorf("has %d bytes: use at most %d", len(name), maxWorker)
	}
	return nil
}
