package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"github.com/rs/zerolog"

	"logsluice/checkpoint"
	"logsluice/consumer"
	"logsluice/doctor"
	"logsluice/internal/ownbody"
	"logsluice/internal/safetext"
	"logsluice/internal/settingsfile"
	"logsluice/mapping"
	"logsluice/mapping/schema"
	"logsluice/opensearch/assets"
)

// streamSettings name the stream and the lease table.
type streamSettings struct {
	StreamName      string `group:"stream" env:"STREAM_NAME" placeholder:"NAME" check:"stream" missing:"the name or the ARN of the Kinesis data stream" help:"Kinesis data stream to consume: its name, or its ARN if it belongs to another account." more:"See [a stream of another account](permissions.md#a-stream-of-another-account)."`
	ApplicationName string `group:"stream" env:"APPLICATION_NAME" placeholder:"NAME" check:"table" missing:"a name for the lease table, the same for all workers" help:"Name of the application and of its lease table in DynamoDB, the same for all workers. run creates the table if it does not exist." more:"The table is created with on-demand capacity. Its name has 3 to 255 letters, digits, _, . and -."`
}

// regionVariable is read by the AWS SDK, which also reads the region of a profile.
const regionVariable = "AWS_REGION"

// explain returns AWS errors caused by a wrong setting as a settingError, and adds remedies
// to other errors of AWS. Errors that it does not recognize are returned unchanged. region
// is the configured one.
func (s streamSettings) explain(err error, region string) error {
	var noStream *types.ResourceNotFoundException
	var otherStream *checkpoint.OtherStreamError
	var noHost *net.DNSError
	var api smithy.APIError
	streamRegion := consumer.StreamRegion(s.StreamName, region)
	switch {
	case errors.As(err, &noStream):
		return settingf("stream %q does not exist in %s: %s", s.StreamName, streamRegion, doctor.CorrectStream)
	case errors.Is(err, consumer.ErrDeleting):
		return settingf("stream %q in %s is being deleted: %s", s.StreamName, streamRegion, doctor.CorrectStream)
	case errors.Is(err, checkpoint.ErrRefused):
		return settingf("stream %q in %s: %w", s.StreamName, streamRegion, err)
	case errors.As(err, &otherStream):
		return settingf("%w: %s", otherStream, doctor.SeparateTable)
	case errors.Is(err, checkpoint.ErrNoTable):
		return settingf("lease table %q does not exist in %s: set APPLICATION_NAME (--application-name) and AWS_REGION as for run, which creates the table at its first start", s.ApplicationName, region)
	case errors.Is(err, checkpoint.ErrNotLeaseTable):
		return settingf("APPLICATION_NAME (--application-name): %w: use a name that no other table has", err)
	case consumer.AreCredentialsRefused(err) && errors.As(err, &api):
		return settingf("AWS refuses the credentials: %w: %s, and check this machine's clock", api, doctor.RenewIdentity)
	case errors.As(err, &noHost) && noHost.IsNotFound:
		return settingf("host %s does not exist: correct AWS_REGION (%q) or the variables AWS_ENDPOINT_URL*, or check the DNS", noHost.Name, region)
	}
	if err == nil || errors.As(err, new(settingError)) {
		return err
	}
	found, remedy := doctor.ExplainAWS(err)
	switch {
	case remedy == "":
		return errors.New(found)
	case consumer.IsDenied(err):
		return settingf("%s: %s", found, remedy)
	}
	return fmt.Errorf("%s: %s", found, remedy)
}

// loadAWS returns a configuration with the region, credentials and endpoints from the SDK's
// own variables. Its errors name the variable to correct.
func loadAWS(ctx context.Context, log zerolog.Logger) (aws.Config, error) {
	if err := checkVariables(); err != nil {
		return aws.Config{}, err
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithLogger(sdkLogger(log)),
		awsconfig.WithAPIOptions([]func(*middleware.Stack) error{cutTokens}))
	var noProfile awsconfig.SharedConfigProfileNotExistError
	switch {
	case errors.As(err, &noProfile):
		return cfg, settingf("AWS_PROFILE: %q is not a profile of ~/.aws/config or ~/.aws/credentials: use one that is, or remove the variable", noProfile.Profile)
	case err != nil:
		return cfg, settingf("AWS configuration: %w: correct the variables AWS_* and the files of ~/.aws", err)
	}
	if err := checkRegion(cfg.Region); cfg.Region != "" && err != nil {
		return cfg, settingf(regionVariable+": %q %w", cfg.Region, err)
	}
	cfg.Region = strings.ToLower(cfg.Region)
	return cfg, nil
}

// secretVariables hold the credentials for AWS.
var secretVariables = []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}

