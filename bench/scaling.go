package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	scalingEvents = 500_000
	// startTime is longer than a worker needs to acquire all leases. idleTime is how long it is
	// observed afterwards.
	startTime, idleTime = 5 * time.Second, 15 * time.Second
	// scalingRounds are few, because a shard delivers only 2 MB per second.
	scalingRounds = 3
)

var shardCounts = []int{1, 4, 16, 64}

// scaling measures the cost of the same events from different numbers of shards, and the cost
// of an idle worker.
func scaling(ctx context.Context, program string, s settings) error {
	f := newFixture(scalingEvents)
	fmt.Println(f)
	rows := make([]struct {
		idle idleness
		runs []usage
	}, len(shardCounts))
	for i, shards := range shardCounts {
		var err error
		if rows[i].idle, err = idle(ctx, program, s, shards); err != nil {
			return fmt.Errorf("%d shards, idle: %w", shards, err)
		}
	}
	for range scalingRounds {
		for i, shards := range shardCounts {
			s.shards = shards
			u, err := consume(ctx, program, s, f)
			if err != nil {
				return fmt.Errorf("%d shards: %w", shards, err)
			}
			rows[i].runs = append(rows[i].runs, u)
		}
	}

	fmt.Printf("\n%-6s %8s %12s %8s %8s %10s %10s %8s %10s  %s\n", "shards", "wall s", "CPU s / 1M", "ratio",
		"begin s", "idle ms/s", "less idle", "ratio", "resident", "all CPU s / 1M")
	var first, firstNet float64
	for i, row := range rows {
		var all, net []float64
		var walls []time.Duration
		resident := int64(0)
		for _, u := range row.runs {
			perMillion := 1e6 / float64(f.events)
			all = append(all, u.cpu.Seconds()*perMillion)
			net = append(net, (u.cpu-row.idle.over(u.wall)).Seconds()*perMillion)
			walls = append(walls, u.wall)
			resident = max(resident, u.resident)
		}
		if i == 0 {
			first, firstNet = median(all), median(net)
		}
		fmt.Printf("%-6d %8.1f %12.2f %8.2f %8.2f %10.1f %10.2f %8.2f %6d MiB  %.2f\n", shardCounts[i], median(walls).Seconds(), median(all), median(all)/first,
			row.idle.start.Seconds(), row.idle.rate*1000, median(net), median(net)/firstNet, resident>>20, all)
	}
	return nil
}

// idleness is the CPU time of a worker whose shards are empty.
type idleness struct {
	start time.Duration // CPU time in the first startTime
	rate  float64       // CPU seconds per second afterwards
}

// over returns the CPU time spent in a wall time.
func (i idleness) over(wall time.Duration) time.Duration {
	return i.start + time.Duration(i.rate*float64(wall-startTime))
}

func idle(ctx context.Context, program string, s settings, shards int) (i idleness, err error) {
	services, err := startServices(ctx, shards, &fixture{})
	if err != nil {
		return i, err
	}
	defer services.stop()
	worker, err := startWorker(program, s, services, services.search)
	if err != nil {
		return i, err
	}
	defer func() {
		_, stopped := worker.stop()
		err = errors.Join(err, stopped)
	}()
	if err := pause(ctx, startTime); err != nil {
		return i, err
	}
	if i.start, err = cpuOf(worker.command.Process.Pid); err != nil {
		return i, err
	}
	if err := pause(ctx, idleTime); err != nil {
		return i, err
	}
	ended, err := cpuOf(worker.command.Process.Pid)
	i.rate = (ended - i.start).Seconds() / idleTime.Seconds()
	return i, err
}
