package cli

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"github.com/sirupsen/logrus"

	"logsluice/checkpoint"
	"logsluice/consumer"
	"logsluice/doctor"
	"logsluice/indexer"
	"logsluice/internal/timetext"
	"logsluice/mapping"
	"logsluice/opensearch"
	"logsluice/opensearch/assets"
	"logsluice/telemetry"
)

// runCommand consumes the stream. The AWS SDK reads region, credentials and endpoints from
// its own variables.
type runCommand struct {
	streamSettings
	InitialPosition   checkpoint.Position `group:"stream" env:"INITIAL_POSITION" placeholder:"POSITION" otherwise:"TRIM_HORIZON" help:"Where reading starts the first time the application runs: TRIM_HORIZON, LATEST or an RFC 3339 time." more:"Later starts ignore it; with another value they log a warning. To move where reading continues, use logsluice leases reset."`
	WorkerID          string              `group:"stream" env:"WORKER_ID" placeholder:"ID" check:"worker" otherwise:"host name and a random part" help:"Name of this worker in the lease table. No other worker may have it." more:"At most 128 bytes."`
	LeaseDuration     time.Duration       `group:"stream" env:"LEASE_DURATION" default:"15s" placeholder:"TIME" least:"1s" most:"10m" help:"Time after which a worker that has stopped renewing its leases loses them."`
	ShardSyncInterval time.Duration       `group:"stream" env:"SHARD_SYNC_INTERVAL" default:"1s" placeholder:"TIME" least:"10ms" help:"Time between two syncs of shards and leases."`
	PollInterval      time.Duration       `group:"stream" env:"POLL_INTERVAL" default:"250ms" placeholder:"TIME" least:"200ms" note:"as Kinesis allows 5 reads of a shard per second" help:"Minimum time between two reads of a shard. Kinesis allows 5 reads per second for all consumers of a shard together."`
	InFlightBytes     size                `group:"stream" env:"IN_FLIGHT_BYTES" default:"256MiB" placeholder:"SIZE" least:"8KiB" note:"such as 256MiB" help:"Memory for documents that OpenSearch has not accepted yet. Reading pauses while it is used up." more:"Each shard has its share. When documents that wait for an index fill a quarter of it, their shards pause."`
	MaxInflatedBytes  size                `group:"stream" env:"MAX_INFLATED_BYTES" default:"64MiB" placeholder:"SIZE" least:"8KiB" most:"1GiB" note:"such as 64MiB" help:"Maximum size of an inflated record. A larger one becomes a dead letter." more:"It bounds the memory and the work that one record can cost."`
	opensearchSettings
	BulkBytes       size          `group:"opensearch" env:"BULK_BYTES" default:"8MiB" placeholder:"SIZE" least:"8KiB" most:"1GiB" note:"such as 8MiB" help:"Size of the documents at which a bulk request is sent."`
	BulkDocuments   int           `group:"opensearch" env:"BULK_DOCUMENTS" default:"20000" placeholder:"N" least:"1" most:"1000000" help:"Number of documents at which a bulk request is sent."`
	BulkLinger      time.Duration `group:"opensearch" env:"BULK_LINGER" default:"100ms" placeholder:"TIME" least:"0s" most:"1m" help:"How long a document waits for its bulk request to fill while others are in flight." more:"When no request is in flight, it is sent at once."`
	BulkConnections int           `group:"opensearch" env:"BULK_CONNECTIONS" default:"8" placeholder:"N" least:"1" most:"256" help:"Maximum number of bulk requests in flight. There are fewer while OpenSearch pushes back or is slow."`
	BulkGzip        bool          `group:"opensearch" env:"BULK_GZIP" help:"Compress the bodies of bulk requests." more:"It costs far more CPU than it saves, unless network bandwidth is scarce."`
	BulkTimeout     time.Duration `group:"opensearch" env:"BULK_TIMEOUT" default:"60s" placeholder:"TIME" least:"1s" help:"Time after which a bulk request is abandoned and sent again."`
	WaitForIndex    time.Duration `group:"opensearch" env:"WAIT_FOR_INDEX" default:"30m" placeholder:"TIME" least:"1s" zero:"to wait indefinitely" help:"How long documents wait for an index that does not accept them, such as a read-only one, before they become dead letters. Outages do not count."`
	deadLetterSettings
	documentSettings
	windowSettings
	indexSettings
	DrainTimeout  time.Duration `group:"operation" env:"DRAIN_TIMEOUT" default:"20s" placeholder:"TIME" least:"1ms" help:"Time from SIGTERM to exit, for draining. Keep it below the stopTimeout of the ECS task."`
	SummaryPeriod time.Duration `group:"operation" env:"SUMMARY_PERIOD" default:"60s" placeholder:"TIME" least:"100ms" help:"Time between two summary lines in the log."`
	EMFNamespace  string        `group:"operation" name:"emf-namespace" env:"EMF_NAMESPACE" placeholder:"NAME" check:"namespace" help:"Write the summary lines in the embedded metric format, as metrics in this CloudWatch namespace." more:"See [metrics](monitoring.md#metrics)."`
	listenSettings
	LogLevel string `group:"operation" env:"LOG_LEVEL" enum:"trace,debug,info,warn,error" default:"info" placeholder:"LEVEL" help:"Minimum level of logged lines: trace, debug, info, warn or error."`
}

