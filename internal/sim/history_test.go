package sim

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// history stores events as lines, which are formatted only when they are needed.
type history struct {
	begun time.Time
	mu    sync.Mutex
	lines []line
}

type line struct {
	at     time.Duration
	format string
	args   []any
}

func (h *history) add(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line{time.Since(h.begun), format, args})
}

// last returns the newest lines, oldest first.
func (h *history) last(n int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for _, l := range h.lines[max(0, len(h.lines)-n):] {
		fmt.Fprintf(&b, "%9.3fs %s\n", l.at.Seconds(), fmt.Sprintf(l.format, l.args...))
	}
	return b.String()
}

// grep returns the lines that contain a text.
func (h *history) grep(text string) string {
	var found []string
	for l := range strings.Lines(h.last(len(h.lines))) {
		if strings.Contains(l, text) {
			found = append(found, l)
		}
	}
	return strings.Join(found, "")
}
