package consumer

import (
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/local/localtest"
)

// The client of the stream sends its requests from bodies that the SDK cannot close.
func TestOwnBodies(t *testing.T) {
	e := new(localtest.EarlyResponder)
	s := newStream(t.Context(), Config{Stream: "s", AWS: aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""), HTTPClient: e,
	}}, nil, newMetrics(), new(shards))
	for name, call := range map[string]func() error{
		"DescribeStream": func() error {
			_, err := s.kinesis.DescribeStream(t.Context(), &kinesis.DescribeStreamInput{StreamName: aws.String("s")})
			return err
		},
		"GetRecords": func() error {
			_, err := s.getRecords(t.Context(), &reader{limit: 1}, aws.String("iterator"))
			return err
		},
	} {
		_ = call()
		if body, err := io.ReadAll(e.Body); err != nil || len(body) == 0 {
			t.Errorf("%s: the body is gone: %q, %v", name, body, err)
		}
	}
}
