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

// runCommand consumes the stream. Region, credentials and endpoints are read by
// the AWS SDK from its own variables.
type runCommand struct {
	streamSettings
	InitialPosition   string        `group:"stream" env:"INITIAL_POSITION" placeholder:"POSITION" help:"Where the application starts on its first start ever: TRIM_HORIZON, LATEST or an RFC 3339 time (default TRIM_HORIZON)."`
	WorkerID          string        `group:"stream" env:"WORKER_ID" placeholder:"ID" help:"Name of this worker in the lease table, which no other worker may have (default: host name and a random part)."`
	LeaseDuration     time.Duration `group:"stream" env:"LEASE_DURATION" default:"15s" placeholder:"TIME" least:"1s" most:"10m" help:"How long a silent worker keeps its shards (default ${default})."`
	ShardSyncInterval time.Duration `group:"stream" env:"SHARD_SYNC_INTERVAL" default:"1s" placeholder:"TIME" least:"10ms" help:"Time between two looks at shards and leases (default ${default})."`
	PollInterval      time.Duration `group:"stream" env:"POLL_INTERVAL" default:"250ms" placeholder:"TIME" least:"200ms" note:"as Kinesis allows 5 reads of a shard per second" help:"Minimum time between two reads of a shard; Kinesis allows 5 reads per second to all consumers of a shard together (default ${default})."`
	InFlightBytes     size          `group:"stream" env:"IN_FLIGHT_BYTES" default:"256MiB" placeholder:"SIZE" least:"8KiB" note:"such as 256MiB" help:"Size of the documents that OpenSearch has not accepted yet at which reading waits (default ${default})."`
	MaxInflatedBytes  size          `group:"stream" env:"MAX_INFLATED_BYTES" default:"64MiB" placeholder:"SIZE" least:"8KiB" most:"1GiB" note:"such as 64MiB" help:"Maximum size of an inflated record; a larger one becomes a dead letter (default ${default})."`
	opensearchSettings
	BulkBytes       size          `group:"opensearch" env:"BULK_BYTES" default:"8MiB" placeholder:"SIZE" least:"8KiB" most:"1GiB" note:"such as 8MiB" help:"Size at which a bulk request is sent (default ${default})."`
	BulkDocuments   int           `group:"opensearch" env:"BULK_DOCUMENTS" default:"20000" placeholder:"N" least:"1" most:"1000000" help:"Number of documents at which a bulk request is sent (default ${default})."`
	BulkLinger      time.Duration `group:"opensearch" env:"BULK_LINGER" default:"100ms" placeholder:"TIME" least:"0s" most:"1m" help:"How long a document waits at most for its bulk request to fill (default ${default})."`
	BulkConnections int           `group:"opensearch" env:"BULK_CONNECTIONS" default:"8" placeholder:"N" least:"1" most:"256" help:"Most bulk requests in flight at once: there are fewer while OpenSearch pushes back or is slow (default ${default})."`
	BulkGzip        bool          `group:"opensearch" env:"BULK_GZIP" help:"Compress the bodies of bulk requests."`
	BulkTimeout     time.Duration `group:"opensearch" env:"BULK_TIMEOUT" default:"60s" placeholder:"TIME" least:"1s" help:"Time after which a bulk request is given up and sent again (default ${default})."`
	WaitForIndex    time.Duration `group:"opensearch" env:"WAIT_FOR_INDEX" default:"30m" placeholder:"TIME" least:"1s" zero:"to wait indefinitely" help:"How long documents wait for an index that does not accept them, such as a read-only one, until they become dead letters; outages do not count; 0 waits indefinitely (default ${default})."`
	deadLetterSettings
	documentSettings
	windowSettings
	indexSettings
	DrainTimeout  time.Duration `group:"operation" env:"DRAIN_TIMEOUT" default:"20s" placeholder:"TIME" least:"1ms" help:"Time from SIGTERM to exit, for draining; keep it below the stopTimeout of the ECS task (default ${default})."`
	SummaryPeriod time.Duration `group:"operation" env:"SUMMARY_PERIOD" default:"60s" placeholder:"TIME" least:"100ms" help:"Time between two summary lines in the log (default ${default})."`
	EMFNamespace  string        `group:"operation" name:"emf-namespace" env:"EMF_NAMESPACE" placeholder:"NAME" help:"Make the summary lines metrics of CloudWatch in this namespace, by its embedded metric format (default: none)."`
	listenSettings
	LogLevel string `group:"operation" env:"LOG_LEVEL" enum:"trace,debug,info,warn,error" default:"info" placeholder:"LEVEL" help:"Minimum level of the lines logged: trace, debug, info, warn or error (default ${default})."`
}

