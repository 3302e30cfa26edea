package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"time"
)

// subject is one line of the cost table.
type subject struct {
	name    string
	measure func() (time.Duration, error)
	costs   []time.Duration
}

// cost prints the CPU time that the whole process takes, beside that of floors and
// peers, all on the same input in the same rounds.
func cost(ctx context.Context, program string, s settings) (err error) {
	f := newFixture(s.events)
	fmt.Printf("%s\n%s\n", f, machine())
	floors, err := newFloors()
	if err != nil {
		return err
	}
	var subjects []*subject
	add := func(name string, measure func() (time.Duration, error)) {
		subjects = append(subjects, &subject{name: name, measure: measure})
	}
	for _, floor := range floors {
		if floor.whole {
			if err := f.check(floor.name, func(tell func(event)) error {
				return floor.pass(f.records, func(request []byte) error {
					return events(bytes.NewReader(request), readOurs, tell)
				})
			}); err != nil {
				return err
			}
		}
		add(floor.name, func() (time.Duration, error) {
			return measure(func() error { return floor.pass(f.records, nowhere) })
		})
	}
	var most int64
	ours := func() (time.Duration, error) {
		took, err := consume(ctx, program, s, f)
		most = max(most, took.resident)
		return took.cpu, err
	}
	processOf := func(name string) string { return fmt.Sprintf("%s, the whole process, %d shards", name, s.shards) }
	var notes []string
	if !s.peers {
		add(processOf("logsluice"), ours)
	} else {
		telegraf, decoder, err := buildPeers(ctx, s.cache)
		if err != nil {
			return err
		}
		decode, err := startDecode(ctx, decoder, s.cache, f)
		if err != nil {
			return fmt.Errorf("%s: %w", decoder, err)
		}
		defer decode.stop()
		for _, name := range peerFloors {
			add("klauspost, "+name+" + bulk body", func() (time.Duration, error) { return decode.measure(name) })
		}
		add(processOf("logsluice"), ours)
		add(processOf("Telegraf"), func() (time.Duration, error) {
			took, arrived, err := runTelegraf(ctx, telegraf, s, f)
			notes = append(notes, fmt.Sprintf("Telegraf: %s; %d MiB resident", arrived, took.resident>>20))
			return took.cpu, err
		})
	}
	for range s.rounds {
		for _, subject := range subjects {
			took, err := subject.measure()
			if err != nil {
				return fmt.Errorf("%s: %w", subject.name, err)
			}
			subject.costs = append(subject.costs, took)
		}
	}
	printCosts(subjects, f.events)
	fmt.Printf("\nlogsluice: each event once; %d MiB resident at the most\n", most>>20)
	for _, note := range notes {
		fmt.Println(note)
	}
	return nil
}

func printCosts(subjects []*subject, events int) {
	fmt.Printf("\n%-60s %8s %8s  %s\n", "CPU seconds (user+sys) per 1M events", "median", "ratio", "all")
	perMillion := func(d time.Duration) float64 { return d.Seconds() / float64(events) * 1e6 }
	base := median(subjects[0].costs).Seconds()
	for _, s := range subjects {
		var all []float64
		for _, cost := range slices.Sorted(slices.Values(s.costs)) {
			all = append(all, perMillion(cost))
		}
		middle := median(s.costs)
		fmt.Printf("%-60s %8.2f %8.2f  %.2f\n", s.name, perMillion(middle), middle.Seconds()/base, all)
	}
}

// machine is what the times are of.
func machine() string {
	model := "unknown CPU"
	info, _ := os.ReadFile("/proc/cpuinfo") // without it they are unknown
	if found := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(info); found != nil {
		model = string(found[1])
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%s, %d cores, %s, kernel %s", model, runtime.NumCPU(), runtime.Version(), bytes.TrimSpace(kernel))
}
