package opensearch

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"logsluice/internal/statelog"
)

// The installation of index templates, repeated until it succeeds.

// InstallTimeout bounds one attempt of an Installer, so that a request that hangs is
// retried.
const InstallTimeout = 15 * time.Second

// Installer installs index templates until OpenSearch has them. The worker does not read
// the stream until then: without templates, the first documents would determine the
// mapping.
type Installer struct {
	Client Client
	// Check is called before each attempt. It returns an error while nothing may be
	// installed.
	Check func(context.Context) error
	// Final reports whether retrying after an error is useless.
	Final func(error) bool
	// Found describes an error for the log. Remedy returns what to do about it, or "" if
	// that is not known.
	Found, Remedy func(error) string
	// RetryMin and RetryMax bound the pause between attempts, which doubles each time.
	RetryMin, RetryMax time.Duration
	Log                zerolog.Logger

	changes statelog.Changes
	waiting atomic.Bool // the last attempt failed
}

// Install retries until OpenSearch has the templates, an error is final, or ctx ends. It
// then returns nil, that error, or the error of ctx.
func (i *Installer) Install(ctx context.Context, templates ...Template) error {
	failed, err := i.persist(ctx, func(ctx context.Context) error { return i.try(ctx, templates) })
	if failed && err == nil {
		i.Log.Info().Msg("OpenSearch has the index templates")
	}
	return err
}

// probeDelay is how long Probe waits before its first request: a worker that is about to
// install templates does not need it.
const probeDelay = time.Second

// Probe calls Check until OpenSearch answers or ctx ends, so that its problems are logged
// even while something else keeps a worker from installing.
func (i *Installer) Probe(ctx context.Context) {
	select {
	case <-time.After(probeDelay):
	case <-ctx.Done():
		return
	}
	failed, err := i.persist(ctx, i.check)
	if failed && err == nil {
		i.Log.Info().Msg("OpenSearch answers")
	}
}

// IsWaiting reports whether the last attempt failed.
func (i *Installer) IsWaiting() bool { return i.waiting.Load() }

// persist calls try until it succeeds, an error is final, or ctx ends. It logs an error
// when it changes or lasts, not at each attempt. After a success, failed reports whether an error
// was logged; with an error it is false.
func (i *Installer) persist(ctx context.Context, try func(context.Context) error) (failed bool, err error) {
	for pause := i.RetryMin; ; pause = min(2*pause, i.RetryMax) {
		err := try(ctx)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case err == nil:
			i.waiting.Store(false)
			return i.changes.Worked(), nil
		case i.Final(err):
			return false, err
		}
		i.waiting.Store(true)
		if remedy := i.Remedy(err); i.changes.Failed(kindOfError(err, remedy)) {
			line := i.Log.Error().Str(zerolog.ErrorFieldName, i.Found(err))
			if remedy != "" {
				line = line.Str("remedy", remedy)
			}
			line.Str("longest_pause", i.RetryMax.String()).
				Msg("the index templates cannot be installed; nothing is read until they are; run logsluice doctor")
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// check calls Check with InstallTimeout.
func (i *Installer) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, InstallTimeout)
	defer cancel()
	return i.Check(ctx)
}

// kindOfError returns the same text for errors that differ only in their details.
func kindOfError(err error, remedy string) string {
	var answer *AnswerError
	if errors.As(err, &answer) {
		return fmt.Sprint(answer.Status, CauseOf(err).Type)
	}
	if remedy != "" {
		return remedy
	}
	return err.Error()
}

func (i *Installer) try(ctx context.Context, templates []Template) error {
	ctx, cancel := context.WithTimeout(ctx, InstallTimeout)
	defer cancel()
	if err := i.Check(ctx); err != nil {
		return err
	}
	for _, t := range templates {
		body, changes, err := EnsureTemplate(ctx, i.Client, t)
		if err != nil {
			return err
		}
		if len(changes) > 0 {
			i.Log.Info().Str("template", t.Name).Strs("changes", changes).Msg("index template installed")
		}
		if t.Indices == nil {
			continue
		}
		for _, index := range t.Indices(time.Now()) {
			if err := i.extend(ctx, index, body); err != nil {
				return err
			}
		}
	}
	return nil
}

// extend adds missing fields to an index that exists, at each start, because a worker may
// have been stopped before it did so.
func (i *Installer) extend(ctx context.Context, index string, body []byte) error {
	added, kept, err := ExtendMapping(ctx, i.Client, index, body)
	if errors.Is(err, ErrForbidden) {
		i.Log.Warn().Err(err).Str("remedy", "to add them now, allow indices:admin/mappings/get").Msg("new fields of the schema are searchable from the next index on")
		return nil
	}
	if len(added) > 0 {
		i.Log.Info().Strs("fields", added).Msg("fields of the schema added to an index")
	}
	if len(kept) > 0 {
		i.Log.Warn().Strs("fields", kept).Msg("fields cannot be changed in an existing index; the next index has them")
	}
	return err
}
