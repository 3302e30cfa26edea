package fakeaws

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// The size of a record, and the number of records that are put and read at once.
const (
	timedRecord = 17 << 10
	timedBatch  = 300
)

// rawClient is a client that reads no more than necessary, so that the benchmark measures the
// server.
type rawClient struct {
	conn net.Conn
	r    *bufio.Reader
	tail []byte // the end of the last answer
}

func dial(b *testing.B, address string) *rawClient {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	return &rawClient{conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
}

// call sends a request and discards the answer except for its end.
func (c *rawClient) call(op string, body []byte) error {
	head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: kinesis\r\nX-Amz-Target: Kinesis_20131202.%s\r\nContent-Length: %d\r\n\r\n", op, len(body))
	if _, err := (&net.Buffers{[]byte(head), body}).WriteTo(c.conn); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	const tail = 1 << 10
	if n := resp.ContentLength - tail; n > 0 {
		if _, err := io.CopyN(io.Discard, resp.Body, n); err != nil {
			return err
		}
	}
	if c.tail, err = io.ReadAll(resp.Body); err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, c.tail)
	}
	return err
}

// iterator returns the next iterator in the last answer.
func (c *rawClient) iterator() string {
	_, it, _ := strings.Cut(string(c.tail), `"NextShardIterator":"`)
	it, _, _ = strings.Cut(it, `"`)
	return it
}

// timed is a server with one shard per connection.
type timed struct {
	k       *Kinesis
	now     atomic.Int64
	address string
	body    []byte // a PutRecords request for the first shard
}

func newTimed(b *testing.B) *timed {
	b.Helper()
	t := &timed{}
	t.k = NewKinesis(KinesisOptions{
		NoReadLimits: true,
		Retention:    time.Second,
		Clock:        func() time.Time { return time.UnixMilli(1544414264183 + t.now.Load()) },
	})
	server := httptest.NewServer(t.k)
	b.Cleanup(server.Close)
	t.address = server.Listener.Addr().String()
	client := newClient(server.URL, server.Client().Transport)
	if _, err := client.CreateStream(b.Context(), &kinesis.CreateStreamInput{StreamName: aws.String(testStream), ShardCount: aws.Int32(1)}); err != nil {
		b.Fatal(err)
	}
	data := make([]byte, timedRecord)
	rand.NewChaCha8([32]byte{}).Read(data)
	record := fmt.Sprintf(`{"Data":"%s","PartitionKey":"34f2a1c4e8b0"},`, base64.StdEncoding.EncodeToString(data))
	t.body = fmt.Appendf(nil, `{"Records":[%s],"StreamName":"logs"}`, strings.TrimSuffix(strings.Repeat(record, timedBatch), ","))
	return t
}

func (t *timed) oldest(b *testing.B) string {
	b.Helper()
	text, err := iterator{Stream: testStream, Shard: *id(0), Next: t.k.streams[testStream].shards[0].start, Issued: t.k.now()}.text()
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// Each batch of record bytes is put once and read once, over a socket.
func BenchmarkKinesisPutAndGet(b *testing.B) {
	t := newTimed(b)
	producer, reader := dial(b, t.address), dial(b, t.address)
	it := t.oldest(b)
	b.SetBytes(timedBatch * timedRecord)
	for b.Loop() {
		// The clock advances, so that records that were read expire.
		t.now.Add(100)
		if err := producer.call("PutRecords", t.body); err != nil {
			b.Fatal(err)
		}
		if err := reader.call("GetRecords", fmt.Appendf(nil, `{"ShardIterator":%q}`, it)); err != nil {
			b.Fatal(err)
		}
		it = reader.iterator()
	}
	if n := t.k.streams[testStream].shards[0].newest - t.k.streams[testStream].shards[0].start; n%timedBatch != 0 || !bytes.Contains(reader.tail, []byte(`"MillisBehindLatest":0`)) {
		b.Fatalf("%d records were put, not all were read: %s", n, reader.tail)
	}
}

// One batch is read repeatedly, over one socket per processor.
func BenchmarkKinesisGet(b *testing.B) {
	t := newTimed(b)
	if err := dial(b, t.address).call("PutRecords", t.body); err != nil {
		b.Fatal(err)
	}
	it := t.oldest(b)
	b.SetBytes(timedBatch * timedRecord)
	b.RunParallel(func(pb *testing.PB) {
		reader := dial(b, t.address)
		for pb.Next() {
			if err := reader.call("GetRecords", fmt.Appendf(nil, `{"ShardIterator":%q}`, it)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
