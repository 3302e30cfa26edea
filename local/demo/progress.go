package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// progress shows on one line how far production and indexing are.
type progress struct {
	cancel context.CancelFunc
	shown  sync.WaitGroup
}

func startProgress(ctx context.Context, p *producer, w *workers) *progress {
	ctx, cancel := context.WithCancel(ctx)
	show := &progress{cancel: cancel}
	show.shown.Go(func() {
		ticker := time.NewTicker(250 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				in := p.counts().events
				if out, err := w.scrape(ctx); err == nil {
					fmt.Printf("\r  events in %7d   indexed %7.0f   behind %6.0f   put to acknowledged p50 %4.0f ms ",
						in, out.indexed, max(float64(in)-out.settled(), 0), 1000*out.latency.Quantile(0.5))
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return show
}

// stop ends the line. A second call does nothing.
func (p *progress) stop() {
	if p.cancel == nil {
		return
	}
	p.cancel()
	p.shown.Wait()
	p.cancel = nil
	fmt.Println()
}