func (*runCommand) required() []string {
	return []string{"stream-name", "application-name", "opensearch-url", "index-prefix", regionVariable}
}

// Run is called by kong.
func (r *runCommand) Run(ctx context.Context, std streams) error {
	registry := prometheus.NewRegistry()
	documents, err := r.documents(r.settings())
	if err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	level, _ := zerolog.ParseLevel(r.LogLevel)
	log := newLogger(std.err, level).With().Str("worker", r.worker()).Logger()
	awsConfig, err := loadAWS(ctx, log)
	if err != nil {
		return err
	}
	// The KCL repeats some of its lines on the global logger of logrus.
	logrus.SetOutput(io.Discard)

	client, err := r.client(awsConfig, r.BulkConnections)
	if err != nil {
		return err
	}
	defer client.Close()
	if found, remedy := r.access().Exposed(); found != "" {
		log.Warn().Str("remedy", remedy).Msg(found)
	}
	return r.consume(ctx, awsConfig, documents, client, registry, log, isTerminal(std.err))
}

// check refuses settings that contradict each other.
func (r *runCommand) check() error {
	if err := r.opensearchSettings.check(); err != nil {
		return err
	}
	switch {
	case r.OpensearchCAFile != "" && r.OpensearchURL.URL.Scheme == "http": // setup and doctor can use it for Dashboards
		return settingf(caFileSetting+": %q has no effect with %s, which is not encrypted: remove it, or use https:// in the URL", r.OpensearchCAFile, r.OpensearchURL.URL)
	case r.ShardSyncInterval > r.LeaseDuration:
		return settingf("SHARD_SYNC_INTERVAL (--shard-sync-interval): %q is longer than LEASE_DURATION (%s), and leases would expire unnoticed: use a third of it or less", timetext.Format(r.ShardSyncInterval), timetext.Format(r.LeaseDuration))
	}
	return nil
}

func (r *runCommand) emf() *telemetry.EMF {
	if r.EMFNamespace == "" {
		return nil
	}
	return &telemetry.EMF{Namespace: r.EMFNamespace, Application: r.ApplicationName}
}

// worker returns the id of this worker. The random part makes it differ after a restart.
func (r *runCommand) worker() string {
	if r.WorkerID == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "worker"
		}
		r.WorkerID = host + "-" + strings.ToLower(rand.Text()[:8])
	}
	return r.WorkerID
}

