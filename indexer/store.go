package indexer

import (
	"context"
	"time"
)

// Store keeps dead letters that their index refuses.
type Store interface {
	Put(ctx context.Context, at time.Time, name string, lines []byte) error
}
