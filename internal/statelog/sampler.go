package statelog

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// sampleInterval is the time between two warnings of a kind.
const sampleInterval = time.Minute

// Sampler logs one warning per kind and sampleInterval. It counts the others and logs them at
// debug level.
type Sampler struct {
	mu    sync.Mutex
	kinds map[string]*kindState
}

type kindState struct {
	at     time.Time // when the last warning was logged
	others int       // warnings since then
}

// NewSampler returns a new Sampler.
func NewSampler() *Sampler { return &Sampler{kinds: make(map[string]*kindState)} }

// Warn starts a warning of a kind. The caller completes it.
func (s *Sampler) Warn(log zerolog.Logger, kind string) *zerolog.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[kind]
	switch {
	case k == nil:
		k = &kindState{}
		s.kinds[kind] = k
	case time.Since(k.at) < sampleInterval:
		k.others++
		return log.Debug()
	}
	event := log.Warn()
	if k.others > 0 {
		event = event.Int("since_last_line", k.others)
	}
	*k = kindState{at: time.Now()}
	return event
}
