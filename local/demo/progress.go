package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
)

// progress shows the progress of production and indexing: on a terminal in one line of at most
// 80 columns, otherwise in a new line every few seconds.
type progress struct {
	cancel context.CancelFunc
	shown  sync.WaitGroup
}

// startProgress shows the number of produced events, which made returns, and of indexed ones.
func startProgress(ctx context.Context, made func() int, w *workers) *progress {
	period, begin, end := 250*time.Millisecond, "\r", ""
	if !isatty.IsTerminal(os.Stdout.Fd()) {
		period, begin, end = 5*time.Second, "", "\n"
	}
	ctx, cancel := context.WithCancel(ctx)
	show := &progress{cancel: cancel}
	show.shown.Go(func() {
		ticker := time.NewTicker(period)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				in := made()
				if out, err := w.scrape(ctx); err == nil {
					fmt.Print(begin, progressLine(in, out), end)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return show
}

func progressLine(in int, out counts) string {
	return fmt.Sprintf("  events %8d  indexed %8.0f  behind %7.0f  median latency %5.0f ms ",
		in, out.settled(), max(float64(in)-out.settled(), 0), 1000*out.latency.Quantile(0.5))
}

// stop ends the progress line. A second call does nothing.
func (p *progress) stop() {
	if p.cancel == nil {
		return
	}
	p.cancel()
	p.shown.Wait()
	p.cancel = nil
	fmt.Println()
}
