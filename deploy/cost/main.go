// Cost estimates what a deployment costs a month, by the number of shards:
// go run ./deploy/cost -shards 1,10 -use 0.3.
package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
)

// List prices in USD of us-east-1.
const (
	streamHour       = 0.04     // on demand: https://aws.amazon.com/kinesis/data-streams/pricing/
	streamInGB       = 0.08     // on demand, records rounded up to 1 KB
	streamOutGB      = 0.04     // on demand
	shardHour        = 0.015    // provisioned
	putUnit          = 0.014e-6 // provisioned: 25 KB of a record
	firehoseGB       = 0.029    // https://aws.amazon.com/firehose/pricing/, records rounded up to 5 KB
	s3GBMonth        = 0.023    // STANDARD: https://aws.amazon.com/s3/pricing/
	s3ColderGBMonth  = 0.0125   // STANDARD_IA
	tableWrite       = 0.625e-6 // https://aws.amazon.com/dynamodb/pricing/on-demand/
	tableRead        = 0.125e-6 // 4 KB consistently
	vCPUHour         = 0.03238  // ARM: https://aws.amazon.com/fargate/pricing/
	memoryGBHour     = 0.00356
	metricMonth      = 0.30 // https://aws.amazon.com/cloudwatch/pricing/
	alarmMetricMonth = 0.10 // for each metric of an alarm
	logsInGB         = 0.50
)

// What was measured: `make bench PART=cost`, `make bench-index`, `make sim`.
const (
	textBytes       = 593.6  // of an event, inflated
	indexBytes      = 375.0  // of an event in OpenSearch, one copy, schema default
	consumerSeconds = 2.62   // of CPU a million events
	searchSeconds   = 55.0   // of OpenSearch's CPU a million events, one copy
	shardWrites     = 0.22   // to the lease table a second and shard
	scanReads       = 0.0252 // of the lease table a second, worker and shard
	leastScanReads  = 0.5
)

// What deploy/logsluice.yaml makes of it.
const (
	taskVCPU, taskMemoryGB = 0.5, 1.0
	metrics, alarmMetrics  = 37.0, 16.0
	ownLogsGB              = 0.12  // a month and task: a summary a minute, and what happens
	ownShardLogsGB         = 0.008 // a month and shard: a line a minute
	colderAfterDays        = 30
	monthHours             = 730
	month                  = monthHours * 3600.0 // in seconds
	daysOfMonth            = month / 86400
)

// deployment is one that is asked for.
type deployment struct {
	shards        int
	use           float64 // share of the 1 MB/s that a shard takes
	shardsPerTask int
	minTasks      int
	archiveDays   float64
	gzipBytes     float64 // of an event in a record
	recordBytes   float64 // of a record of the stream
}

func (d deployment) tasks() float64 {
	return math.Max(float64(d.minTasks), math.Ceil(float64(d.shards)/float64(d.shardsPerTask)))
}

// bytes is the gzip a second.
func (d deployment) bytes() float64  { return float64(d.shards) * d.use * 1e6 }
func (d deployment) events() float64 { return d.bytes() / d.gzipBytes }

// gb is what a rate of bytes a second comes to in a month, in GB.
func gb(rate float64) float64 { return rate * month / 1e9 }

// rounded is a rate whose records are billed in steps of a size.
func (d deployment) rounded(step float64) float64 {
	return d.bytes() / d.recordBytes * math.Ceil(d.recordBytes/step) * step
}

func (d deployment) onDemand() float64 {
	return streamHour*monthHours + streamInGB*gb(d.rounded(1e3)) + 2*streamOutGB*gb(d.bytes()) // the Firehose reads it too
}

func (d deployment) provisioned() float64 {
	return float64(d.shards)*shardHour*monthHours + putUnit*month*d.rounded(25e3)/25e3
}

func (d deployment) firehose() float64 { return firehoseGB * gb(d.rounded(5e3)) }

func (d deployment) archive() float64 {
	warm := math.Min(d.archiveDays, colderAfterDays)
	aDay := gb(d.bytes()) / daysOfMonth
	return aDay * (warm*s3GBMonth + (d.archiveDays-warm)*s3ColderGBMonth)
}

func (d deployment) leases() float64 {
	reads := d.tasks() * math.Max(leastScanReads, scanReads*float64(d.shards))
	return month * (shardWrites*float64(d.shards)*tableWrite + reads*tableRead)
}

