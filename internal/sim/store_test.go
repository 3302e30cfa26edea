package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"time"

	"logsluice/indexer"
)

// store is where dead letters go that their index refuses, as one process reaches it.
type store struct {
	cluster *cluster
	life    *life
}

// storeOf is the store that a process has, nil if the story has none.
func (c *cluster) storeOf(l *life) indexer.Store {
	if !c.hasStore {
		return nil
	}
	return store{c, l}
}

// Put implements indexer.Store.
func (x store) Put(_ context.Context, _ time.Time, _ string, lines []byte) error {
	if x.life.dead.Load() {
		return io.ErrUnexpectedEOF
	}
	c := x.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range bytes.SplitSeq(bytes.TrimSuffix(lines, []byte("\n")), []byte("\n")) {
		var dead letter
		must(json.Unmarshal(line, &dead))
		c.letterStored(x.life, c.sender(x.life), dead)
	}
	return nil
}