// checkVariables returns an error for invalid AWS_* variables that the AWS SDK accepts
// unchecked or rejects without naming the variable.
func checkVariables() error {
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		wrong := strayText(value)
		switch isSecret := slices.Contains(secretVariables, name); {
		case !strings.HasPrefix(name, "AWS_"):
		case wrong != "" && isSecret:
			return settingf("%s %s", name, wrong)
		case wrong != "":
			return settingf("%s: %q %s", name, value, wrong)
		case isSecret && strings.ContainsFunc(value, unicode.IsSpace):
			return settingf("%s has whitespace in it: copy it again", name)
		case strings.HasPrefix(name, "AWS_ENDPOINT_URL") && value != "" && !endpoint.MatchString(value):
			return settingf("%s: %q is not an endpoint: use one such as http://localhost:4566", name, value)
		}
	}
	id, secret := secretVariables[0], secretVariables[1]
	if os.Getenv(id) == "" {
		id, secret = secret, id
	}
	if os.Getenv(id) != "" && os.Getenv(secret) == "" {
		return settingf("%s is set, and %s is not: set both or neither", id, secret)
	}
	if text := os.Getenv("AWS_MAX_ATTEMPTS"); strings.Trim(text, "0123456789") != "" {
		return settingf("AWS_MAX_ATTEMPTS: %q is not a whole number: use one such as 3", text)
	}
	if text := os.Getenv("AWS_RETRY_MODE"); text != "" && text != "standard" && text != "adaptive" {
		return settingf("AWS_RETRY_MODE: %q is invalid: use standard or adaptive", text)
	}
	if file := os.Getenv("AWS_CA_BUNDLE"); file != "" {
		if _, err := settingsfile.Read(file); err != nil {
			return settingf("AWS_CA_BUNDLE: %w: use a file with PEM certificates", err)
		}
	}
	return nil
}

// cutTokens truncates the errors of AWS before a session token that they quote.
func cutTokens(stack *middleware.Stack) error {
	return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("cutTokens",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleFinalize(ctx, in)
			var api smithy.APIError
			if errors.As(err, &api) {
				if cut := safetext.CutToken(api.ErrorMessage()); cut != api.ErrorMessage() {
					err = &smithy.GenericAPIError{Code: api.ErrorCode(), Message: cut, Fault: api.ErrorFault()}
				}
			}
			return out, metadata, err
		}), middleware.Before)
}

var endpoint = regexp.MustCompile(`^https?://[^/\s]+`)

// checkCredentials returns an error if the SDK finds no credentials for AWS, or that of the
// context if it ends before.
func checkCredentials(ctx context.Context, cfg aws.Config) error {
	if _, err := cfg.Credentials.Retrieve(ctx); ctx.Err() != nil {
		return context.Cause(ctx)
	} else if err != nil {
		return settingf("no credentials for AWS were found: %w: %s", err, doctor.GiveIdentity)
	}
	return nil
}

// newDynamoDB returns a client that sends request bodies through ownbody, so that the SDK does
// not close a body before it is sent.
func newDynamoDB(cfg aws.Config) *dynamodb.Client {
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.HTTPClient = ownbody.Client(o.HTTPClient) })
}

// schemaSettings decide which fields documents have.
type schemaSettings struct {
	Schema         string            `group:"documents" env:"SCHEMA" enum:"default,plain,ecs" default:"default" placeholder:"NAME" help:"Fields that documents have: default (common fields of JSON lines), plain (the line only) or ecs (the names of the Elastic Common Schema)."`
	SchemaFile     string            `group:"documents" env:"SCHEMA_FILE" placeholder:"FILE" help:"YAML file with your own schema, instead of SCHEMA. logsluice assets schema prints one to start from." more:"At most 1 MiB. For fields that only your lines have."`
	ConstantFields map[string]string `group:"documents" env:"CONSTANT_FIELDS" mapsep:"," placeholder:"NAME=VALUE,…" help:"Keywords that each document has, such as env=prod,service=shop." more:"They distinguish the documents of several applications. Write a comma in a value as \\,."`
}

// windowSettings bound the times of events that go to the index of their date. They cannot be
// narrower than the window that CloudWatch Logs accepts. See
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html.
type windowSettings struct {
	EventMaxAge   time.Duration `group:"documents" env:"EVENT_MAX_AGE" default:"30d" placeholder:"TIME" least:"14d" zero:"for no limit" note:"as CloudWatch Logs accepts events that old" help:"Age on arrival in Kinesis beyond which an event goes to the index PREFIX-outside instead of the one of its date. A data stream accepts events of all times."`
	EventMaxAhead time.Duration `group:"documents" env:"EVENT_MAX_AHEAD" default:"1d" placeholder:"TIME" least:"2h" zero:"for no limit" note:"as CloudWatch Logs accepts events that far ahead" help:"The same for events dated after their arrival."`
}