func (d deployment) fargate() float64 {
	return d.tasks() * monthHours * (taskVCPU*vCPUHour + taskMemoryGB*memoryGBHour)
}

func (d deployment) watching() float64 {
	return metrics*metricMonth + alarmMetrics*alarmMetricMonth + logsInGB*(d.tasks()*ownLogsGB+float64(d.shards)*ownShardLogsGB)
}

// rows of the table, in its order.
var rows = []struct {
	name  string
	unit  string
	value func(deployment) float64
}{
	{"events per second", "%s", deployment.events},
	{"gzip into the stream, MB/s", "%s", func(d deployment) float64 { return d.bytes() / 1e6 }},
	{"tasks", "%s", deployment.tasks},
	{"Kinesis, on demand", "$ %s", deployment.onDemand},
	{"Kinesis, provisioned instead", "($ %s)", deployment.provisioned},
	{"Firehose", "$ %s", deployment.firehose},
	{"S3 archive", "$ %s", deployment.archive},
	{"DynamoDB", "$ %s", deployment.leases},
	{"Fargate", "$ %s", deployment.fargate},
	{"CloudWatch: metrics, alarms, own logs", "$ %s", deployment.watching},
	{"**total, on demand**", "**$ %s**", func(d deployment) float64 {
		return d.onDemand() + d.firehose() + d.archive() + d.leases() + d.fargate() + d.watching()
	}},
	{"*not included:* CloudWatch Logs, for ingesting the same events", "$ %s", func(d deployment) float64 { return logsInGB * gb(d.events()*textBytes) }},
	{"OpenSearch: index per day, one copy, GB", "%s", func(d deployment) float64 { return d.events() * indexBytes * 86400 / 1e9 }},
	{"OpenSearch: vCPUs for indexing one copy", "%s", func(d deployment) float64 { return d.events() / 1e6 * searchSeconds }},
	{"logsluice: vCPUs in use", "%s", func(d deployment) float64 { return d.events() / 1e6 * consumerSeconds }},
}

// table prints the deployments beside each other, in Markdown.
func table(w io.Writer, deployments []deployment) error {
	var b strings.Builder
	b.WriteString("| shards |")
	for _, d := range deployments {
		fmt.Fprintf(&b, " %s |", short(float64(d.shards)))
	}
	b.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(deployments)) + "\n")
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s |", row.name)
		for _, d := range deployments {
			fmt.Fprintf(&b, " "+row.unit+" |", short(row.value(d)))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// short is a number in two digits or, below 100, to a whole one, with commas.
func short(v float64) string {
	if v < 10 {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	step := math.Pow10(max(int(math.Log10(v))-1, 0))
	digits := strconv.FormatFloat(math.Round(v/step)*step, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// parse reads the command line.
func parse(args []string, errOut io.Writer) ([]deployment, error) {
	flags := flag.NewFlagSet("cost", flag.ContinueOnError)
	flags.SetOutput(errOut)
	shards := flags.String("shards", "1,10,100,1000", "numbers of shards, with commas between")
	use := flags.Float64("use", 0.3, "share of the 1 MB/s of gzip that a shard takes, on average over the month")
	perTask := flags.Int("shards-per-task", 8, "the parameter ShardsPerTask")
	minTasks := flags.Int("min-tasks", 2, "the parameter MinTasks")
	days := flags.Float64("archive-days", 365, "how long the archive is kept")
	gzipBytes := flags.Float64("event-bytes", 141.5, "gzip of an event in a record; 248 with 5 events per record, 469 with one")
	recordBytes := flags.Float64("record-bytes", 15_500, "gzip of a record; 1240 with 5 events, 469 with one")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if *use <= 0 || *use > 1 || *perTask < 1 || *minTasks < 1 || *days < 0 || *gzipBytes <= 0 || *recordBytes <= 0 {
		return nil, fmt.Errorf("-use is above 0 and at most 1, -shards-per-task and -min-tasks are 1 or more, -archive-days is 0 or more, -event-bytes and -record-bytes are above 0")
	}
	var deployments []deployment
	for text := range strings.SplitSeq(*shards, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-shards: %q is no number of shards: give numbers with commas between, such as 1,10", text)
		}
		deployments = append(deployments, deployment{n, *use, *perTask, *minTasks, *days, *gzipBytes, *recordBytes})
	}
	return deployments, nil
}

func main() {
	deployments, err := parse(os.Args[1:], os.Stderr)
	if err == nil {
		err = table(os.Stdout, deployments)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(2)
	}
}