func (r *runCommand) required() requirements {
	return requirements{r.requireStream(), r.requireTable(), r.requireDomain(), r.requireIndex(), requireRegion()}
}

// Run is called by kong.
func (r *runCommand) Run(ctx context.Context, std streams) error {
	registry := prometheus.NewRegistry()
	index, err := r.indexSettings.check()
	if err != nil {
		return err
	}
	documents, err := r.documents(index)
	if err != nil {
		return err
	}
	position, err := r.check()
	if err != nil {
		return err
	}
	level, _ := zerolog.ParseLevel(r.LogLevel)
	log := newLogger(std.err, level).With().Str("worker", r.worker()).Logger()
	awsConfig, err := loadAWS(ctx, log)
	if err != nil {
		return err
	}
	// The KCL repeats some of its lines on logrus' global logger.
	logrus.SetOutput(io.Discard)

	client, err := r.client(awsConfig, r.BulkConnections)
	if err != nil {
		return err
	}
	defer client.Close()
	if found, remedy := r.access().Exposed(); found != "" {
		log.Warn().Str("remedy", remedy).Msg(found)
	}
	return r.consume(ctx, awsConfig, position, documents, client, registry, log, isTerminal(std.err))
}

// check looks at the settings that only this command has.
func (r *runCommand) check() (checkpoint.Position, error) {
	var position checkpoint.Position
	var err error
	if r.InitialPosition != "" {
		position, err = checkpoint.ParsePosition(r.InitialPosition)
	}
	switch t, isTime := position.Timestamp(); {
	case r.streamSettings.check() != nil:
		return position, r.streamSettings.check()
	case checkpoint.CheckWorker(r.worker()) != nil:
		return position, settingf("WORKER_ID (--worker-id): %q: %w", r.worker(), checkpoint.CheckWorker(r.worker()))
	case err != nil:
		return position, settingf("INITIAL_POSITION (--initial-position): %w", err)
	case isTime && t.After(time.Now()):
		return position, settingf("INITIAL_POSITION (--initial-position): %q is in the future: give a time that has passed", r.InitialPosition)
	case r.opensearchSettings.check() != nil:
		return position, r.opensearchSettings.check()
	case r.OpensearchCAFile != "" && strings.HasPrefix(r.access().URL, "http:"): // setup and doctor have Dashboards, too
		return position, settingf(caFileSetting+": %q has no use with %s, which is not encrypted: remove it, or give the URL with https://", r.OpensearchCAFile, r.access().URL)
	case r.EMFNamespace != "" && telemetry.CheckNamespace(r.EMFNamespace) != nil:
		return position, settingf("EMF_NAMESPACE (--emf-namespace): %q %w", r.EMFNamespace, telemetry.CheckNamespace(r.EMFNamespace))
	case r.MetricsAddress != "" && r.badAddress() != nil:
		return position, r.badAddress()
	case r.ShardSyncInterval > r.LeaseDuration:
		return position, settingf("SHARD_SYNC_INTERVAL (--shard-sync-interval): %q is longer than LEASE_DURATION (%s), and leases would end unnoticed: give a third of it or less", timetext.Format(r.ShardSyncInterval), timetext.Format(r.LeaseDuration))
	}
	return position, nil
}

func (r *runCommand) emf() *telemetry.EMF {
	if r.EMFNamespace == "" {
		return nil
	}
	return &telemetry.EMF{Namespace: r.EMFNamespace, Application: r.ApplicationName}
}

// worker names this worker; the random part tells it from its earlier lives.
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

