package consumer

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go/middleware"

	"logsluice/internal/loggen"
)

// BenchmarkGetRecords parses an answer of about 1 MiB, as in a backlog, with the SDK's
// deserializer and with ours. The bytes are those of the records.
func BenchmarkGetRecords(b *testing.B) {
	g := loggen.New(loggen.Options{Seed: 1})
	var records []string
	size := 0
	for size < fetchBytes {
		r, _ := g.Next()
		size += len(r.Data)
		records = append(records, fmt.Sprintf(`{"ApproximateArrivalTimestamp":1.544414264183E9,"Data":"%s","PartitionKey":"k","SequenceNumber":"%056d"}`,
			base64.StdEncoding.EncodeToString(r.Data), len(records)))
	}
	answer := []byte(`{"MillisBehindLatest":0,"NextShardIterator":"AAA=","Records":[` + strings.Join(records, ",") + `]}`)
	for name, options := range map[string][]func(*middleware.Stack) error{"sdk": nil, "ours": {useDeserializer}} {
		b.Run(name, func(b *testing.B) {
			client := kinesis.New(kinesis.Options{
				Region: "us-east-1", BaseEndpoint: aws.String("http://kinesis.invalid"), APIOptions: options,
				Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
				HTTPClient:  &http.Client{Transport: &answering{status: http.StatusOK, body: func() io.Reader { return bytes.NewReader(answer) }}},
			})
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				out, err := client.GetRecords(b.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("i")})
				if err != nil || len(out.Records) != len(records) {
					b.Fatal(err)
				}
			}
		})
	}
}
