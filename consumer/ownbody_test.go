package consumer

import (
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/local/localtest"
)

// Both clients of the stream send from bodies that the SDK does not close.
func TestOwnBodies(t *testing.T) {
	e := new(localtest.Early)
	s := newStream(t.Context(), Config{Stream: "s", AWS: aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""), HTTPClient: e,
	}}, nil, newMetrics(), new(progress))
	for name, client := range map[string]*kinesis.Client{"ours": s.kinesis, "the KCL's": s.client} {
		_, _ = client.DescribeStream(t.Context(), &kinesis.DescribeStreamInput{StreamName: aws.String("s")})
		if body, err := io.ReadAll(e.Body); err != nil || len(body) == 0 {
			t.Errorf("%s: the body is gone: %q, %v", name, body, err)
		}
	}
}
