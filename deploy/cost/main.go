// Cost estimates the monthly cost of a deployment by the number of shards:
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

// List prices in USD in us-east-1.
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
	tableRead        = 0.125e-6 // consistent, 4 KB
	vCPUHour         = 0.03238  // ARM: https://aws.amazon.com/fargate/pricing/
	memoryGBHour     = 0.00356
	metricMonth      = 0.30 // https://aws.amazon.com/cloudwatch/pricing/
	alarmMetricMonth = 0.10 // per metric of an alarm
	logsInGB         = 0.50
)

// Measured by `make bench PART=cost`, `make bench-index` and `make sim`.
const (
	textBytes       = 593.6  // per event, inflated
	indexBytes      = 375.0  // per event in OpenSearch, one copy, schema default
	consumerSeconds = 2.62   // CPU per million events
	searchSeconds   = 55.0   // OpenSearch's CPU per million events, one copy
	shardWrites     = 0.22   // to the lease table per second and shard
	scanReads       = 0.0252 // of the lease table per second, worker and shard
	minScanReads    = 0.5
)

// Properties of deploy/logsluice.yaml.
const (
	taskVCPU, taskMemoryGB = 0.5, 1.0
	metrics, alarmMetrics  = 37.0, 16.0
	ownLogsGB              = 0.12  // per month and task: a summary per minute, and events
	ownShardLogsGB         = 0.008 // per month and shard: a line per minute
	colderAfterDays        = 30
	monthHours             = 730
	month                  = monthHours * 3600.0 // in seconds
	daysOfMonth            = month / 86400
)

// deployment has the parameters of a deployment.
type deployment struct {
	shards        int
	use           float64 // share of the 1 MB/s that a shard accepts
	shardsPerTask int
	minTasks      int
	archiveDays   float64
	gzipBytes     float64 // of an event in a record
	recordBytes   float64 // of a record of the stream
}

func (d deployment) tasks() float64 {
	return math.Max(float64(d.minTasks), math.Ceil(float64(d.shards)/float64(d.shardsPerTask)))
}

// bytes returns the gzip bytes per second.
func (d deployment) bytes() float64  { return float64(d.shards) * d.use * 1e6 }
func (d deployment) events() float64 { return d.bytes() / d.gzipBytes }

// gb returns the GB per month for a rate in bytes per second.
func gb(rate float64) float64 { return rate * month / 1e9 }

// rounded returns the billed bytes per second if records are billed in steps of a size.
func (d deployment) rounded(step float64) float64 {
	return d.bytes() / d.recordBytes * math.Ceil(d.recordBytes/step) * step
}

func (d deployment) onDemand() float64 {
	return streamHour*monthHours + streamInGB*gb(d.rounded(1e3)) + 2*streamOutGB*gb(d.bytes()) // the Firehose reads the stream, too
}

func (d deployment) provisioned() float64 {
	return float64(d.shards)*shardHour*monthHours + putUnit*month*d.rounded(25e3)/25e3
}

func (d deployment) firehose() float64 { return firehoseGB * gb(d.rounded(5e3)) }

func (d deployment) archive() float64 {
	warm := math.Min(d.archiveDays, colderAfterDays)
	perDay := gb(d.bytes()) / daysOfMonth
	return perDay * (warm*s3GBMonth + (d.archiveDays-warm)*s3ColderGBMonth)
}

func (d deployment) leases() float64 {
	reads := d.tasks() * math.Max(minScanReads, scanReads*float64(d.shards))
	return month * (shardWrites*float64(d.shards)*tableWrite + reads*tableRead)
}

func (d deployment) fargate() float64 {
	return d.tasks() * monthHours * (taskVCPU*vCPUHour + taskMemoryGB*memoryGBHour)
}

func (d deployment) watching() float64 {
	return metrics*metricMonth + alarmMetrics*alarmMetricMonth + logsInGB*(d.tasks()*ownLogsGB+float64(d.shards)*ownShardLogsGB)
}

// rows are the rows of the table.
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

// table prints the deployments side by side, in Markdown.
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

// short formats a number with two significant digits and thousands separators.
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
	shards := flags.String("shards", "1,10,100,1000", "numbers of shards, separated by commas")
	use := flags.Float64("use", 0.3, "share of the 1 MB/s of gzip that a shard accepts, on average over the month")
	perTask := flags.Int("shards-per-task", 8, "the parameter ShardsPerTask")
	minTasks := flags.Int("min-tasks", 2, "the parameter MinTasks")
	days := flags.Float64("archive-days", 365, "how long the archive is kept")
	gzipBytes := flags.Float64("event-bytes", 141.5, "gzip of an event in a record; 248 with 5 events per record, 469 with one")
	recordBytes := flags.Float64("record-bytes", 15_500, "gzip of a record; 1240 with 5 events, 469 with one")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if *use <= 0 || *use > 1 || *perTask < 1 || *minTasks < 1 || *days < 0 || *gzipBytes <= 0 || *recordBytes <= 0 {
		return nil, fmt.Errorf("-use must be above 0 and at most 1, -shards-per-task and -min-tasks at least 1, -archive-days at least 0, -event-bytes and -record-bytes above 0")
	}
	var deployments []deployment
	for text := range strings.SplitSeq(*shards, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-shards: %q is not a number of shards: use numbers separated by commas, such as 1,10", text)
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
