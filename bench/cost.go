package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// subject is a line of the cost table.
type subject struct {
	name string
	// measure runs a round and returns its usage and, for a process, which events arrived.
	measure  func() (took usage, arrived string, err error)
	costs    []time.Duration
	resident int64    // maximum, in bytes
	arrived  []string // the different results of the rounds
}

// cost prints the CPU time of the whole process next to that of floors and peers, with the same
// input in the same rounds.
func cost(ctx context.Context, program string, s settings) error {
	f := newFixture(s.events)
	fmt.Printf("%s\n%s\n", f, machine())
	subjects, err := floorSubjects(f)
	if err != nil {
		return err
	}
	process := func(name string) string { return fmt.Sprintf("%s, the whole process, %d shards", name, s.shards) }
	var ours []*subject
	for _, schema := range []string{plainSchema, defaultSchema} {
		ours = append(ours, &subject{name: process("logsluice " + schema), measure: func() (usage, string, error) {
			took, err := consume(ctx, program, s, f, "SCHEMA="+schema)
			return took, eachOnce, err
		}})
	}
	if !s.peers {
		return compare(append(subjects, ours...), s.rounds, f.events)
	}
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
		subjects = append(subjects, &subject{name: "klauspost, " + name + " + bulk body", measure: func() (usage, string, error) {
			cpu, err := decode.measure(name)
			return usage{cpu: cpu}, "", err
		}})
	}
	return compare(append(append(subjects, ours...), &subject{name: process("Telegraf"), measure: func() (usage, string, error) {
		return runTelegraf(ctx, telegraf, s, f)
	}}), s.rounds, f.events)
}

// floorSubjects returns the floors, after checking that they write every document.
func floorSubjects(f *fixture) ([]*subject, error) {
	floors, err := newFloors()
	if err != nil {
		return nil, err
	}
	var subjects []*subject
	for _, floor := range floors {
		if floor.whole {
			if err := f.check(floor.name, func(visit func(event)) error {
				return floor.pass(f.records, func(request []byte) error {
					return events(bytes.NewReader(request), readOurs, visit)
				})
			}); err != nil {
				return nil, err
			}
		}
		subjects = append(subjects, &subject{name: floor.name, measure: func() (usage, string, error) {
			cpu, err := measure(func() error { return floor.pass(f.records, discard) })
			return usage{cpu: cpu}, "", err
		}})
	}
	return subjects, nil
}

// compare measures each subject in each round, and prints the table.
func compare(subjects []*subject, rounds, events int) error {
	for range rounds {
		for _, s := range subjects {
			took, arrived, err := s.measure()
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.costs = append(s.costs, took.cpu)
			s.resident = max(s.resident, took.resident)
			if !slices.Contains(s.arrived, arrived) {
				s.arrived = append(s.arrived, arrived)
			}
		}
	}
	fmt.Printf("\n%-50s %8s %8s  %s\n", "CPU seconds (user+sys) per 1M events", "median", "ratio", "all")
	perMillion := func(d time.Duration) float64 { return d.Seconds() / float64(events) * 1e6 }
	base := median(subjects[0].costs).Seconds()
	for _, s := range subjects {
		var all []float64
		for _, cost := range slices.Sorted(slices.Values(s.costs)) {
			all = append(all, perMillion(cost))
		}
		middle := median(s.costs)
		fmt.Printf("%-50s %8.2f %8.2f  %.2f\n", s.name, perMillion(middle), middle.Seconds()/base, all)
	}
	fmt.Println()
	for _, s := range subjects {
		if s.resident > 0 {
			fmt.Printf("%s: %s; at most %d MiB resident\n", s.name, strings.Join(s.arrived, "; "), s.resident>>20)
		}
	}
	return nil
}
