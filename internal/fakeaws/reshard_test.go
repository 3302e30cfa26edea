package fakeaws

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// short returns a shard's number: the last digits of its id.
func short(id *string) string {
	s := strings.TrimLeft(strings.TrimPrefix(aws.ToString(id), "shardId-"), "0")
	if s == "" && id != nil {
		return "0"
	}
	return s
}

// lineage lists shards as "id<parent+adjacent parent", closed ones with an x.
func lineage(shards []types.Shard) string {
	var all []string
	for _, sh := range shards {
		s := short(sh.ShardId)
		if sh.ParentShardId != nil {
			s += "<" + short(sh.ParentShardId)
		}
		if sh.AdjacentParentShardId != nil {
			s += "+" + short(sh.AdjacentParentShardId)
		}
		if sh.SequenceNumberRange.EndingSequenceNumber != nil {
			s += "x"
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

// cover fails unless the open shards cover each hash key exactly once, and children begin after
// the ends of their parents.
func cover(f *fixture) {
	f.Helper()
	f.k.streams[testStream].mu.RLock()
	defer f.k.streams[testStream].mu.RUnlock()
	shards := f.k.streams[testStream].shards
	open := slices.DeleteFunc(slices.Clone(shards), func(sh *shard) bool { return !sh.isOpen() })
	slices.SortFunc(open, func(a, b *shard) int { return a.first.Cmp(b.first) })
	for i, sh := range open {
		if i == 0 && sh.first.Sign() != 0 || i > 0 && !follows(open[i-1], sh) || i == len(open)-1 && sh.last.Cmp(maxHashKey) != 0 {
			f.Errorf("the open shards do not cover the hash keys at %s, %s to %s", sh.id, sh.first, sh.last)
		}
	}
	for _, sh := range shards {
		for _, p := range sh.parents {
			if p.end == 0 || p.end >= sh.start || p.newest >= p.end {
				f.Errorf("%s starts at %d, its parent %s ends at %d behind %d", sh.id, sh.start, p.id, p.end, p.newest)
			}
		}
	}
}

func TestSplitShard_Success(t *testing.T) {
	f := newFixture(t, KinesisOptions{}, 2)
	f.put("a", []byte("before")) // a's hash key begins with 0c
	f.split(0, "1000")
	f.put("a", []byte("after"))
	shards := f.shards()
	if got := lineage(shards); got != "0x 1 2<0 3<0" {
		t.Errorf("shards: %s", got)
	}
	if got := *shards[2].HashKeyRange.EndingHashKey + " " + *shards[3].HashKeyRange.StartingHashKey; got != "999 1000" {
		t.Errorf("split at %s", got)
	}
	cover(f)
	out := f.get(f.oldest(0))
	if text(out.Records) != "before " || out.NextShardIterator != nil || *out.MillisBehindLatest != 0 {
		t.Errorf("the closed shard: %q, next %v, %d ms behind", text(out.Records), out.NextShardIterator, *out.MillisBehindLatest)
	}
	children := ""
	for _, c := range out.ChildShards {
		children += fmt.Sprintf("%s<%s %s-%s ", short(c.ShardId), short(&c.ParentShards[0]), *c.HashKeyRange.StartingHashKey, *c.HashKeyRange.EndingHashKey)
	}
	if want := "2<0 0-999 3<0 1000-170141183460469231731687303715884105727 "; children != want {
		t.Errorf("children: %s, want %s", children, want)
	}
	if got := text(f.get(f.oldest(3)).Records); got != "after " {
		t.Errorf("the child: %q", got)
	}
}

// A closed shard ends only when its last record is read.
func TestEndOfShard(t *testing.T) {
	f := newFixture(t, KinesisOptions{NoReadLimits: true}, 2)
	for i := range 3 {
		f.put("a", fmt.Append(nil, i))
	}
	tip := f.iterator(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "LATEST"})
	f.merge(0, 1)
	it := f.oldest(0)
	for i := range 3 {
		out, err := f.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(1)})
		f.check(err)
		end := i == 2
		if text(out.Records) != fmt.Sprint(i, " ") || (out.NextShardIterator == nil) != end || (len(out.ChildShards) > 0) != end {
			t.Errorf("record %d: %q, next %t, %d children", i, text(out.Records), out.NextShardIterator != nil, len(out.ChildShards))
		}
		it = out.NextShardIterator
	}
	ending := f.shards()[0].SequenceNumberRange.EndingSequenceNumber
	for name, it := range map[string]*string{
		"from before": tip,
		"latest":      f.iterator(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "LATEST"}),
		"the end":     f.iterator(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber: ending}),
	} {
		out := f.get(it)
		if len(out.Records) > 0 || out.NextShardIterator != nil || len(out.ChildShards) != 1 {
			t.Errorf("%s: %q, next %t, %d children", name, text(out.Records), out.NextShardIterator != nil, len(out.ChildShards))
			continue
		}
		if c := out.ChildShards[0]; short(c.ShardId) != "2" || strings.Join(c.ParentShards, " ") != *id(0)+" "+*id(1) || *c.HashKeyRange.EndingHashKey != maxHashKey.String() {
			t.Errorf("%s: child %s of %v to %s", name, *c.ShardId, c.ParentShards, *c.HashKeyRange.EndingHashKey)
		}
	}
}

