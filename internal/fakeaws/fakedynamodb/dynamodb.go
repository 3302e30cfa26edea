package fakedynamodb

import (
	"maps"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Options change what the service does. The zero value is the service with its
// limits.
type Options struct {
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
	// PageBytes is where a page of a Scan ends; the service's 1 MB if
	// zero.
	PageBytes int
	// Changed, if set, is called after every write of an item, even one that
	// leaves it as it was: with the item before, nil if there was none, and
	// after, nil if it is deleted. The service's lock is held: the function must
	// not call the service. The items are its own.
	Changed func(table string, before, after map[string]types.AttributeValue)
}

// DynamoDB is the service: an http.Handler.
type DynamoDB struct {
	options Options

	mu     sync.Mutex
	tables map[string]*table
	parsed map[string]*expression // by member and text
	usage  Usage
}

// Usage is what the service would bill.
type Usage struct {
	// ReadUnits and WriteUnits are request units of on-demand tables.
	ReadUnits, WriteUnits float64
	// Calls counts the requests by operation, failed ones too.
	Calls map[string]int
}

// New makes a service without tables.
func New(opts Options) *DynamoDB {
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.PageBytes == 0 {
		opts.PageBytes = 1 << 20
	}
	return &DynamoDB{
		options: opts,
		tables:  make(map[string]*table),
		parsed:  make(map[string]*expression),
		usage:   Usage{Calls: make(map[string]int)},
	}
}

// Usage counts since the start. A write whose condition fails is billed too.
func (d *DynamoDB) Usage() Usage {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.usage
	u.Calls = maps.Clone(u.Calls)
	return u
}
