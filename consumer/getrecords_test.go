package consumer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go/middleware"
)

// answering answers every request with a status and a body.
type answering struct {
	status int
	body   func() io.Reader
	closed int
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: a.status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amzn-Requestid": {"id"}},
		Body: &countedBody{a.body(), &a.closed}, ContentLength: -1, Request: r, Proto: "HTTP/1.1",
	}, nil
}

type countedBody struct {
	io.Reader
	closed *int
}

func (c *countedBody) Close() error {
	*c.closed++
	return nil
}

// both parses an answer with the SDK's deserializer and with ours.
func both(t *testing.T, status int, body func() io.Reader) (sdk, ours *kinesis.GetRecordsOutput, sdkErr, oursErr error) {
	t.Helper()
	call := func(options ...func(*middleware.Stack) error) (*kinesis.GetRecordsOutput, error) {
		a := &answering{status: status, body: body}
		client := kinesis.New(kinesis.Options{
			Region: "us-east-1", BaseEndpoint: aws.String("http://kinesis.invalid"), Retryer: aws.NopRetryer{}, APIOptions: options,
			Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""), HTTPClient: &http.Client{Transport: a},
		})
		out, err := client.GetRecords(context.Background(), &kinesis.GetRecordsInput{ShardIterator: aws.String("i")})
		if a.closed == 0 {
			t.Error("the body is not closed")
		}
		if out != nil {
			out.ResultMetadata = middleware.Metadata{}
		}
		return out, err
	}
	sdk, sdkErr = call()
	ours, oursErr = call(useDeserializer)
	return sdk, ours, sdkErr, oursErr
}

func sameAnswer(t *testing.T, name string, status int, body func() io.Reader) {
	t.Helper()
	sdk, ours, sdkErr, oursErr := both(t, status, body)
	if fmt.Sprint(sdkErr) != fmt.Sprint(oursErr) || !reflect.DeepEqual(sdk, ours) {
		t.Errorf("%.500s\nSDK:  %+v, %v\nours: %+v, %v", name, sdk, sdkErr, ours, oursErr)
	}
}

