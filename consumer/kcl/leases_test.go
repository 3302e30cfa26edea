package kcl

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/rs/zerolog"
	library "github.com/vmware/vmware-go-kcl-v2/clientlibrary/checkpoint"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/partition"

	"logsluice/checkpoint"
	"logsluice/internal/fakeaws"
	"logsluice/internal/fakeaws/fakedynamodb"
)

const (
	shard0, shard1 = "shardId-000000000000", "shardId-000000000001"
	leaseDuration  = 15 * time.Second
)

// recordingReader is a Reader that records its calls.
type recordingReader struct {
	Reader
	mu    sync.Mutex
	calls []string
}

func (r *recordingReader) Acquired(shard string) { r.add("acquired " + shard) }
func (r *recordingReader) Ended(shard string)    { r.add("ended " + shard) }

func (r *recordingReader) add(call string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
}

func (r *recordingReader) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// fixture is a DynamoDB with the leases of workers. Its writes are lost while isDown is set.
type fixture struct {
	*testing.T
	db     *dynamodb.Client
	isDown atomic.Bool
}

func withFixture(t *testing.T, f func(s *fixture)) {
	synctest.Test(t, func(t *testing.T) {
		f(&fixture{T: t, db: dynamodb.New(dynamodb.Options{
			Region: "us-east-1", BaseEndpoint: aws.String("http://dynamodb.invalid"),
			Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
			HTTPClient:  &http.Client{Transport: fakeaws.RoundTripper(fakedynamodb.New(fakedynamodb.Options{}))},
		})})
	})
}

func list(context.Context) ([]checkpoint.Shard, time.Time, error) {
	return []checkpoint.Shard{{ID: shard0}, {ID: shard1, Parents: []string{shard0}}}, time.Now(), nil
}

// open returns the leases of a worker that has scanned the table.
func (s *fixture) open(worker string) (*leases, *recordingReader) {
	s.Helper()
	position, err := checkpoint.ParsePosition("TRIM_HORIZON")
	if err != nil {
		s.Fatal(err)
	}
	table, err := checkpoint.New(checkpoint.Config{
		Table: "leases", Worker: worker, LeaseDuration: leaseDuration, InitialPosition: position, Log: zerolog.Nop(),
	}, failingDB{s.db, &s.isDown})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(table.Close)
	if err := table.Open(s.Context(), checkpoint.Stream{Name: "logs"}, list); err != nil {
		s.Fatal(err)
	}
	reader := &recordingReader{}
	return &leases{table: table, reader: reader, worker: worker}, reader
}

// failingDB is a DynamoDB whose writes are lost while isDown is set.
type failingDB struct {
	checkpoint.DynamoDB
	isDown *atomic.Bool
}

func (f failingDB) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, options ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	if f.isDown.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return f.DynamoDB.UpdateItem(ctx, in, options...)
}

// status returns the library's state of a shard.
func status(shard, owner string) *partition.ShardStatus {
	return &partition.ShardStatus{ID: shard, Mux: &sync.RWMutex{}, AssignedTo: owner}
}

// get calls GetLease and returns whether the lease is acquired or still held.
func (s *fixture) get(l *leases, shard *partition.ShardStatus) (acquired bool) {
	s.Helper()
	err := l.GetLease(shard, l.worker)
	if err != nil && !errors.As(err, &library.ErrLeaseNotAcquired{}) {
		s.Errorf("the KCL would log %v", err)
	}
	return err == nil
}

func (s *fixture) sync(l *leases) {
	s.Helper()
	if err := l.table.Sync(s.Context(), list); err != nil {
		s.Error(err)
	}
}

