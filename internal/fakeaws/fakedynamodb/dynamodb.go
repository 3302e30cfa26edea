package fakedynamodb

import (
	"maps"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Options configures the service. The zero value has the service's limits.
type Options struct {
	// Clock returns the time. It is time.Now if nil.
	Clock func() time.Time
	// PageBytes is the size at which a page of a Scan ends, the service's 1 MB if zero.
	PageBytes int
	// Changed, if set, is called after every write of an item, even if the item did not
	// change. before is nil if the item is new, and after is nil if it is deleted. The
	// service's lock is held, so the function must not call the service. It may keep the
	// items.
	Changed func(table string, before, after map[string]types.AttributeValue)
}

// DynamoDB is the service. It is an http.Handler.
type DynamoDB struct {
	options Options

	mu     sync.Mutex
	tables map[string]*table
	parsed map[string]*expression // by member and text
	usage  Usage
}

// Usage is the usage that the service would bill.
type Usage struct {
	// ReadUnits and WriteUnits are request units of on-demand tables.
	ReadUnits, WriteUnits float64
	// Calls counts the requests by operation, including failed ones.
	Calls map[string]int
}

// New returns a service without tables.
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

// Usage returns the usage since the start. A write whose condition fails is billed, too.
func (d *DynamoDB) Usage() Usage {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.usage
	u.Calls = maps.Clone(u.Calls)
	return u
}