// consume creates the mapper, lease table, indexer and consumer, and runs them until ctx ends.
func (r *runCommand) consume(ctx context.Context, awsConfig aws.Config,
	documents assets.Documents, client opensearch.Client, registry *prometheus.Registry, log zerolog.Logger, onTerminal bool,
) error {
	templates, err := documents.Templates()
	if err != nil {
		return err
	}
	targets := targetsOf(documents.Naming, templates...)
	mapper, err := r.mapper(documents, mapping.Config{
		MaxAge: r.EventMaxAge, MaxAhead: r.EventMaxAhead, Registry: registry,
	})
	if err != nil {
		return err
	}
	store := r.store(awsConfig)
	limitMemory(int64(r.InFlightBytes))
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	table, err := checkpoint.New(checkpoint.Config{
		Table:           r.ApplicationName,
		Domain:          r.OpensearchURL.URL.Host,
		IndexPrefix:     documents.Naming.Prefix,
		Worker:          r.worker(),
		LeaseDuration:   r.LeaseDuration,
		InitialPosition: r.InitialPosition,
		Log:             log,
	}, newDynamoDB(awsConfig))
	if err != nil {
		return err
	}
	ix, err := indexer.New(indexer.Config{
		Prefix:         documents.Naming.Prefix,
		BatchBytes:     int(r.BulkBytes),
		BatchDocuments: r.BulkDocuments,
		Linger:         r.BulkLinger,
		Connections:    r.BulkConnections,
		RequestTimeout: r.BulkTimeout,
		RetryMin:       retryMin,
		RetryMax:       retryMax,
		Gzip:           r.BulkGzip,
		NoIDs:          r.DocumentIDs == "none",
		InFlightBytes:  int64(r.InFlightBytes),
		WaitForIndex:   r.WaitForIndex,
		Remedy:         r.access().Remedy,
		Fallback:       mapper,
		Store:          store,
		Registry:       registry,
		Log:            log,
	}, client)
	if err != nil {
		return err
	}
	defer ix.Close()
	c, err := consumer.New(consumer.Config{
		Stream:       r.StreamName,
		Application:  r.ApplicationName,
		Worker:       r.worker(),
		AWS:          awsConfig,
		PollInterval: r.PollInterval,
		SyncInterval: r.ShardSyncInterval,
		MaxInflated:  int(r.MaxInflatedBytes),
		DrainTimeout: r.DrainTimeout,
		Explain:      doctor.ExplainAWS,
		Registry:     registry,
		Log:          log,
	}, table, mapper, ix)
	if err != nil {
		return err
	}

	err = checkCredentials(ctx, awsConfig)
	switch {
	case ctx.Err() != nil:
		return nil // stopped while it was starting
	case err != nil:
		return err
	}
	// Telemetry stops after the consumer, so that the last summary is complete.
	telemetryCtx, stopTelemetry := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	defer background.Wait()
	defer stopTelemetry()
	if r.MetricsAddress != "" {
		health := telemetry.Health{
			Alive: []telemetry.Check{{Name: "consumer", Func: c.Alive}, {Name: "indexer", Func: ix.Alive}},
			Ready: []telemetry.Check{
				{Name: "consumer", Func: c.Ready},
				{Name: "indexer", Func: func(context.Context) error { return ix.Ready() }},
				{Name: "OpenSearch", Func: func(ctx context.Context) error { return opensearch.CheckTemplates(ctx, client, templates...) }},
			},
		}
		background.Go(func() {
			if err := telemetry.Serve(telemetryCtx, r.MetricsAddress, registry, health, log); err != nil {
				log.Error().Err(err).Str("remedy", "set METRICS_ADDRESS (--metrics-address), which is "+r.MetricsAddress+", to an address of this machine with a free port, such as :9100").
					Msg("metrics and probes are not served")
			}
		})
	}
	installer := newInstaller(client, r.access(), targets, log)
	probeCtx, stopProbe := context.WithCancel(ctx)
	var probe sync.WaitGroup
	probe.Go(func() { installer.Probe(probeCtx) })
	// Nothing is created in AWS or OpenSearch before this check.
	stream, err := c.Check(ctx)
	stopProbe()
	probe.Wait()
	switch {
	case ctx.Err() != nil:
		return nil // stopped while it was starting
	case err != nil:
		return r.explain(err, awsConfig.Region)
	case stream.ARN != "":
		log.Info().Str("arn", stream.ARN).Time("created", stream.Created).Str("retention", timetext.Format(stream.Retention)).Msg("stream found")
	}
	// A worker with invalid settings has nothing to summarize, so summaries start here.
	background.Go(func() {
		cfg := telemetry.SummaryConfig{Registry: registry, Prefix: "logsluice_", Period: r.SummaryPeriod, Gauges: steadyGauges, EMF: r.emf(), Log: log}
		if onTerminal {
			cfg.Sentence = func(values map[string]float64) string {
				if installer.IsWaiting() {
					return timetext.Format(r.SummaryPeriod) + ": not reading: waiting for OpenSearch"
				}
				return summarySentence(r.SummaryPeriod, values)
			}
		}
		telemetry.Summarize(telemetryCtx, cfg)
	})
	if err := installer.Install(ctx, templates...); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before OpenSearch could be reached
		}
		return err
	}
	// Reading does not wait for these: a domain or bucket that refuses them can still accept
	// documents.
	background.Go(func() { watchConcerns(telemetryCtx, client, targets, log) })
	background.Go(func() { ensureDeadLetterIndex(telemetryCtx, client, r.access(), documents.Naming.Prefix, log) })
	background.Go(func() { checkStore(telemetryCtx, store, log) })
	return r.explain(c.Run(ctx), awsConfig.Region)
}

// workingMemory is how many bytes the Go runtime may use in addition to the documents in
// flight: for records being read and decoded, requests and responses. It is a quarter less
// than the 256 MiB that are documented, because the runtime can exceed its limit for a moment
// and the program itself needs memory.
const workingMemory = 192 << 20

// limitMemory sets the runtime's memory limit to inFlight bytes plus workingMemory, unless
// GOMEMLIMIT is set.
func limitMemory(inFlight int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(inFlight + workingMemory)
	}
}

// Pauses before a request to OpenSearch is sent again.
const (
	retryMin = 100 * time.Millisecond
	retryMax = 10 * time.Second
)
