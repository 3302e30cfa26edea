package ownbody

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// early answers before it has read the request.
type early struct{ body io.Reader }

func (e *early) Do(r *http.Request) (*http.Response, error) {
	e.body = r.Body
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}, nil
}

// What is sent is there to the end, also when the SDK has its answer.
func TestClient(t *testing.T) {
	e := new(early)
	client := kinesis.New(kinesis.Options{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""), HTTPClient: Client(e)})
	_, _ = client.PutRecord(context.Background(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("d")})
	body, err := io.ReadAll(e.body)
	if want := `{"Data":"ZA==","PartitionKey":"k","StreamName":"s"}`; err != nil || string(body) != want {
		t.Errorf("sent %q, %v; want %s", body, err, want)
	}
}

// A request without a body has none.
func TestNoBody(t *testing.T) {
	e := new(early)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x.invalid", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Client(e).Do(r); err != nil || e.body != http.NoBody {
		t.Error(e.body, err)
	}
}