// All answers are parsed as the SDK does, the usual ones by our deserializer.
func TestDeserializer(t *testing.T) {
	f := func(text string, usual bool) {
		t.Helper()
		sameAnswer(t, text, http.StatusOK, func() io.Reader { return strings.NewReader(text) })
		if _, got := readAnswer([]byte(text)); got != usual {
			t.Errorf("%s: usual: %v", text, got)
		}
	}
	record := `{"ApproximateArrivalTimestamp":1.544414264183E9,"Data":"aGVsbG8=","EncryptionType":"KMS","PartitionKey":"k","SequenceNumber":"49"}`
	f(`{"MillisBehindLatest":0,"NextShardIterator":"AAA=","Records":[`+record+`,`+record+`]}`, true)
	f(`{"Records":[`+record+`]}`, true)
	f(`{"Records":[{"Data":""},{"SequenceNumber":"1"},{}],"MillisBehindLatest":86400000}`, true)
	f(`{"MillisBehindLatest":-1,"Records":[],"NextShardIterator":""}`, true)
	f(`{}`, true)
	f(`{"Records":[{"ApproximateArrivalTimestamp":0}]}`, true)
	f(`{"Records":[{"ApproximateArrivalTimestamp":1544414264.5}]}`, true)
	f(`{"Records":[{"ApproximateArrivalTimestamp":-1e-3}]}`, true)
	// Unusual or invalid answers.
	f(``, false)
	f(` {}`, false)
	f(`{} `, false)
	f(`{}x`, false)
	f(`null`, false)
	f(`[]`, false)
	f(`{"Records":null}`, false)
	f(`{"Records":{}}`, false)
	f(`{"Records":[`+record+`,]}`, false)
	f(`{"Records":[`+record+`],}`, false)
	f(`{"Records":[`+record, false)
	f(`{"Records":[null,`+record+`]}`, false)
	f(`{"Records":[{"Data":null}]}`, false)
	f(`{"Records":[{"Data":"aGVsbG8"}]}`, false)
	f(`{"Records":[{"Data":"aGVs\nbG8="}]}`, false)
	f("{\"Records\":[{\"Data\":\"aGVs\nbG8=\"}]}", false)
	f(`{"Records":[{"Data":"aGVs\u0062G8="}]}`, false)
	f(`{"Records":[{"Data":1}]}`, false)
	f(`{"Records":[{"PartitionKey":"a\"b"}]}`, false)
	f(`{"Records":[{"PartitionKey":"é"}]}`, false)
	f("{\"Records\":[{\"PartitionKey\":\"\x01\"}]}", false)
	f(`{"Records":[{"Data":"aQ==","Data":"ag=="}]}`, false)
	f(`{"Records":[],"Records":[`+record+`]}`, false)
	f(`{"MillisBehindLatest":1,"MillisBehindLatest":2}`, false)
	f(`{"MillisBehindLatest":1.5}`, false)
	f(`{"MillisBehindLatest":1e3}`, false)
	f(`{"MillisBehindLatest":01}`, false)
	f(`{"MillisBehindLatest":+1}`, false)
	f(`{"MillisBehindLatest":"1"}`, false)
	f(`{"MillisBehindLatest":99999999999999999999}`, false)
	f(`{"MillisBehindLatest":}`, false)
	f(`{"Records":[{"ApproximateArrivalTimestamp":.5}]}`, false)
	f(`{"Records":[{"ApproximateArrivalTimestamp":"2018-12-10"}]}`, false)
	f(`{"Other":1,"Records":[`+record+`]}`, false)
	f(`{"Records":[{"Other":[{"a":"}"}],"Data":"aQ=="}]}`, false)
	f(`{"ChildShards":[{"ShardId":"s","ParentShards":["a","b"],"HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"1"}}],"Records":[`+record+`]}`, false)

	whole := `{"MillisBehindLatest":0,"NextShardIterator":"AAA=","Records":[` + record + `]}`
	for n := range whole {
		f(whole[:n], false)
	}
	for _, status := range []int{400, 500} {
		for _, text := range []string{`{"__type":"ExpiredIteratorException","message":"m"}`, `{"__type":"ProvisionedThroughputExceededException"}`, `<html>`, ``} {
			sameAnswer(t, text, status, func() io.Reader { return strings.NewReader(text) })
		}
	}
	sameAnswer(t, "broken", http.StatusOK, func() io.Reader {
		return io.MultiReader(strings.NewReader(whole[:40]), iotest.ErrReader(errors.New("broken")))
	})
	sameAnswer(t, "in bytes", http.StatusOK, func() io.Reader { return iotest.OneByteReader(strings.NewReader(whole)) })
}

// Random and damaged answers are parsed as the SDK does.
func TestDeserializerRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var records []string
		for range rng.IntN(4) {
			data := make([]byte, rng.IntN(40))
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			members := []string{
				`"Data":"` + base64.StdEncoding.EncodeToString(data) + `"`, fmt.Sprintf(`"SequenceNumber":"%d"`, rng.Uint64()),
				fmt.Sprintf(`"PartitionKey":"%x"`, rng.Uint64()), fmt.Sprintf(`"ApproximateArrivalTimestamp":%v`, rng.Float64()*2e9), `"EncryptionType":"NONE"`,
			}
			rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
			records = append(records, "{"+strings.Join(members[:rng.IntN(len(members)+1)], ",")+"}")
		}
		text := []byte(fmt.Sprintf(`{"Records":[%s],"NextShardIterator":"%x","MillisBehindLatest":%d}`, strings.Join(records, ","), rng.Uint64(), rng.Uint32()))
		if rng.IntN(2) == 0 {
			const hostile = "\"\\{}[]:,. \n0-eE+a\x00\xff"
			text[rng.IntN(len(text))] = hostile[rng.IntN(len(hostile))]
		}
		sameAnswer(t, string(text), http.StatusOK, func() io.Reader { return strings.NewReader(string(text)) })
	}
}
