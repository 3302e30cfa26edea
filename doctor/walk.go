package doctor

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/checkpoint"
	"logsluice/consumer"
	"logsluice/indexer/deadletter"
	"logsluice/mapping/schema"
	"logsluice/opensearch"
)

// The links, their order and which of them need others.

// Names of the links, in the order of the data flow.
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

// Config describes the chain as a worker is configured.
type Config struct {
	// AWS has region, credentials and endpoints.
	AWS aws.Config
	// DynamoDB and Kinesis are clients configured as a worker's.
	DynamoDB *dynamodb.Client
	Kinesis  *kinesis.Client
	// Stream is the name or ARN of the Kinesis stream, Application the name of the lease table.
	Stream, Application string
	// LogGroups should have a filter that points at the stream. If it is empty, the first
	// MostLogGroups log groups are checked.
	LogGroups     []string
	MostLogGroups int

	// Search is a client of the OpenSearch domain, and SearchAccess describes it.
	Search       opensearch.Client
	SearchAccess Access
	// Naming decides the names of indices. NoIDs reports whether OpenSearch assigns ids.
	Naming schema.Naming
	NoIDs  bool
	// Templates should be on the domain. The first one is for the documents.
	Templates []opensearch.Template
	// Policy is the body of the lifecycle policy, which has the prefix as name.
	Policy []byte

	// Dashboards is nil if its URL is not set. DashboardsAccess describes it. SavedObjects are
	// the lines of an export.
	Dashboards       *opensearch.Dashboards
	DashboardsAccess Access
	SavedObjects     [][]byte
	// Archive is the folder that the Firehose writes to, or nil.
	Archive *deadletter.URL
	// Store accepts dead letters that their index refuses. It can be nil.
	Store Store
}

// Store is a place for dead letters outside OpenSearch.
type Store interface {
	// Check returns an error if the store cannot be written to.
	Check(ctx context.Context) error
}

// walk is one walk along the chain. Its fields pass results from a link to later ones.
type walk struct {
	Config
	account   string // "" if unknown
	streamARN string // the placeholder STREAM_ARN if unknown
	shards    []checkpoint.Shard
	sample    *sample
	// current is the index of the current documents, or "" if it does not exist.
	current string
	// refused is the reason why run writes nothing to the domain, or "".
	refused string
	// blocked has the number of documents that became dead letters in the last day, by the
	// index that did not accept them.
	blocked map[string]int
}

// Walk checks each link of the chain and returns the findings in the order of the data flow.
// Each call takes at most callTimeout.
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
		noPolicy = "OpenSearch Serverless has its own lifecycle policies in AWS"
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
