// Produce is the log producer of compose.yaml. It puts subscription records into a Kinesis
// stream, as CloudWatch Logs does, until SIGTERM. The AWS SDK reads region, credentials and
// endpoint from its own variables.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/rs/zerolog"

	"logsluice/local/feed"
)

// settings of the producer.
type settings struct {
	StreamName string `env:"STREAM_NAME" help:"Stream to put into."`
	Shards     int32  `env:"SHARDS" default:"4" help:"Shards of the stream, if it does not exist yet (default ${default})."`
	Rate       int    `env:"RATE" default:"100" help:"Log events per second, from 1 to 100000 (default ${default})."`
	Check      bool   `help:"Only check the stream: exit 0 if it can be read and written."`
}

// Validate is called by kong.
func (s settings) Validate() error {
	switch {
	case s.StreamName == "":
		return errors.New("STREAM_NAME (--stream-name) is missing: set it to the stream to put into")
	case s.Shards < 1:
		return fmt.Errorf("SHARDS (--shards): %d is too few: use at least 1", s.Shards)
	case s.Rate < 1 || s.Rate > 100_000:
		return fmt.Errorf("RATE (--rate): %d is not from 1 to 100000", s.Rate)
	}
	return nil
}

func main() {
	var s settings
	kong.Parse(&s, kong.Description("Puts log events into a Kinesis stream, as CloudWatch Logs does."))
	log := zerolog.New(os.Stderr).With().Timestamp().Logger()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, s, log)
	stop()
	if err != nil {
		log.Error().Err(err).Msg("produce failed")
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings, log zerolog.Logger) error {
	// An emulator can start later than the producer.
	const attempts = 20
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRetryMaxAttempts(attempts))
	if err != nil {
		return fmt.Errorf("load the AWS configuration: %w", err)
	}
	client := kinesis.NewFromConfig(cfg)
	if s.Check {
		return check(ctx, client, s.StreamName)
	}
	if err := feed.EnsureStream(ctx, client, s.StreamName, s.Shards); err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end was requested
		}
		return err
	}
	log.Info().Str("stream", s.StreamName).Int("events_per_second", s.Rate).Msg("putting log events")
	seed := uint64(time.Now().UnixNano())
	return feed.Trickle(ctx, client, s.StreamName, seed, s.Rate, nil)
}

// check returns an error unless the stream is active.
func check(ctx context.Context, client *kinesis.Client, stream string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	out, err := client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(stream)})
	switch {
	case err != nil:
		return fmt.Errorf("describe the stream %s: %w", stream, err)
	case out.StreamDescriptionSummary.StreamStatus != types.StreamStatusActive:
		return errors.New("the stream " + stream + " is " + string(out.StreamDescriptionSummary.StreamStatus))
	}
	return nil
}
