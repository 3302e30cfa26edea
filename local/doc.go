// Package local starts a real OpenSearch and a real DynamoDB Local on this
// machine, without Docker, for the demo and the tests: fetched once by Maven
// into a cache folder, run on free loopback ports, and gone when they are
// stopped.
package local

import (
	"io"
)

// Options say where servers are kept and what a person is told.
type Options struct {
	// Cache is the folder for what is fetched.
	Cache string
	// Log gets a line for each thing that takes a while.
	Log io.Writer
	// Heap of OpenSearch, as Java spells sizes; 1g if empty.
	Heap string
	// FastStart starts OpenSearch some seconds sooner and makes it slower after.
	FastStart bool
}
