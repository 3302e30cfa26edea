package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"logsluice/doctor"
	"logsluice/domain"
	"logsluice/indexer"
	"logsluice/internal/statelog"
	"logsluice/mapping"
)

// templateTimeout bounds one try to install the index templates.
const templateTimeout = 15 * time.Second

// indexTemplate is an index template that must be in place, in one of its bodies,
// the best first.
type indexTemplate struct {
	name   string
	bodies [][]byte
	// indices are those that documents go to at a time, and targets are all names that are
	// looked at then.
	indices func(time.Time) []string
	targets func(time.Time) ([]doctor.Target, error)
}

func indexTemplates(mapper *mapping.Mapper) ([]indexTemplate, error) {
	documents, err := mapper.Template()
	if err != nil {
		return nil, err
	}
	name, body, err := indexer.DeadLetterTemplate(mapper.Prefix())
	if err != nil {
		return nil, err
	}
	none := func(time.Time) []string { return nil }
	return []indexTemplate{
		{documents.Name, documents.Bodies, mapper.Indices, func(now time.Time) ([]doctor.Target, error) {
			names := mapper.Indices(now)
			next := mapper.Next(now)
			if next == "" {
				return doctor.Targets(documents.Name, documents.Bodies[0], names...)
			}
			targets, err := doctor.Targets(documents.Name, documents.Bodies[0], append(names, next)...)
			return append(targets, doctor.Target{Name: mapper.Prefix()}), err
		}},
		{name, [][]byte{body}, none, func(time.Time) ([]doctor.Target, error) {
			letters, err := doctor.Targets(name, body, indexer.DeadLetterIndex(mapper.Prefix()))
			for i := range letters {
				letters[i].AnyKind = true // ensureDeadLetterIndex tells
			}
			return letters, err
		}},
	}, nil
}

// targetsAt returns the names that documents are written to at a time, and soon.
func targetsAt(templates []indexTemplate, now time.Time) (all []doctor.Target, err error) {
	for _, t := range templates {
		targets, err := t.targets(now)
		if err != nil {
			return nil, err
		}
		all = append(all, targets...)
	}
	return all, nil
}

// ensureTemplates installs the index templates. Without them the first
// documents would decide the mapping, so nothing is read before: OpenSearch is
// asked until it has them or ctx ends.
func ensureTemplates(ctx context.Context, client domain.Client, search *searchStart, templates []indexTemplate) error {
	failed, err := search.persist(ctx, func(ctx context.Context) error { return tryTemplates(ctx, client, templates, search.log) })
	if failed && err == nil {
		search.log.Info().Msg("OpenSearch has the index templates")
	}
	return err
}

// searchStart follows whether OpenSearch answers while a worker starts.
type searchStart struct {
	access  doctor.Access
	log     zerolog.Logger
	changes statelog.Changes
	waiting atomic.Bool // for it to answer
}

// persist calls try until it succeeds, a setting is wrong or ctx ends, and reports whether
// that it fails was logged: when it changes or lasts, not at each try.
func (s *searchStart) persist(ctx context.Context, try func(context.Context) error) (failed bool, err error) {
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		err := try(ctx)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case err == nil:
			s.waiting.Store(false)
			return s.changes.Worked(), nil
		case errors.As(err, new(settingError)):
			return false, err
		}
		s.waiting.Store(true)
		if s.changes.Failed(kindOf(err, s.access)) {
			line := s.log.Error().Str(zerolog.ErrorFieldName, s.access.Found(err))
			if remedy := s.access.Remedy(err); remedy != "" {
				line = line.Str("remedy", remedy)
			}
			line.Str("longest_pause", retryMax.String()).
				Msg("the index templates cannot be installed; nothing is read until they are; run logsluice doctor")
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// askAfter is the time after which OpenSearch is asked while AWS does not answer yet: what is
// wrong there is to be known at once, too.
const askAfter = time.Second

// ask asks OpenSearch until it answers or ctx ends. It creates nothing.
func (s *searchStart) ask(ctx context.Context, client domain.Client, templates []indexTemplate) {
	select {
	case <-time.After(askAfter):
	case <-ctx.Done():
		return
	}
	_, _ = s.persist(ctx, func(ctx context.Context) error { // ensureTemplates reports the rest
		_, err := concernsAt(ctx, client, templates, time.Now())
		return err
	})
}

// kindOf is the same for errors that differ in their details only.
func kindOf(err error, access doctor.Access) string {
	var answer *domain.AnswerError
	if errors.As(err, &answer) {
		return fmt.Sprint(answer.Status, domain.CauseOf(err).Type)
	}
	if remedy := access.Remedy(err); remedy != "" {
		return remedy
	}
	return err.Error()
}

func tryTemplates(ctx context.Context, client domain.Client, templates []indexTemplate, log zerolog.Logger) error {
	// A request that hangs is not the last.
	ctx, cancel := context.WithTimeout(ctx, templateTimeout)
	defer cancel()
	concerns, err := concernsAt(ctx, client, templates, time.Now())
	if err == nil {
		err = refused(concerns)
	}
	if err != nil {
		return err
	}
	for _, t := range templates {
		body, changes, err := domain.EnsureTemplate(ctx, client, t.name, t.bodies...)
		if err != nil {
			return err
		}
		if len(changes) > 0 {
			log.Info().Str("template", t.name).Strs("changes", changes).Msg("index template installed")
		}
		for _, index := range t.indices(time.Now()) {
			if err := extend(ctx, client, index, body, log); err != nil {
				return err
			}
		}
	}
	return nil
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
func watchConcerns(ctx context.Context, client domain.Client, templates []indexTemplate, log zerolog.Logger) {
	var known []doctor.Concern
	for {
		concerns, err := concernsAt(ctx, client, templates, time.Now())
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

func concernsAt(ctx context.Context, client domain.Client, templates []indexTemplate, now time.Time) ([]doctor.Concern, error) {
	ctx, cancel := context.WithTimeout(ctx, templateTimeout)
	defer cancel()
	targets, err := targetsAt(templates, now)
	if err != nil {
		return nil, err
	}
	return doctor.CheckTargets(ctx, client, targets)
}

// extend gives an index that is there already the fields it can still get, at
// each start: a worker may have been stopped before.
func extend(ctx context.Context, client domain.Client, index string, template []byte, log zerolog.Logger) error {
	added, kept, err := domain.ExtendMapping(ctx, client, index, template)
	if errors.Is(err, domain.ErrForbidden) {
		log.Warn().Err(err).Msg("fields that the schema adds are searchable from the next index on; to have them sooner, allow indices:admin/mappings/get")
		return nil
	}
	if len(added) > 0 {
		log.Info().Strs("fields", added).Msg("fields of the schema added to an index")
	}
	if len(kept) > 0 {
		log.Warn().Strs("fields", kept).Msg("fields that an index has as another type, or takes no more, change with the next index only")
	}
	return err
}

// checkTemplates asks OpenSearch whether the index templates are in place.
func checkTemplates(ctx context.Context, client domain.Client, templates []indexTemplate) error {
	for _, t := range templates {
		changes, err := domain.TemplateChanges(ctx, client, t.name, t.bodies...)
		if err != nil {
			return err
		}
		if len(changes) > 0 {
			return fmt.Errorf("index template %s is missing or was changed: a worker installs it at its start", t.name)
		}
	}
	return nil
}
