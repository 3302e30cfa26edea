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

// The index templates: how run and setup install them, and what else on the domain they
// are checked against.

// newInstaller returns what installs the index templates, once the names that are written to
// under them are as DATA_STREAM has it.
func newInstaller(client opensearch.Client, access doctor.Access, targets targetsAt, log zerolog.Logger) *opensearch.Installer {
	return &opensearch.Installer{
		Client: client,
		Check: func(ctx context.Context) error {
			concerns, err := concernsAt(ctx, client, targets, time.Now())
			if err != nil {
				return err
			}
			return refused(concerns)
		},
		Final:    func(err error) bool { return errors.As(err, new(settingError)) },
		Found:    access.Found,
		Remedy:   access.Remedy,
		RetryMin: retryMin,
		RetryMax: retryMax,
		Log:      log,
	}
}

// targetsAt returns the names that are written to at a time, and soon.
type targetsAt func(time.Time) ([]doctor.Target, error)

// targetsOf returns those of index templates.
func targetsOf(naming schema.Naming, templates ...opensearch.Template) targetsAt {
	return func(now time.Time) ([]doctor.Target, error) { return doctor.Targets(templates, naming, now) }
}

// refused returns an error where DATA_STREAM is not what the domain has, or would come
// to have by what a worker writes.
func refused(concerns []doctor.Concern) error {
	for _, c := range concerns {
		if c.Refuses() {
			return settingf("%s", c)
		}
	}
	return nil
}

// concernPeriod is the time between two looks at the names and at the index templates of
// others, which can come, or be for later dates only, while a worker runs.
const concernPeriod = time.Hour

// watchConcerns logs what is wrong with them, once while it stays the same, until ctx ends.
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
