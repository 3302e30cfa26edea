package consumer

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/internal/fakeaws"
)

func TestCheckStream_Success(t *testing.T) {
	for _, stream := range []string{
		"s", "A_b-c.9", "arn", strings.Repeat("s", 128), "arn:aws:kinesis:us-east-1:123456789012:stream/s", "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/s",
		"arn:aws-us-gov:kinesis:us-gov-west-1:123456789012:stream/A_b-c.9", "arn:aws-eusc:kinesis:eusc-de-east-1:123456789012:stream/s",
		"arn:aws:kinesis:xx-later-7:123456789012:stream/s", "arn:aws:kinesis:us-east-1:123456789012:stream/" + strings.Repeat("s", 128),
	} {
		if err := CheckStream(stream); err != nil {
			t.Errorf("%s: %v", stream, err)
		}
	}
}

// Calls with an ARN go to its account in its region.
func TestStreamEndpoint(t *testing.T) {
	f := func(stream, want string) {
		t.Helper()
		hosts := ""
		cfg := aws.Config{
			Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
			HTTPClient: &http.Client{Transport: fakeaws.RoundTripper(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hosts += r.URL.Host + " " }))},
		}
		client := NewKinesis(cfg, stream)
		_, _ = client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &stream})
		_, _ = client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("i")})
		if strings.TrimSpace(hosts) != want {
			t.Errorf("%s: %s", stream, hosts)
		}
	}
	f("s", "kinesis.eu-west-1.amazonaws.com kinesis.eu-west-1.amazonaws.com")
	f("arn:aws:kinesis:us-east-1:123456789012:stream/s", "123456789012.control-kinesis.us-east-1.amazonaws.com 123456789012.data-kinesis.us-east-1.amazonaws.com")
	f("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/s", "123456789012.control-kinesis.cn-north-1.amazonaws.com.cn 123456789012.data-kinesis.cn-north-1.amazonaws.com.cn")
}

// A listing of several pages has the ARN only in the first request, as Kinesis requires.
func TestListShardsByARN(t *testing.T) {
	const stream, shards = "arn:aws:kinesis:us-east-1:111111111111:stream/s", 2_500
	service := fakeaws.NewKinesis(fakeaws.KinesisOptions{Account: "111111111111"})
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://kinesis.invalid"), Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
		HTTPClient: &http.Client{Transport: fakeaws.RoundTripper(service)},
	}
	if _, err := kinesis.NewFromConfig(cfg).CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(shards)}); err != nil {
		t.Fatal(err)
	}
	client := NewKinesis(cfg, stream)
	listed, _, err := ListShards(t.Context(), client, stream)
	if err != nil || len(listed) != shards {
		t.Errorf("%d shards, %v", len(listed), err)
	}
	// A call that would have no ARN is not sent.
	if _, err := client.ListStreams(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "is not supported with a stream ARN") {
		t.Errorf("list streams: %v", err)
	}
}
