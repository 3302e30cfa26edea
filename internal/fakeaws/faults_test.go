package fakeaws

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// Each fault, over a socket and without one: the client's error, and whether the service has
// carried out the call.
func TestInject(t *testing.T) {
	const delay = 50 * time.Millisecond
	f := func(name string, fault Fault, patience time.Duration, wantErr string, applied bool) {
		t.Run(name, func(t *testing.T) {
			on := func(t *testing.T, k *Kinesis, connect func(http.Handler) *kinesis.Client) {
				client := connect(Inject(k, func(c Call) Fault {
					if c.Operation != "CreateStream" || !strings.Contains(string(c.Body), testStream) {
						t.Errorf("the call is %s %s", c.Operation, c.Body)
					}
					return fault
				}))
				begun := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				_, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String(testStream), ShardCount: aws.Int32(1)})
				if wantErr == "" && err != nil || wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)) {
					t.Errorf("want %q, got %v", wantErr, err)
				}
				if took := time.Since(begun); took < min(patience, fault.Delay+fault.Late) {
					t.Errorf("it took only %s", took)
				}
				there := func() bool {
					_, err := k.stream(streamRef{StreamName: testStream})
					return err == nil
				}
				for deadline := time.Now().Add(4 * delay); applied && !there() && time.Now().Before(deadline); {
					time.Sleep(time.Millisecond)
				}
				if !applied {
					time.Sleep(2 * delay)
				}
				if there() != applied {
					t.Errorf("carried out: %v", there())
				}
			}
			t.Run("socket", func(t *testing.T) {
				on(t, NewKinesis(KinesisOptions{}), func(h http.Handler) *kinesis.Client {
					server := httptest.NewServer(h)
					t.Cleanup(server.Close)
					return newClient(server.URL, server.Client().Transport)
				})
			})
			t.Run("roundtripper", func(t *testing.T) {
				on(t, NewKinesis(KinesisOptions{}), func(h http.Handler) *kinesis.Client {
					return newClient("http://kinesis.invalid", RoundTripper(h))
				})
			})
		})
	}
	const ample = time.Minute
	f("none", Fault{}, ample, "", true)
	f("delay", Fault{Delay: delay}, ample, "", true)
	f("hang", Fault{Delay: Hang}, delay, "deadline exceeded", false)
	f("outlived", Fault{Delay: 2 * delay, Outlive: true}, delay, "deadline exceeded", true)
	f("outlive, in time", Fault{Delay: delay, Outlive: true}, ample, "", true)
	f("refuse", Fault{Refuse: &APIError{Code: "LimitExceededException", Message: "no more"}}, ample, "LimitExceededException: no more", false)
	f("refuse, service failed", Fault{Refuse: &APIError{Code: codeInternal, Status: 500}}, ample, "StatusCode: 500", false)
	f("lose", Fault{Lose: true}, ample, "EOF", false)
	f("late", Fault{Late: delay}, ample, "", true)
	f("deaf", Fault{Late: Hang}, delay, "deadline exceeded", true)
	f("lose answer", Fault{LoseAnswer: true}, ample, "EOF", true)
}

func TestMissShards(t *testing.T) {
	f := newFixture(t, KinesisOptions{}, 3)
	client := newClient("http://kinesis.invalid", RoundTripper(Inject(f.k, func(Call) Fault {
		return Fault{Edit: MissShards(func(shard string) bool { return shard == *id(1) })}
	})))
	out, err := client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String(testStream)})
	f.check(err)
	if len(out.Shards) != 2 || *out.Shards[0].ShardId != *id(0) || *out.Shards[1].ShardId != *id(2) {
		t.Errorf("listed: %+v", out.Shards)
	}
}

func TestCallShard(t *testing.T) {
	f := newFixture(t, KinesisOptions{}, 2)
	var shards []string
	client := newClient("http://kinesis.invalid", RoundTripper(Inject(f.k, func(c Call) Fault {
		shards = append(shards, c.Shard())
		return Fault{}
	})))
	it, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String(testStream), ShardId: id(1), ShardIteratorType: "TRIM_HORIZON"})
	f.check(err)
	_, err = client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
	f.check(err)
	_, err = client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String(testStream)})
	f.check(err)
	if got := strings.Join(shards, " "); got != *id(1)+" "+*id(1)+" " {
		t.Errorf("shards: %q", got)
	}
}
