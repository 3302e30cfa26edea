package sim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/sirupsen/logrus"
	kclcheckpoint "github.com/vmware/vmware-go-kcl-v2/clientlibrary/checkpoint"
	kclconfig "github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"
	kclworker "github.com/vmware/vmware-go-kcl-v2/clientlibrary/worker"
	"github.com/vmware/vmware-go-kcl-v2/logger"
	"pgregory.net/rapid"

	"logsluice/mapping"
	"logsluice/subscription"
)

// plainKCL is the unmodified KCL with its own checkpointer and lease stealing. It is configured
// with the cluster's times where it has settings for them. Its processor checkpoints only
// documents that OpenSearch has accepted.
func plainKCL(shardSync time.Duration) system {
	return func(c *cluster, p *process, config aws.Config) (run func(context.Context) error) {
		c.byKCL = true
		cfg := kclconfig.NewKinesisClientLibConfig(tableName, streamName, config.Region, p.name)
		cfg.Logger = kclLogger{c, p}
		cfg.InitialPositionInStream = kclconfig.TRIM_HORIZON
		cfg.FailoverTimeMillis = int(c.lease.Milliseconds())
		cfg.LeaseRefreshWaitTime = int(c.lease.Milliseconds() / 3)
		cfg.ShardSyncIntervalMillis = int(shardSync.Milliseconds())
		cfg.LeaseSyncingTimeIntervalMillis = int(shardSync.Milliseconds())
		cfg.EnableLeaseStealing = true
		table := kclcheckpoint.NewDynamoCheckpoint(cfg).WithDynamoDB(dynamodb.NewFromConfig(config))
		worker := kclworker.NewWorker(kclFactory{c, p}, cfg).WithKinesis(kinesis.NewFromConfig(config)).WithCheckpointer(table)
		return func(ctx context.Context) error {
			logrus.SetOutput(io.Discard) // the KCL's readers have their own logger
			if err := worker.Start(); err != nil {
				return err
			}
			<-ctx.Done()
			worker.Shutdown()
			return nil
		}
	}
}

type kclFactory struct {
	cluster *cluster
	process *process
}

// CreateProcessor implements kcl.IRecordProcessorFactory.
func (f kclFactory) CreateProcessor() kcl.IRecordProcessor {
	return &kclProcessor{kclFactory: f, decoder: subscription.NewDecoder(1 << 20), mapper: f.cluster.mapper.Clone()}
}

type kclProcessor struct {
	kclFactory
	decoder *subscription.Decoder
	mapper  *mapping.Mapper
}

// Initialize implements kcl.IRecordProcessor.
func (p *kclProcessor) Initialize(*kcl.InitializationInput) {}

// ProcessRecords sends the documents until OpenSearch has accepted them.
func (p *kclProcessor) ProcessRecords(in *kcl.ProcessRecordsInput) {
	var body []byte
	for _, r := range in.Records {
		_, _ = p.decoder.Decode(r.Data, func(e *subscription.Envelope) {
			body = p.mapper.AppendAll(body, e)
		})
	}
	for len(body) > 0 && !p.process.dead.Load() {
		r, err := http.NewRequest(http.MethodPost, "/_bulk", bytes.NewReader(body))
		must(err)
		answer, err := (processIndex{p.cluster, p.process}).Stream(r)
		if err == nil && answer.StatusCode == http.StatusOK {
			break
		}
		time.Sleep(time.Second)
	}
	if len(in.Records) > 0 && !p.process.dead.Load() {
		_ = in.Checkpointer.Checkpoint(in.Records[len(in.Records)-1].SequenceNumber)
	}
}

// Shutdown implements kcl.IRecordProcessor.
func (p *kclProcessor) Shutdown(in *kcl.ShutdownInput) {
	if in.ShutdownReason == kcl.TERMINATE {
		_ = in.Checkpointer.Checkpoint(nil)
	}
}

type kclLogger struct {
	cluster *cluster
	process *process
}

func (l kclLogger) Debugf(string, ...any) {}
func (l kclLogger) Infof(string, ...any)  {}
func (l kclLogger) Warnf(format string, args ...any) {
	l.cluster.add("%s warns %s", l.process.name, fmt.Sprintf(format, args...))
}
func (l kclLogger) Errorf(format string, args ...any) {
	l.cluster.add("%s fails %s", l.process.name, fmt.Sprintf(format, args...))
}
func (l kclLogger) Fatalf(format string, args ...any)      { panic(fmt.Sprintf(format, args...)) }
func (l kclLogger) Panicf(format string, args ...any)      { panic(fmt.Sprintf(format, args...)) }
func (l kclLogger) WithFields(logger.Fields) logger.Logger { return l }

// TestStoriesOfTheKCL plays the same stories with logsluice and with the unmodified KCL, and
// prints the number of stories in which each promise is broken. The stories only have events
// that the KCL is designed for: process, network, throttle and reshard events that soon pass.
func TestStoriesOfTheKCL(t *testing.T) {
	if os.Getenv(kclVariable) == "" {
		t.Skipf("set %s to see what the KCL's own checkpointer does", kclVariable)
	}
	stories := size(t, seedsVariable, 100)
	systems := []system{logsluice, plainKCL(time.Second)}
	broken := []map[promise]int{{}, {}}
	for seed := range stories {
		s := rapid.Custom(drawStory).Example(seed)
		s.events = slices.DeleteFunc(s.events, func(e event) bool { return kinds[e.what].notForKCL || e.lasting >= longRefusal })
		for i, sys := range systems {
			for p := range play(t, s, sys).broken {
				broken[i][p]++
			}
		}
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "of %d stories, broken in\tlogsluice\tKCL\n", stories)
	for _, p := range []promise{fenced, parentsFirst, oneReader, forward, notAhead, inTime, releasedOnStop, allDone, exactly, swept, goroutinesEnd} {
		kcl := fmt.Sprint(broken[1][p])
		if p == fenced || p == releasedOnStop {
			kcl = "not looked at"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\n", p, broken[0][p], kcl)
	}
	w.Flush()
	t.Logf("\n%s", b.String())
}
