package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// readTelegraf extracts the event from a document of bench/peers/telegraf.conf, whose id is a
// hash.
func readTelegraf(index, _ string, source []byte) (event, error) {
	var d struct {
		Time time.Time `json:"@timestamp"`
		Tag  struct {
			ID        string `json:"id"`
			LogGroup  string `json:"log_group"`
			LogStream string `json:"log_stream"`
			Owner     string `json:"owner"`
		} `json:"tag"`
		Event struct {
			Message string `json:"message"`
		} `json:"event"`
	}
	err := json.Unmarshal(source, &d)
	return event{index, d.Tag.ID, d.Event.Message, d.Tag.LogGroup, d.Tag.LogStream, d.Tag.Owner, d.Time.UnixMilli()}, err
}

// eachOnce describes the expected result.
const eachOnce = "each event arrived once"

// silence is the time without events after which no more are expected.
const silence = 20 * time.Second

// errCrash is returned when Telegraf ends before the first document.
var errCrash = errors.New("crash of Telegraf at its start")

// runTelegraf runs Telegraf until it has read the whole stream. It returns the usage until it has
// stopped in order, and which events arrived, which can be more or less than each event once. It
// starts Telegraf again if that crashes at its start, because of a race on a map there.
func runTelegraf(ctx context.Context, program string, s settings, f *fixture) (took usage, arrived string, err error) {
	const attempts = 10
	for crashes := range attempts {
		took, arrived, err = tryTelegraf(ctx, program, s, f)
		if crashes > 0 {
			arrived += fmt.Sprintf(" (crashes at its start before that: %d)", crashes)
		}
		if !errors.Is(err, errCrash) {
			break
		}
	}
	return took, arrived, err
}

func tryTelegraf(ctx context.Context, program string, s settings, f *fixture) (took usage, arrived string, err error) {
	services, err := startServices(ctx, s.shards, f)
	if err != nil {
		return usage{}, "", err
	}
	defer services.stop()
	sink := services.sink
	sink.read = readTelegraf
	telegraf, err := startProcess(s, []string{"KINESIS_URL=" + services.kinesis, "OPENSEARCH_URL=" + services.search},
		program, "--config", "bench/peers/telegraf.conf")
	if err != nil {
		return usage{}, "", err
	}
	for before, waiting := -1, true; waiting; {
		select {
		case <-telegraf.exited:
			err := fmt.Errorf("%w: see %s", telegraf.err, telegraf.log)
			if sink.distinct() == 0 {
				err = errors.Join(errCrash, err)
			}
			return usage{}, "", err
		case <-ctx.Done():
			waiting = false
		case <-sink.full:
			waiting = false
		case <-time.After(silence):
			now := sink.result().events
			before, waiting = now, now > before
		}
	}
	took, err = telegraf.stop()
	if err = errors.Join(ctx.Err(), err); err != nil {
		return usage{}, "", err
	}
	arrived = eachOnce
	if got := sink.result(); got != f.sum {
		arrived = fmt.Sprintf("NOT each event once: %d documents of %d different events arrived, of %d events", got.events, sink.distinct(), f.events)
	}
	return took, arrived, nil
}