// consume puts the parts together and runs them until ctx ends.
func (r *runCommand) consume(ctx context.Context, awsConfig aws.Config, position checkpoint.Position,
	documents assets.Documents, client opensearch.Client, registry *prometheus.Registry, log zerolog.Logger, forPeople bool,
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
	store, err := r.store(awsConfig)
	if err != nil {
		return err
	}
	limitMemory(int64(r.InFlightBytes))
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	table, err := checkpoint.New(checkpoint.Config{
		Table:           r.ApplicationName,
		Domain:          r.host(),
		IndexPrefix:     documents.Naming.Prefix,
		Worker:          r.worker(),
		LeaseDuration:   r.LeaseDuration,
		InitialPosition: position,
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

	if err := checkCredentials(ctx, awsConfig); err != nil {
		return err
	}
	// Telemetry outlives the consumer, so that the last line has all of it.
	showing, stopShowing := context.WithCancel(context.WithoutCancel(ctx))
	var shows sync.WaitGroup
	defer shows.Wait()
	defer stopShowing()
	if r.MetricsAddress != "" {
		health := telemetry.Health{
			Alive: []telemetry.Check{{Name: "consumer", Func: c.Alive}, {Name: "indexer", Func: ix.Alive}},
			Ready: []telemetry.Check{
				{Name: "consumer", Func: c.Ready},
				{Name: "indexer", Func: func(context.Context) error { return ix.Ready() }},
				{Name: "OpenSearch", Func: func(ctx context.Context) error { return opensearch.CheckTemplates(ctx, client, templates...) }},
			},
		}
		shows.Go(func() {
			if err := telemetry.Serve(showing, r.MetricsAddress, registry, health, log); err != nil {
				log.Error().Err(err).Str("remedy", "give METRICS_ADDRESS (--metrics-address), now "+r.MetricsAddress+", an address of this machine with a free port, such as :9100").
					Msg("no metrics are served, and probes find nothing")
			}
		})
	}
	installer := newInstaller(client, r.access(), targets, log)
	asking, stopAsking := context.WithCancel(ctx)
	var asked sync.WaitGroup
	asked.Go(func() { installer.Ask(asking) })
	// Nothing is created in AWS or OpenSearch before this.
	stream, err := c.Check(ctx)
	stopAsking()
	asked.Wait()
	switch {
	case ctx.Err() != nil:
		return nil // stopped while it was starting
	case err != nil:
		return r.explain(err, awsConfig.Region)
	case stream.ARN != "":
		log.Info().Str("arn", stream.ARN).Time("created", stream.Created).Str("retention", timetext.Format(stream.Retention)).Msg("stream found")
	}
	// A worker whose settings are wrong counts for nothing, so it has no summary.
	shows.Go(func() {
		cfg := telemetry.SummaryConfig{Registry: registry, Prefix: "logsluice_", Period: r.SummaryPeriod, Gauges: steadyGauges, EMF: r.emf(), Log: log}
		if forPeople {
			cfg.Sentence = func(values map[string]float64) string {
				if installer.IsWaiting() {
					return timetext.Format(r.SummaryPeriod) + ": nothing is read: waiting for OpenSearch"
				}
				return summarySentence(r.SummaryPeriod, values)
			}
		}
		telemetry.Summarize(showing, cfg)
	})
	if err := installer.Install(ctx, templates...); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before OpenSearch could be reached
		}
		return err
	}
	// Nothing waits for these: a domain or a bucket that refuses them still takes documents.
	shows.Go(func() { watchConcerns(showing, client, targets, log) })
	shows.Go(func() { ensureDeadLetterIndex(showing, client, r.access(), documents.Naming.Prefix, log) })
	shows.Go(func() { checkStore(showing, store, log) })
	return r.explain(c.Run(ctx), awsConfig.Region)
}

// workingMemory is what the Go runtime may take in bytes beside the documents in
// flight: records being read and decoded, requests and answers. It keeps a
// quarter off the 256 MiB that are promised, as the runtime may exceed it for
// moments and the program itself takes some.
const workingMemory = 192 << 20

// limitMemory has garbage collected in time, where GOMEMLIMIT does not say
// otherwise, so that the process stays within what is in flight and the rest.
func limitMemory(inFlight int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(inFlight + workingMemory)
	}
}

// Pauses before OpenSearch is asked again.
const (
	retryMin = 100 * time.Millisecond
	retryMax = 10 * time.Second
)
