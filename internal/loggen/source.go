package loggen

import (
	"encoding/hex"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

const owner = "123456789012"

// source is a log stream that produces records.
type source struct {
	group, stream, filter, partitionKey string

	kinds []frequency
}

// frequency is how often a service writes a kind of message.
type frequency struct {
	perMille int
	kind     func(*line)
}

// service is a log group whose streams are of the same kind.
type service struct {
	group, filter string
	streams       int // more streams produce more records
	stream        func(id string, day time.Time) string
	kinds         []frequency // their perMille add up to 1000
}

// ecs returns a function for names of ECS log streams: the awslogs driver names them
// PREFIX/CONTAINER/TASK.
func ecs(prefixAndContainer string) func(string, time.Time) string {
	return func(task string, _ time.Time) string { return prefixAndContainer + "/" + task }
}

// lambda returns the name of a Lambda log stream: day, version and instance.
func lambda(instance string, day time.Time) string {
	return day.UTC().Format("2006/01/02") + "/[$LATEST]" + instance
}

var services = []service{
	{"/ecs/api", "api-to-kinesis", 120, ecs("api/app"), []frequency{
		{730, accessLog}, {202, plainText}, {15, goTrace}, {16, quotes}, {20, japanese}, {8, emoji}, {1, longLine}, {8, blank}}},
	{"/ecs/web", "web-to-kinesis", 70, ecs("web/nginx-app"), []frequency{
		{790, accessLog}, {105, plainText}, {30, japanese}, {20, emoji}, {30, colours}, {20, quotes}, {4, blank}, {1, longLine}}},
	{"/ecs/worker", "worker-to-kinesis", 40, ecs("worker/jvm"), []frequency{
		{300, accessLog}, {470, plainText}, {62, javaTrace}, {40, pythonTrace}, {40, japanese}, {60, quotes}, {20, colours}, {6, blank}, {2, longLine}}},
	{"/aws/lambda/order-events", "lambda-to-kinesis", 20, lambda, []frequency{
		{500, lambdaReport}, {340, accessLog}, {60, pythonTrace}, {50, plainText}, {30, quotes}, {20, emoji}}},
	{"/app/batch_jobs.nightly#blue", "batch-to-kinesis", 10, ecs("batch/export"), []frequency{
		{460, plainText}, {360, table}, {60, javaTrace}, {60, japanese}, {40, colours}, {10, longLine}, {10, blank}}},
}

// newSources returns all streams of all services.
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

// partitionKey returns the partition key of a log stream: a hash, as CloudWatch Logs uses
// when records are distributed by log stream.
func partitionKey(stream string) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(stream))
	return hex.EncodeToString(h.Sum(nil))
}
