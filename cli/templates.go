package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"logsluice/domain"
	"logsluice/indexer"
	"logsluice/mapping"
)

// templateTimeout bounds one try to install the index templates.
const templateTimeout = 15 * time.Second

// indexTemplate is an index template that must be in place, in one of its bodies,
// the best first.
type indexTemplate struct {
	name   string
	bodies [][]byte
	// indices are those that documents go to at a time.
	indices func(time.Time) []string
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
	return []indexTemplate{{documents.Name, documents.Bodies, mapper.Indices}, {name, [][]byte{body}, none}}, nil
}

// ensureTemplates installs the index templates. Without them the first
// documents would decide the mapping, so nothing is read before: OpenSearch is
// asked until it has them or ctx ends.
func ensureTemplates(ctx context.Context, client domain.Client, templates []indexTemplate, log zerolog.Logger) error {
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		err := tryTemplates(ctx, client, templates, log)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		log.Error().Err(err).Dur("pause", pause).Msg("the index templates cannot be installed; nothing is read until they are")
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func tryTemplates(ctx context.Context, client domain.Client, templates []indexTemplate, log zerolog.Logger) error {
	// A request that hangs is not the last.
	ctx, cancel := context.WithTimeout(ctx, templateTimeout)
	defer cancel()
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
