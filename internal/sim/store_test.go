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
	process *process
}

// storeOf returns the store of a process, nil if the story has none.
func (c *cluster) storeOf(p *process) indexer.Store {
	if !c.hasStore {
		return nil
	}
	return store{c, p}
}

// Put implements indexer.Store.
func (s store) Put(_ context.Context, _ time.Time, _ string, lines []byte) error {
	if s.process.dead.Load() {
		return io.ErrUnexpectedEOF
	}
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range bytes.SplitSeq(bytes.TrimSuffix(lines, []byte("\n")), []byte("\n")) {
		var dead letter
		must(json.Unmarshal(line, &dead))
		c.letterStored(s.process, c.sender(s.process), dead)
	}
	return nil
}
