package doctor

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/checkpoint"
	"logsluice/consumer"
	"logsluice/mapping/schema"
	"logsluice/opensearch"
)

// The links in their order, and which of them need which others.

// Names of the links, in the order of the data.
const (
	linkAWS         = "AWS"
	linkFilters     = "subscription filters"
	linkStream      = "stream"
	linkLeases      = "lease table"
	linkOpenSearch  = "OpenSearch"
	linkTemplates   = "index templates"
	linkWriting     = "writing"
	linkPolicy      = "lifecycle policy"
	linkDashboards  = "Dashboards"
	linkArchive     = "archive"
	linkDeadLetters = "dead letters"
)

// Config says what the chain is made of, as a worker has it.
type Config struct {
	// AWS has region, credentials and endpoints.
	AWS aws.Config
	// DynamoDB and Kinesis are clients as a worker makes them.
	DynamoDB *dynamodb.Client
	Kinesis  *kinesis.Client
	// Stream and Application name the Kinesis stream, perhaps by its ARN, and the lease
	// table.
	Stream, Application string
	// LogGroups are to have a filter that points at the stream. Where none is named,
	// log groups are looked at as they come, MostLogGroups of them.
	LogGroups     []string
	MostLogGroups int

	// Search is the OpenSearch domain, and SearchAccess how it is asked.
	Search       opensearch.Client
	SearchAccess Access
	// Naming is how the indices are named; NoIDs reports whether OpenSearch gives ids.
	Naming schema.Naming
	NoIDs  bool
	// Templates are to be on the domain, that of the documents first.
	Templates []opensearch.Template
	// Policy is the body of the lifecycle policy, which has the prefix as name.
	Policy []byte

	// Dashboards is nil where its URL is not set, and DashboardsAccess how it is asked; SavedObjects
	// are the lines of an export.
	Dashboards       *opensearch.Dashboards
	DashboardsAccess Access
	SavedObjects     [][]byte
	// Archive is where the Firehose writes, nil if that is not known.
	Archive *Archive
	// Store is where dead letters go that their index refuses, nil for nowhere.
	Store Store
}

// Store is a place outside of OpenSearch.
type Store interface {
	// Check reports why it cannot be written to, or nil.
	Check(ctx context.Context) error
}

// walk is one walk along the chain. What a link finds out is for those after it.
type walk struct {
	Config
	account   string // "" if AWS did not tell
	streamARN string // STREAM_ARN if it is not set and AWS did not tell who this is
	shards    []checkpoint.Shard
	sample    *sample
	// current is the index of the documents of this moment, "" if it is not there.
	current string
	// refused is why run writes nothing to the domain, "" if it does.
	refused string
	// blocked are documents that became dead letters of late, by the index that did not
	// accept them.
	blocked map[string]int
}

// Walk looks at each link of the chain and returns what it found, in the order of the
// data. Calls are bounded to 5 s each.
func Walk(ctx context.Context, cfg Config) []Finding {
	w := &walk{Config: cfg, streamARN: "STREAM_ARN"}
	if _, isARN := consumer.StreamARN(cfg.Stream); isARN {
		w.streamARN = cfg.Stream
	}
	onAWS := []string{linkAWS}
	var signed []string // requests to OpenSearch
	noPolicy, noDashboards, noArchive := "", "", ""
	if cfg.SearchAccess.SigningService != "" {
		signed = onAWS
	}
	if cfg.SearchAccess.SigningService == "aoss" {
		noPolicy = "OpenSearch Serverless has lifecycle policies of its own, which AWS keeps"
	}
	if cfg.Dashboards == nil {
		noDashboards = "DASHBOARDS_URL (--dashboards-url) is not set"
	}
	if cfg.Archive == nil {
		noArchive = "ARCHIVE_URL (--archive-url) is not set"
	}
	onSearch := []string{linkOpenSearch}
	return follow(ctx, []link{
		{name: linkAWS, check: w.aws},
		{name: linkFilters, needs: onAWS, after: []string{linkStream}, check: w.filters},
		{name: linkStream, needs: onAWS, check: w.stream},
		{name: linkLeases, needs: onAWS, after: []string{linkStream}, check: w.leases},
		{name: linkOpenSearch, needs: signed, check: w.opensearch},
		{name: linkTemplates, needs: onSearch, check: w.templates},
		{name: linkWriting, needs: onSearch, after: []string{linkTemplates, linkDeadLetters}, check: w.writing},
		{name: linkPolicy, unset: noPolicy, needs: onSearch, check: w.policy},
		{name: linkDashboards, unset: noDashboards, needs: signed, check: w.dashboards},
		{name: linkArchive, unset: noArchive, needs: onAWS, after: []string{linkStream}, check: w.archive},
		{name: linkDeadLetters, needs: onSearch, check: w.deadLetters},
	})
}