// The life of a lease with the calls that the library makes, and the calls to the Reader. A
// renewal, or a lease that is not acquired, makes no call to the Reader.
func TestLeases(t *testing.T) {
	withFixture(t, func(s *fixture) {
		l, reader := s.open("w")
		child := status(shard1, "")
		if err := l.FetchCheckpoint(child); !errors.Is(err, library.ErrSequenceIDNotFound) || child.GetCheckpoint() != "" {
			s.Errorf("the checkpoint of a shard without a row: %q, %v", child.GetCheckpoint(), err)
		}
		if s.get(l, child) {
			s.Error("a child is acquired whose parent is not read")
		}
		if _, err := l.GetLeaseOwner(shard0); !errors.Is(err, library.NoLeaseOwnerErr) {
			s.Errorf("the owner of a shard without a row: %v", err)
		}
		shard := status(shard0, "")
		if !s.get(l, shard) || shard.GetLeaseOwner() != "w" || shard.GetCheckpoint() != "" {
			s.Errorf("after it is acquired: owner %q, checkpoint %q", shard.GetLeaseOwner(), shard.GetCheckpoint())
		}
		if owner, err := l.GetLeaseOwner(shard0); owner != "w" || err != nil {
			s.Errorf("owner %q, %v", owner, err)
		}
		if !s.get(l, shard) {
			s.Error("a lease that is held is not renewed")
		}
		shard.SetCheckpoint("100")
		if err := l.CheckpointSequence(shard); err != nil {
			s.Error(err)
		}
		shard.SetLeaseOwner("") // as the library does before it releases a lease
		if err := l.RemoveLeaseOwner(shard0); err != nil {
			s.Error(err)
		}
		s.sync(l)
		again := status(shard0, "")
		if err := l.FetchCheckpoint(again); err != nil || again.GetCheckpoint() != "100" || again.GetLeaseOwner() != "" {
			s.Errorf("after the release: owner %q, checkpoint %q, %v", again.GetLeaseOwner(), again.GetCheckpoint(), err)
		}
		if !s.get(l, again) || again.GetCheckpoint() != "100" {
			s.Errorf("acquired again at %q", again.GetCheckpoint())
		}
		again.SetCheckpoint(library.ShardEnd)
		if err := l.CheckpointSequence(again); err != nil {
			s.Error(err)
		}
		if err := l.RemoveLeaseOwner(shard0); err != nil {
			s.Error(err)
		}
		if err := l.FetchCheckpoint(again); err != nil || again.GetCheckpoint() != library.ShardEnd {
			s.Errorf("after its end: checkpoint %q, %v", again.GetCheckpoint(), err)
		}
		if err := l.RemoveLeaseOwner(shard0); err != nil {
			s.Errorf("release of a lease that is not held: %v", err)
		}
		want := []string{"acquired " + shard0, "ended " + shard0, "acquired " + shard0, "ended " + shard0, "ended " + shard0}
		if !slices.Equal(reader.all(), want) {
			s.Errorf("calls to the Reader: %q", reader.all())
		}
	})
}

// While a lease drains, and after it was lost, the library starts no second reader, and the
// first one must not continue.
func TestNoSecondReader(t *testing.T) {
	withFixture(t, func(s *fixture) {
		l, reader := s.open("w")
		shard := status(shard0, "")
		if !s.get(l, shard) {
			s.Fatal("not acquired")
		}
		lease := l.table.Lease(shard0)
		s.isDown.Store(true)
		<-lease.Context().Done()
		s.isDown.Store(false)
		if s.get(l, shard) {
			s.Error("the reader of a lost lease continues")
		}
		shard.SetCheckpoint(library.ShardEnd)
		if err := l.CheckpointSequence(shard); err == nil {
			s.Error("a lost lease wrote the end of the shard")
		}
		if s.get(l, status(shard0, "")) {
			s.Error("a second reader gets a lost lease")
		}
		if err := l.RemoveLeaseOwner(shard0); err != nil {
			s.Error(err)
		}
		if err := l.CheckpointSequence(shard); !errors.Is(err, errLost) {
			s.Errorf("a released lease wrote the end of the shard: %v", err)
		}
		if s.get(l, shard) {
			s.Error("a reader continues after its lease was released")
		}
		time.Sleep(2 * leaseDuration)
		s.sync(l)
		time.Sleep(2 * leaseDuration)
		s.sync(l)
		if shard = status(shard0, ""); !s.get(l, shard) {
			s.Fatal("not acquired after the lease duration")
		}
		drain := make(chan struct{})
		l.table.Lease(shard0).BeforeRelease(func() { <-drain })
		shard.SetLeaseOwner("")
		released := make(chan error)
		go func() { released <- l.RemoveLeaseOwner(shard0) }()
		synctest.Wait()
		if calls := reader.all(); calls[len(calls)-1] != "ended "+shard0 {
			s.Error("Ended is not called before the drain")
		}
		if err := l.FetchCheckpoint(shard); !errors.Is(err, library.ErrSequenceIDNotFound) || shard.GetLeaseOwner() != "" {
			s.Errorf("while it drains: owner %q, %v", shard.GetLeaseOwner(), err)
		}
		if s.get(l, shard) {
			s.Error("a second reader gets a draining lease")
		}
		close(drain)
		if err := <-released; err != nil {
			s.Error(err)
		}
	})
}

