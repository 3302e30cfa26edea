package cli

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/rs/zerolog"

	"logsluice/doctor"
	"logsluice/indexer"
	"logsluice/indexer/deadletter"
	"logsluice/opensearch"
)

// deadLetterSettings name the store for dead letters that their index refuses.
type deadLetterSettings struct {
	DeadLetterURL deadletter.URL `group:"opensearch" name:"dead-letter-url" env:"DEAD_LETTER_URL" placeholder:"URL" otherwise:"none: such a letter waits for the index" help:"Folder in S3, s3://bucket/prefix/, for dead letters that their index refuses." more:"Objects of JSON lines, PREFIX/YYYY/MM/DD/HH/NAME.jsonl.gz. The task role needs s3:PutObject there. Without a folder, a letter that waits for its index stops its shard."`
}

// deadLetterStore is a store for dead letters that their index refuses.
type deadLetterStore interface {
	indexer.Store
	// Check returns an error if the store cannot be written to.
	Check(ctx context.Context) error
}

// store returns the store that the settings name, or nil.
func (s deadLetterSettings) store(cfg aws.Config) deadLetterStore {
	if s.DeadLetterURL == (deadletter.URL{}) {
		return nil
	}
	return deadletter.NewS3(cfg, s.DeadLetterURL)
}

// checkStore logs an error if the store cannot be written to, so that this is known before the
// first letter.
func checkStore(ctx context.Context, store deadLetterStore, log zerolog.Logger) {
	if store == nil {
		return
	}
	if err := store.Check(ctx); err != nil && ctx.Err() == nil {
		log.Error().Err(err).Msg("DEAD_LETTER_URL cannot be written to")
	}
}

const (
	// indexTimeout is longer than OpenSearch waits for the shards of a new index.
	indexTimeout = 45 * time.Second
	// The pause between two attempts doubles from indexRetryMin to indexRetryMax.
	indexRetryMin = 10 * time.Second
	indexRetryMax = 10 * time.Minute
)

// ensureDeadLetterIndex creates the dead-letter index in advance, because the domain might have no
// room for it when the first dead letter is written. It tries again until the index exists, ctx
// ends or an error is permanent. Each attempt is one request.
func ensureDeadLetterIndex(ctx context.Context, client opensearch.Client, access doctor.Access, prefix string, log zerolog.Logger) {
	index := deadletter.Index(prefix)
	for pause := indexRetryMin; ; pause = min(2*pause, indexRetryMax) {
		within, cancel := context.WithTimeout(ctx, indexTimeout)
		created, err := opensearch.EnsureIndex(within, client, index)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			if created {
				log.Info().Str("index", index).Msg("dead-letter index created")
			}
			return
		}
		again := !errors.Is(err, opensearch.ErrNameTaken)
		line := log.Error().Str(zerolog.ErrorFieldName, access.Found(err))
		if remedy := indexRemedy(err, access, prefix, index); remedy != "" {
			line = line.Str("remedy", remedy)
		}
		if again {
			line = line.Str("pause", pause.String())
		}
		line.Msg("the dead-letter index cannot be created")
		if !again {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// indexRemedy returns the remedy for an index that cannot be created.
func indexRemedy(err error, access doctor.Access, prefix, index string) string {
	var answer *opensearch.AnswerError
	cause := opensearch.CauseOf(err)
	switch {
	case errors.Is(err, opensearch.ErrNameTaken):
		return "remove that alias or data stream, or the template, and restart a worker; until then OpenSearch decides where dead letters written to " + index + " go"
	case errors.As(err, &answer) && cause.Type != "":
		return doctor.RemedyOfRefusal(prefix, index, answer.Status, cause)
	}
	return access.Remedy(err)
}
