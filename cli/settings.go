package cli

import (
	"context"
	"fmt"
	"strings"
	"time"
	// Timezones must be there in an image without a zoneinfo folder.
	_ "time/tzdata"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/rs/zerolog"

	"logsluice/internal/ownbody"
	"logsluice/mapping"
)

// streamSettings name what is read and the lease table.
type streamSettings struct {
	StreamName      string `group:"stream" env:"STREAM_NAME" placeholder:"NAME" help:"Kinesis data stream to consume."`
	ApplicationName string `group:"stream" env:"APPLICATION_NAME" placeholder:"NAME" help:"Name of the application, and of its lease table in DynamoDB, which run creates if it does not exist."`
}

func (streamSettings) missingStream() error {
	return missing("STREAM_NAME", "--stream-name", "the name of the Kinesis data stream")
}

func (streamSettings) missingApplication() error {
	return missing("APPLICATION_NAME", "--application-name", "a name for the lease table, the same for all workers")
}

// loadAWS reads region, credentials and endpoints from the SDK's own variables.
func loadAWS(ctx context.Context, log zerolog.Logger) (aws.Config, error) {
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithLogger(sdkLogger(log)))
	if err != nil {
		return cfg, fmt.Errorf("load the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return cfg, missing("AWS_REGION", "no flag", "the region of the stream")
	}
	return cfg, nil
}

// newDynamoDB makes a client whose answers are not cut off.
func newDynamoDB(cfg aws.Config) *dynamodb.Client {
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.HTTPClient = ownbody.Client(o.HTTPClient) })
}

// documentSettings are the settings that decide what documents look like.
type documentSettings struct {
	IndexPrefix   string `group:"documents" env:"INDEX_PREFIX,ES_INDEX_PREFIX" placeholder:"PREFIX" help:"Index names are PREFIX-YYYY-MM-DD."`
	IndexTimezone string `group:"documents" env:"INDEX_TIMEZONE" default:"UTC" placeholder:"ZONE" help:"IANA timezone of an event's day and timestamp, such as Asia/Tokyo (default ${default})."`
	DocumentIDs   string `group:"documents" name:"document-ids" env:"DOCUMENT_IDS" enum:"event,none" default:"event" placeholder:"IDS" help:"event: a document has the id of its event, so that none is there twice. none: OpenSearch gives ids, for time-series collections of Serverless, which take no others (default ${default})."`
}

func (s documentSettings) mapper() (*mapping.Mapper, error) {
	if s.IndexPrefix == "" {
		return nil, missing("INDEX_PREFIX", "--index-prefix", "the beginning of the index names")
	}
	zone, err := time.LoadLocation(s.IndexTimezone)
	if err != nil {
		return nil, settingf("INDEX_TIMEZONE (--index-timezone): %q is not a timezone: give an IANA name such as UTC or Asia/Tokyo", s.IndexTimezone)
	}
	m, err := mapping.New(mapping.Config{Prefix: s.IndexPrefix, Zone: zone, Schema: mapping.DefaultSchema(), NoIDs: s.DocumentIDs == "none"})
	if err != nil {
		return nil, settingf("INDEX_PREFIX (--index-prefix): %w", err)
	}
	return m, nil
}

// missing is the error for a setting without which nothing works.
func missing(variable, flag, what string) error {
	return settingf("%s (%s) is missing: set it to %s", variable, flag, what)
}

// address completes the address of an OpenSearch domain: people who come from
// the usual Lambda have set a bare host name.
func address(url string) string {
	if url == "" || strings.Contains(url, "://") {
		return url
	}
	return "https://" + url
}