// A row with this worker's name and no heartbeat is from before a restart: the library does
// not treat it as its own.
func TestOwnRowFromBeforeRestart(t *testing.T) {
	withFixture(t, func(s *fixture) {
		before, _ := s.open("w")
		if !s.get(before, status(shard0, "")) {
			s.Fatal("not acquired")
		}
		before.table.Close()
		again, _ := s.open("w")
		shard := status(shard0, "")
		if err := again.FetchCheckpoint(shard); !errors.Is(err, library.ErrSequenceIDNotFound) {
			s.Error(err)
		}
		if owner := shard.GetLeaseOwner(); owner != "" {
			s.Errorf("FetchCheckpoint returns the owner %q", owner)
		}
		other, _ := s.open("other")
		if err := other.FetchCheckpoint(shard); !errors.Is(err, library.ErrSequenceIDNotFound) || shard.GetLeaseOwner() != "w" {
			s.Errorf("another worker gets the owner %q, %v", shard.GetLeaseOwner(), err)
		}
	})
}

// The rows have the library's attributes, so that its tables keep working.
func TestTableIsTheKCLs(t *testing.T) {
	withFixture(t, func(s *fixture) {
		if library.ShardEnd != checkpoint.ShardEnd {
			s.Errorf("the end of a shard is %q, in the library %q", checkpoint.ShardEnd, library.ShardEnd)
		}
		l, _ := s.open("w")
		for _, id := range []string{shard0, shard1} {
			shard := status(id, "")
			if !s.get(l, shard) {
				s.Fatalf("%s is not acquired", id)
			}
			shard.SetCheckpoint(library.ShardEnd)
			if err := l.CheckpointSequence(shard); err != nil {
				s.Fatal(err)
			}
			s.sync(l)
		}
		if _, err := s.db.UpdateItem(s.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String("leases"), Key: map[string]types.AttributeValue{library.LeaseKeyKey: &types.AttributeValueMemberS{Value: shard1}},
			UpdateExpression:          aws.String("SET " + library.ClaimRequestKey + " = :other"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":other": &types.AttributeValueMemberS{Value: "other"}},
		}); err != nil {
			s.Fatal(err)
		}
		s.sync(l)
		if l.table.Lease(shard1).Reading().Err() == nil {
			s.Error("the library's claim is not observed")
		}
		out, err := s.db.GetItem(s.Context(), &dynamodb.GetItemInput{
			TableName: aws.String("leases"), Key: map[string]types.AttributeValue{library.LeaseKeyKey: &types.AttributeValueMemberS{Value: shard1}},
		})
		if err != nil {
			s.Fatal(err)
		}
		for attribute, want := range map[string]string{
			library.LeaseKeyKey: shard1, library.LeaseOwnerKey: "w", library.SequenceNumberKey: library.ShardEnd, library.ParentShardIdKey: shard0,
		} {
			if got, ok := out.Item[attribute].(*types.AttributeValueMemberS); !ok || got.Value != want {
				s.Errorf("%s is %v, want %s", attribute, out.Item[attribute], want)
			}
		}
		timeout, ok := out.Item[library.LeaseTimeoutKey].(*types.AttributeValueMemberS)
		if !ok {
			s.Fatalf("%s is %v", library.LeaseTimeoutKey, out.Item[library.LeaseTimeoutKey])
		}
		if at, err := time.Parse(time.RFC3339Nano, timeout.Value); err != nil || at.Before(time.Now()) {
			s.Errorf("%s is %q", library.LeaseTimeoutKey, timeout.Value)
		}
		for _, id := range []string{shard0, shard1} {
			if err := l.RemoveLeaseOwner(id); err != nil {
				s.Error(err)
			}
		}
	})
}
