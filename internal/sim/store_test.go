package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"time"

	"logsluice/indexer"
)

// store is the store for dead letters that their index rejects, as one process sees it.
type store struct {
	cluster *cluster
	life    *life
}

// storeOf returns the store of a process, nil if the story has none.
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
