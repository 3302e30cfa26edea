package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// readTelegraf finds the event in a document of bench/peers/telegraf.conf, whose
// own id is a hash.
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

// eachOnce is what should arrive.
const eachOnce = "each event arrived once"

// silence is how long nothing comes when nothing more is to be expected.
const silence = 20 * time.Second

// errCrash is an end before the first document.
var errCrash = errors.New("it crashed when it started")

// runTelegraf has Telegraf read the whole stream, and tells what it took from its
// start to its orderly end, and what arrived, which may be more or less than each
// event once. When it crashes at its start, it is started again: it has a race on
// a map there.
func runTelegraf(ctx context.Context, program string, s settings, f *fixture) (took usage, arrived string, err error) {
	const most = 10
	for crashes := range most {
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