// documentSettings decide the ids and fields of documents and the indices they go to.
type documentSettings struct {
	IndexPrefix   string         `group:"documents" env:"INDEX_PREFIX,ES_INDEX_PREFIX" placeholder:"PREFIX" check:"prefix" missing:"the beginning of the index names" help:"Prefix of the index names PREFIX-YYYY-MM-DD."`
	IndexDate     string         `group:"documents" env:"INDEX_DATE" default:"%Y-%m-%d" placeholder:"PATTERN" check:"date" help:"What follows the prefix in index names, as a strftime pattern: %Y-%m-%d-%H for hours, %G-w%V for weeks, %Y-%m for months." more:"Choose a period that fills its shards and does not overfill them."`
	IndexTimezone *time.Location `group:"documents" env:"INDEX_TIMEZONE" default:"UTC" placeholder:"ZONE" help:"IANA timezone of an event's day and timestamp, such as Asia/Tokyo."`
	DataStream    bool           `group:"documents" env:"DATA_STREAM" help:"Write to the data stream PREFIX instead of indices by date. An event that is delivered again after a rollover is then indexed twice." more:"Backing indices have the same size whatever the load. See [what a data stream does not guarantee](documents.md#data-streams)."`
	schemaSettings
	DocumentIDs string `group:"documents" name:"document-ids" env:"DOCUMENT_IDS" enum:"event,none" default:"event" placeholder:"IDS" help:"event: the id of the event, so that no event is indexed twice. none: OpenSearch assigns ids, for time-series collections of Serverless, which accept no others."`
}

// indexSettings are settings of the indices that run creates.
type indexSettings struct {
	IndexShards   int           `group:"documents" env:"INDEX_SHARDS" default:"1" placeholder:"N" least:"1" most:"1024" help:"Primary shards of an index. One holds about 50 GB." more:"More shards than needed make each search more expensive."`
	IndexReplicas string        `group:"documents" env:"INDEX_REPLICAS" placeholder:"N" check:"copies" otherwise:"the cluster's setting" help:"Copies of each shard." more:"They protect against the loss of a node."`
	IndexRefresh  time.Duration `group:"documents" env:"INDEX_REFRESH" default:"1s" placeholder:"TIME" least:"100ms" help:"Time until a document can be found." more:"A longer time means less work for OpenSearch."`
	IndexCodec    string        `group:"documents" env:"INDEX_CODEC" enum:"best_compression,default,zstd,zstd_no_dict" default:"best_compression" placeholder:"CODEC" help:"Compression of stored fields: best_compression, default, zstd or zstd_no_dict. Servers without zstd use best_compression."`
	IndexSort     []string      `group:"documents" env:"INDEX_SORT" placeholder:"FIELD" help:"Fields that an index is sorted by, each with :desc for descending order." more:"A search in that order, such as @timestamp:desc, can end early. Indexing costs half as much CPU again."`
}

// schema returns the schema that the settings name, with the constant fields added.
func (s schemaSettings) schema() (*schema.Schema, error) {
	fields, err := s.read()
	if err != nil {
		return nil, err
	}
	if err := fields.AddConstants(s.ConstantFields); err != nil {
		return nil, settingf("CONSTANT_FIELDS (--constant-fields): %w", err)
	}
	return fields, nil
}

func (s schemaSettings) read() (*schema.Schema, error) {
	if s.SchemaFile == "" {
		return schema.BuiltIn(s.Schema)
	}
	if s.Schema != "default" {
		return nil, settingf("SCHEMA (--schema): %q and SCHEMA_FILE (%q) are both set: remove one", s.Schema, s.SchemaFile)
	}
	data, err := settingsfile.Read(s.SchemaFile)
	if err != nil {
		return nil, settingf("SCHEMA_FILE (--schema-file): %w: use a YAML file such as the one that logsluice assets schema prints", err)
	}
	fields, err := schema.Parse(data)
	if err != nil {
		return nil, settingf("SCHEMA_FILE (--schema-file): %q: %w", s.SchemaFile, err)
	}
	return fields, nil
}

// documents returns the naming, schema and index settings. It fails if settings contradict
// each other.
func (s documentSettings) documents(index assets.IndexSettings) (d assets.Documents, err error) {
	fields, err := s.schema()
	if err != nil {
		return d, err
	}
	if err := index.CheckSort(fields); err != nil {
		return d, settingf("INDEX_SORT (--index-sort): %w", err)
	}
	if s.DataStream && s.IndexDate != schema.DefaultDate {
		return d, settingf("INDEX_DATE (--index-date): %q has no effect with DATA_STREAM, whose name has no date: remove one", s.IndexDate)
	}
	naming := schema.Naming{Prefix: s.IndexPrefix, Date: s.IndexDate, DataStream: s.DataStream, Zone: s.IndexTimezone}
	return assets.Documents{Naming: naming, Schema: fields, Index: index}, nil
}

// mapper returns a mapper for documents. cfg has the command's other configuration.
func (s documentSettings) mapper(d assets.Documents, cfg mapping.Config) (*mapping.Mapper, error) {
	cfg.Naming, cfg.Schema, cfg.NoIDs = d.Naming, d.Schema, s.DocumentIDs == "none"
	m, err := mapping.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("create the mapper: %w", err)
	}
	return m, nil
}

// settings returns the settings in the form that index templates use.
func (s indexSettings) settings() assets.IndexSettings {
	settings := assets.IndexSettings{Shards: s.IndexShards, Replicas: s.IndexReplicas, Refresh: s.IndexRefresh, Codec: s.IndexCodec, Sort: s.IndexSort}
	for i, by := range settings.Sort {
		if field, order, found := strings.Cut(by, ":"); found {
			settings.Sort[i] = strings.TrimSpace(field) + ":" + strings.ToLower(strings.TrimSpace(order))
		}
	}
	return settings
}
