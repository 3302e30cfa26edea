package loggen

import (
	"encoding/hex"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

const owner = "123456789012"

// source is a log stream that records come from.
type source struct {
	group, stream, filter, partitionKey string

	kinds []share
}

// share is how often a service writes a kind of message.
type share struct {
	perMille int
	kind     func(*line)
}

// service is a log group, with streams of one make.
type service struct {
	group, filter string
	streams       int // the more, the more of the records
	stream        func(id string, day time.Time) string
	kinds         []share // 1000 in all
}

// A stream of ECS is named PREFIX/CONTAINER/TASK by the awslogs driver.
func ecs(prefixAndContainer string) func(string, time.Time) string {
	return func(task string, _ time.Time) string { return prefixAndContainer + "/" + task }
}

// A stream of Lambda is named by day, version and instance.
func lambda(instance string, day time.Time) string {
	return day.UTC().Format("2006/01/02") + "/[$LATEST]" + instance
}

var services = []service{
	{"/ecs/api", "api-to-kinesis", 120, ecs("api/app"), []share{
		{730, accessLog}, {202, plainText}, {15, goTrace}, {16, quotes}, {20, japanese}, {8, emoji}, {1, longLine}, {8, blank}}},
	{"/ecs/web", "web-to-kinesis", 70, ecs("web/nginx-app"), []share{
		{790, accessLog}, {105, plainText}, {30, japanese}, {20, emoji}, {30, colours}, {20, quotes}, {4, blank}, {1, longLine}}},
	{"/ecs/worker", "worker-to-kinesis", 40, ecs("worker/jvm"), []share{
		{300, accessLog}, {470, plainText}, {62, javaTrace}, {40, pythonTrace}, {40, japanese}, {60, quotes}, {20, colours}, {6, blank}, {2, longLine}}},
	{"/aws/lambda/order-events", "lambda-to-kinesis", 20, lambda, []share{
		{500, lambdaReport}, {340, accessLog}, {60, pythonTrace}, {50, plainText}, {30, quotes}, {20, emoji}}},
	{"/app/batch_jobs.nightly#blue", "batch-to-kinesis", 10, ecs("batch/export"), []share{
		{460, plainText}, {360, table}, {60, javaTrace}, {60, japanese}, {40, colours}, {10, longLine}, {10, blank}}},
}

// newSources names all streams of all services.
func newSources(rng *rand.Rand, day time.Time) []source {
	var all []source
	for _, s := range services {
		for range s.streams {
			stream := s.stream(string(appendHex(nil, rng, 32)), day)
			all = append(all, source{s.group, stream, s.filter, partitionKey(s.group + ":" + stream), s.kinds})
		}
	}
	return all
}

// partitionKey of a log stream: a hash, as CloudWatch Logs has it where records
// are distributed by log stream.
func partitionKey(stream string) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(stream))
	return hex.EncodeToString(h.Sum(nil))
}
