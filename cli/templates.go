package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"logsluice/doctor"
	"logsluice/mapping/schema"
	"logsluice/opensearch"
)

// How run and setup install index templates, and what they check on the domain first.

// newInstaller returns an installer of the index templates. It installs them once the domain
// agrees with DATA_STREAM for the names that a worker writes to.
func newInstaller(client opensearch.Client, access doctor.Access, targets targetsAt, log zerolog.Logger) *opensearch.Installer {
	return &opensearch.Installer{
		Client: client,
		Check: func(ctx context.Context) error {
			concerns, err := concernsAt(ctx, client, targets, time.Now())
			if err != nil {
				return err
			}
			return firstRefusal(concerns)
		},
		Final:    func(err error) bool { return errors.As(err, new(settingError)) },
		Found:    access.Found,
		Remedy:   access.Remedy,
		RetryMin: retryMin,
		RetryMax: retryMax,
		Log:      log,
	}
}

// targetsAt returns the names that a worker writes to at a time and soon after it.
type targetsAt func(time.Time) ([]doctor.Target, error)

// targetsOf returns a targetsAt for index templates.
func targetsOf(naming schema.Naming, templates ...opensearch.Template) targetsAt {
	return func(now time.Time) ([]doctor.Target, error) { return doctor.Targets(templates, naming, now) }
}

// firstRefusal returns an error if DATA_STREAM contradicts what exists on the domain, or what
// a worker's first write would create there.
func firstRefusal(concerns []doctor.Concern) error {
	for _, c := range concerns {
		if c.Refuses() {
			return settingf("%s", c)
		}
	}
	return nil
}

// concernPeriod is the time between two checks. The index templates of others can appear, or
// begin to match because of a new date, while a worker runs.
const concernPeriod = time.Hour

// watchConcerns checks targets every concernPeriod until ctx ends. It logs a concern once, and
// again only if it was gone in between.
func watchConcerns(ctx context.Context, client opensearch.Client, targets targetsAt, log zerolog.Logger) {
	var known []doctor.Concern
	for {
		concerns, err := concernsAt(ctx, client, targets, time.Now())
		if err != nil && ctx.Err() == nil {
			log.Warn().Err(err).Msg("names and index templates cannot be checked")
		}
		for _, c := range concerns {
			if !slices.Contains(known, c) {
				log.Warn().Str("found", c.Found).Str("remedy", c.Remedy).Msg(string(c.Problem))
			}
		}
		if err == nil {
			known = concerns
		}
		select {
		case <-time.After(concernPeriod):
		case <-ctx.Done():
			return
		}
	}
}

func concernsAt(ctx context.Context, client opensearch.Client, targets targetsAt, now time.Time) ([]doctor.Concern, error) {
	ctx, cancel := context.WithTimeout(ctx, opensearch.InstallTimeout)
	defer cancel()
	names, err := targets(now)
	if err != nil {
		return nil, err
	}
	return doctor.CheckTargets(ctx, client, names)
}