func TestMergeShards_Success(t *testing.T) {
	f := newFixture(t, KinesisOptions{}, 4)
	f.merge(2, 1) // the upper one may come first
	f.merge(4, 3)
	if got := lineage(f.shards()); got != "0 1x 2x 3x 4<2+1x 5<4+3" {
		t.Errorf("shards: %s", got)
	}
	cover(f)
}

func TestReshard_Failure(t *testing.T) {
	x := newFixture(t, KinesisOptions{}, 4)
	x.merge(2, 3) // 4; 0, 1 and 4 are open
	before := lineage(x.shards())
	split := func(stream string, shard int, at, want string) {
		t.Helper()
		_, err := x.client.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: &stream, ShardToSplit: id(shard), NewStartingHashKey: &at})
		if code(err) != want {
			t.Errorf("split %d at %s: %v, want %s", shard, at, err, want)
		}
	}
	split("other", 0, "5", codeNotFound)
	split(testStream, 9, "5", codeNotFound)
	split(testStream, 2, "200000000000000000000000000000000000000", codeInvalidArgument) // closed
	split(testStream, 0, "x", codeInvalidArgument)
	split(testStream, 0, "1", codeInvalidArgument)
	split(testStream, 0, "85070591730234615865843651857942052863", codeInvalidArgument)
	split(testStream, 0, "85070591730234615865843651857942052864", codeInvalidArgument)
	merge := func(a, b int, want string) {
		t.Helper()
		_, err := x.client.MergeShards(t.Context(), &kinesis.MergeShardsInput{StreamName: aws.String(testStream), ShardToMerge: id(a), AdjacentShardToMerge: id(b)})
		if code(err) != want {
			t.Errorf("merge %d and %d: %v, want %s", a, b, err, want)
		}
	}
	merge(0, 4, codeInvalidArgument)
	merge(0, 0, codeInvalidArgument)
	merge(1, 2, codeInvalidArgument) // closed
	merge(9, 1, codeNotFound)
	merge(1, 9, codeNotFound)
	scale := func(n int32, scaling types.ScalingType, want string) {
		t.Helper()
		_, err := x.client.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{StreamName: aws.String(testStream), TargetShardCount: &n, ScalingType: scaling})
		if code(err) != want {
			t.Errorf("%d shards: %v, want %s", n, err, want)
		}
	}
	scale(0, types.ScalingTypeUniformScaling, codeValidation)
	scale(1, types.ScalingTypeUniformScaling, codeInvalidArgument)
	scale(7, types.ScalingTypeUniformScaling, codeInvalidArgument)
	scale(10_001, types.ScalingTypeUniformScaling, codeLimit)
	scale(4, "OTHER", codeValidation)
	if got := lineage(x.shards()); got != before {
		t.Errorf("shards: %s, want %s as before", got, before)
	}
	split(testStream, 0, "2", "<nil>")
}

func TestUpdateShardCount_Success(t *testing.T) {
	f := func(from, to int, want string) {
		t.Helper()
		x := newFixture(t, KinesisOptions{}, from)
		out, err := x.client.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{StreamName: aws.String(testStream), TargetShardCount: aws.Int32(int32(to)), ScalingType: types.ScalingTypeUniformScaling})
		x.check(err)
		if int(*out.CurrentShardCount) != from || int(*out.TargetShardCount) != to {
			t.Errorf("%d to %d: from %d to %d", from, to, *out.CurrentShardCount, *out.TargetShardCount)
		}
		if got := lineage(x.shards()); want != "" && got != want {
			t.Errorf("%d to %d: %s, want %s", from, to, got, want)
		}
		cover(x)
		open := x.k.streams[testStream].open
		if len(open) != to {
			t.Fatalf("%d to %d: %d shards", from, to, len(open))
		}
		for i, sh := range open {
			if sh.first.Cmp(uniformStart(i, to)) != 0 {
				t.Errorf("%d to %d: shard %d begins at %s", from, to, i, sh.first)
			}
		}
	}
	f(1, 2, "0x 1<0 2<0")
	f(2, 4, "0x 1x 2<0 3<0 4<1 5<1")
	f(4, 2, "0x 1x 2x 3x 4<0+1 5<2+3")
	f(3, 3, "0 1 2")
	f(2, 3, "0x 1x 2<0 3<0x 4<1x 5<1 6<3+4") // 3 and 4 live short
	f(5, 3, "")
	f(7, 13, "")
	f(100, 199, "")
}
