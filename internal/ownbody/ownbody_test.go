package ownbody

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/local/localtest"
)

// The request body stays complete even after the SDK has its response.
func TestClient(t *testing.T) {
	e := new(localtest.EarlyResponder)
	client := kinesis.New(kinesis.Options{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""), HTTPClient: Client(e)})
	_, _ = client.PutRecord(context.Background(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("d")})
	body, err := io.ReadAll(e.Body)
	if want := `{"Data":"ZA==","PartitionKey":"k","StreamName":"s"}`; err != nil || string(body) != want {
		t.Errorf("sent %q, %v; want %s", body, err, want)
	}
}

// A request without a body stays without one.
func TestNoBody(t *testing.T) {
	e := new(localtest.EarlyResponder)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x.invalid", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Client(e).Do(r); err != nil || e.Body != http.NoBody {
		t.Error(e.Body, err)
	}
}
