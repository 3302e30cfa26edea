package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/rs/zerolog"

	"logsluice/checkpoint"
	"logsluice/internal/fakeaws"
	"logsluice/local/localtest"
)

func shardID(n int) string { return fmt.Sprintf("shardId-%012d", n) }

// newLeaseCluster returns a cluster without OpenSearch, with an existing lease table.
func newLeaseCluster(t *testing.T, shards int32) *cluster {
	t.Helper()
	c := &cluster{t: t, application: fmt.Sprintf("t%d", time.Now().UnixNano()), dynamoDBURL: localtest.DynamoDB(t)}
	c.connect(fakeaws.KinesisOptions{}, shards)
	for name, value := range map[string]string{
		"STREAM_NAME": "s", "APPLICATION_NAME": c.application, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
		"AWS_ENDPOINT_URL_KINESIS": c.kinesisURL, "AWS_ENDPOINT_URL_DYNAMODB": c.dynamoDBURL,
	} {
		setenv(t, name, value)
	}
	c.holder("first")
	return c
}

// holder starts a worker without a reader that holds leases.
func (c *cluster) holder(name string, shards ...int) *checkpoint.Table {
	c.t.Helper()
	position, _ := checkpoint.ParsePosition("TRIM_HORIZON")
	table, err := checkpoint.New(checkpoint.Config{
		Table: c.application, Worker: name, LeaseDuration: cmp.Or(c.lease, 2*time.Second), InitialPosition: position, Log: zerolog.Nop()}, c.dynamoDB)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(table.Close)
	list := func(context.Context) (listed []checkpoint.Shard, now time.Time, err error) {
		for _, n := range shards {
			listed = append(listed, checkpoint.Shard{ID: shardID(n)})
		}
		return listed, time.Now(), nil
	}
	if err := table.Open(c.t.Context(), checkpoint.Stream{}, list); err != nil {
		c.t.Fatal(err)
	}
	for _, n := range shards {
		if _, err := table.Acquire(c.t.Context(), shardID(n)); err != nil {
			c.t.Fatal(err)
		}
	}
	return table
}

func (c *cluster) listed() []types.Shard {
	c.t.Helper()
	answer, err := c.kinesis.ListShards(c.t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")})
	if err != nil {
		c.t.Fatal(err)
	}
	return answer.Shards
}

// row puts a row with string attributes. Its starting sequence number is the listed shard's, so
// that it belongs to that shard.
func (c *cluster) row(shard int, attributes ...string) {
	c.t.Helper()
	it := map[string]dynamotypes.AttributeValue{"ShardID": &dynamotypes.AttributeValueMemberS{Value: shardID(shard)}}
	if shards := c.listed(); shard < len(shards) {
		it["StartingSequenceNumber"] = &dynamotypes.AttributeValueMemberS{Value: *shards[shard].SequenceNumberRange.StartingSequenceNumber}
	}
	for i := 0; i+1 < len(attributes); i += 2 {
		it[attributes[i]] = &dynamotypes.AttributeValueMemberS{Value: attributes[i+1]}
	}
	if _, err := c.dynamoDB.PutItem(c.t.Context(), &dynamodb.PutItemInput{TableName: &c.application, Item: it}); err != nil {
		c.t.Fatal(err)
	}
}

// lease is a shard in the command's JSON output.
type lease struct {
	Shard         string
	Parents       []string
	State         checkpoint.State
	Closed        bool
	Owner         string
	ClaimedBy     string `json:"claimed_by"`
	Checkpoint    string
	Start         string
	LastHeartbeat *time.Time `json:"last_sign_of_life"`
	Age           *float64   `json:"age_seconds"`
	Lag           *float64   `json:"lag_seconds"`
	LagError      string     `json:"lag_error"`
	ReadThrough   *time.Time `json:"read_through"`
	Unread        *float64   `json:"unread_seconds"`
	Rate          float64    `json:"read_rate"`
	Gaps          int64
	GapFrom       *time.Time `json:"gap_from"`
	GapTo         *time.Time `json:"gap_to"`
}

// shown returns the command's JSON output by shard.
func shown(t *testing.T, args ...string) map[string]lease {
	t.Helper()
	code, out, errOut := command(t, nil, nil, append([]string{"leases", "--output=json"}, args...)...)
	var leases []lease
	if err := json.Unmarshal([]byte(out), &leases); code != exitOK || errOut != "" || err != nil || leases == nil {
		t.Fatalf("exit %d, %s%s%v", code, out, errOut, err)
	}
	byShard := make(map[string]lease)
	for _, l := range leases {
		byShard[l.Shard] = l
	}
	return byShard
}

func wantExit(t *testing.T, want int, errWords []string, code int, errOut string) {
	t.Helper()
	if code != want || strings.Count(errOut, "logsluice: ") != 1 || !strings.HasSuffix(errOut, "\n") {
		t.Errorf("exit %d, want %d: %s", code, want, errOut)
	}
	for _, word := range errWords {
		if !strings.Contains(errOut, word) {
			t.Errorf("%q lacks %q", errOut, word)
		}
	}
}

// A stream of four shards, of which two were split and two merged, in all states.
func TestLeasesShow_Success(t *testing.T) {
	t.Parallel()
	c := newLeaseCluster(t, 4)
	c.reshard() // 4, 5 of 0; 6, 7 of 1; 8 of 2 and 3
	c.holder("worker-a", 1)
	c.row(0, "Checkpoint", "SHARD_END")
	c.row(2, "Checkpoint", "7", "AssignedTo", "worker-a", "ClaimRequest", "worker-b")
	through := time.Now().Add(-time.Hour)
	c.row(4, "Checkpoint", "9", "ReadThrough", fmt.Sprint(through.UnixMilli()), "ReadAt", fmt.Sprint(time.Now().Add(-10*time.Minute).UnixMilli()), "ReadRate", "1.5",
		"Gaps", "2", "GapFrom", "1768435200000", "GapTo", "1768478400000")
	c.row(99, "Checkpoint", "3", "ParentShardId", "p", "AdjacentParentShardId", "q")

	f := func(name, states string, args ...string) {
		t.Helper()
		var got []string
		for n, l := range shown(t, args...) {
			if l.Age != nil != (n == shardID(1)) || l.Age != nil && (*l.Age < 0 || *l.Age > 60 || time.Since(*l.LastHeartbeat).Abs() > time.Minute) {
				t.Errorf("%s: age: %+v", name, l)
			}
		}
		all := shown(t, args...)
		for n := range 100 {
			if l, ok := all[shardID(n)]; ok {
				got = append(got, fmt.Sprint(n, " ", l.State))
			}
		}
		if s := strings.Join(got, ", "); s != states {
			t.Errorf("%s: %s", name, s)
		}
	}
	f("with the stream", "0 finished, 1 active, 2 claimed, 3 not started, 4 free, 5 not started, 6 waiting, 7 waiting, 8 waiting, 99 expired")
	f("only the table", "0 finished, 1 active, 2 claimed, 4 free, 99 free", "--stream-name=")

	all := shown(t)
	if l := all[shardID(2)]; l.Owner != "worker-a" || l.ClaimedBy != "worker-b" || l.Checkpoint != "7" || !l.Closed || l.Start != "" || len(l.Parents) != 0 {
		t.Errorf("%+v", l)
	}
	if l := all[shardID(8)]; strings.Join(l.Parents, ",") != shardID(2)+","+shardID(3) || l.Closed || l.Start != "TRIM_HORIZON" {
		t.Errorf("%+v", l)
	}
	if l := all[shardID(4)]; l.ReadThrough == nil || l.ReadThrough.Sub(through).Abs() > time.Second || l.Unread == nil || *l.Unread < 590 || *l.Unread > 3600 || l.Rate != 1.5 ||
		l.Gaps != 2 || l.GapFrom.Unix() != 1768435200 || l.GapTo.Unix() != 1768478400 {
		t.Errorf("%+v", l)
	}
	if l := all[shardID(1)]; l.Unread != nil || l.ReadThrough != nil {
		t.Errorf("%+v", l)
	}
	table := func(want []string, args ...string) {
		t.Helper()
		code, out, errOut := command(t, nil, nil, append([]string{"leases"}, args...)...)
		if code != exitOK || errOut != "" || strings.Count(out, "\n") != 11 || strings.Contains(out, "\x1b") {
			t.Fatalf("exit %d, %s%s", code, errOut, out)
		}
		for _, words := range want {
			if !strings.Contains(strings.Join(strings.Fields(out), " "), words) {
				t.Errorf("no %q in\n%s", words, out)
			}
		}
	}
	table([]string{
		"SHARD STATE OWNER AGE CHECKPOINT NOTE",
		shardID(0) + " finished - - SHARD_END",
		shardID(1) + " active, closed worker-a",
		shardID(2) + " claimed by worker-b worker-a - 7",
		shardID(3) + " not started, closed - - TRIM_HORIZON",
		shardID(4) + " free - - 9",
		", gap 2026-01-15T00:00:00Z/2026-01-15T12:00:00Z " + shardID(5),
		shardID(8) + " waiting for 2,3 - - TRIM_HORIZON",
		shardID(99) + " expired - - 3",
	})
	table([]string{
		"SHARD PARENTS STATE OWNER AGE CHECKPOINT NOTE",
		shardID(0) + " - finished - - SHARD_END",
		shardID(1) + " - active, closed worker-a",
		shardID(2) + " - claimed by worker-b, closed worker-a - 7",
		shardID(3) + " - not started, closed - - starts at TRIM_HORIZON",
		shardID(4) + " " + shardID(0) + " free - - 9",
		", gap 2026-01-15T00:00:00Z/2026-01-15T12:00:00Z " + shardID(5),
		shardID(8) + " " + shardID(2) + "," + shardID(3) + " waiting for parents - - starts at TRIM_HORIZON",
		shardID(99) + " p,q expired - - 3",
	}, "--wide")
	empty := newLeaseCluster(t, 1)
	if code, out, _ := command(t, map[string]string{"STREAM_NAME": ""}, nil, "leases", "--output=json"); code != exitOK || out != "[]\n" {
		t.Errorf("%s: exit %d, %q", empty.application, code, out)
	}
}

func TestLeasesLag_Success(t *testing.T) {
	t.Parallel()
	c := newLeaseCluster(t, 3)
	keys := map[string]string{} // a partition key for each shard
	var numbers []string
	for i := 0; len(keys) < 3; i++ {
		out, err := c.kinesis.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String(fmt.Sprint(i)), Data: []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		if *out.ShardId == shardID(0) {
			numbers = append(numbers, *out.SequenceNumber)
		}
		keys[*out.ShardId] = fmt.Sprint(i)
	}
	for _, id := range []string{shardID(0), shardID(1), shardID(2)} {
		c.put(keys[id], []byte("y"))
	}
	c.row(0, "Checkpoint", numbers[len(numbers)-1]) // one record is left
	c.ahead.Store(int64(time.Hour))
	c.faults(func(call fakeaws.Call) (fault fakeaws.Fault) {
		if call.Operation == "GetRecords" && call.Shard() == shardID(2) {
			fault.Refuse = &fakeaws.APIError{Code: "AccessDeniedException", Message: "injected"}
		}
		return fault
	})
	all := shown(t, "--lag")
	if l := all[shardID(0)]; l.Lag == nil || *l.Lag != 0 {
		t.Errorf("one record unread: %+v", l)
	}
	if l := all[shardID(1)]; l.Lag == nil || *l.Lag < 3600 || *l.Lag > 3700 {
		t.Errorf("unread: %+v", l)
	}
	if l := all[shardID(2)]; l.Lag != nil || l.LagError != "AccessDeniedException" {
		t.Errorf("failing: %+v", l)
	}
	c.split(c.listed()[1])
	c.row(1, "Checkpoint", "SHARD_END")
	if l := shown(t, "--lag")[shardID(1)]; l.Lag != nil || l.LagError != "" {
		t.Errorf("finished: %+v", l)
	}
	_, out, _ := command(t, nil, nil, "leases", "--lag")
	for _, words := range []string{"CHECKPOINT LAG\n", numbers[len(numbers)-1][:20] + "… 0s\n", "SHARD_END -\n", "TRIM_HORIZON AccessDeniedException\n"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " ")+"\n", strings.TrimSuffix(words, "\n")) {
			t.Errorf("no %q in\n%s", words, out)
		}
	}
	var asked atomic.Int64
	c.faults(func(call fakeaws.Call) fakeaws.Fault {
		if call.Operation == "GetRecords" {
			asked.Add(1)
		}
		return fakeaws.Fault{}
	})
	if l := shown(t)[shardID(1)]; l.Lag != nil || asked.Load() != 0 {
		t.Errorf("%d reads without --lag", asked.Load())
	}
}

// notifyWriter sends to wrote at each write.
type notifyWriter struct {
	localtest.Buffer
	wrote chan struct{}
}

func (w *notifyWriter) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	w.wrote <- struct{}{}
	return n, err
}

func TestLeasesWatch_Success(t *testing.T) {
	t.Parallel()
	c := newLeaseCluster(t, 2)
	f := func(watch string, minimum time.Duration) {
		t.Helper()
		ctx, stop := context.WithCancel(t.Context())
		out := &notifyWriter{wrote: make(chan struct{}, 1000)}
		var errOut bytes.Buffer
		begun := time.Now()
		exit := make(chan int)
		go func() {
			exit <- program(ctx, t, append(append([]string{"leases"}, strings.Fields(watch)...), "--output=json"), nil, out, &errOut)
		}()
		<-out.wrote
		<-out.wrote
		if took := time.Since(begun); took < minimum || took > minimum+5*time.Minute {
			t.Errorf("%s: twice in %s", watch, took)
		}
		stop()
		if code := <-exit; code != exitOK || errOut.Len() > 0 {
			t.Errorf("%s: exit %d, %s", watch, code, errOut.String())
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		for _, line := range lines {
			var leases []lease
			if err := json.Unmarshal([]byte(line), &leases); err != nil || len(leases) != 2 {
				t.Errorf("%s: %v in %q", watch, err, line)
			}
		}
		if len(lines) < 2 {
			t.Errorf("%s: %d lines", watch, len(lines))
		}
	}
	f("--watch", 2*time.Second)
	f("--watch=200ms", 200*time.Millisecond)
	f("--watch 200ms", 200*time.Millisecond)

	// The command can end during a call.
	ctx, stop := context.WithCancel(t.Context())
	c.throughProxy(func(fakeaws.Call) fakeaws.Fault {
		stop()
		return fakeaws.Fault{Delay: fakeaws.Hang}
	})
	var errOut bytes.Buffer
	if code := program(ctx, t, []string{"leases", "--watch"}, nil, io.Discard, &errOut); code != exitOK || errOut.Len() > 0 {
		t.Errorf("exit %d, %s", code, errOut.String())
	}
}

func TestLeases_Failure(t *testing.T) {
	t.Parallel()
	c := newLeaseCluster(t, 1)
	f := func(want int, words string, env map[string]string, args ...string) {
		t.Helper()
		t.Run(words, func(t *testing.T) {
			code, out, errOut := command(t, env, nil, append([]string{"leases"}, args...)...)
			wantExit(t, want, strings.Split(words, ","), code, errOut)
			if out != "" || strings.Count(errOut, "\n") != 1 {
				t.Errorf("%q, %q", out, errOut)
			}
		})
	}
	f(exitSettings, "APPLICATION_NAME,missing", map[string]string{"APPLICATION_NAME": ""})
	f(exitSettings, "APPLICATION_NAME,lease table \"nowhere\" does not exist", map[string]string{"APPLICATION_NAME": "nowhere"})
	f(exitSettings, "STREAM_NAME,stream \"nowhere\" does not exist", map[string]string{"STREAM_NAME": "nowhere"})
	f(exitSettings, "STREAM_NAME,missing", map[string]string{"STREAM_NAME": ""}, "--lag")
	f(exitSettings, "AWS_REGION,is missing", map[string]string{"AWS_REGION": "", "AWS_CONFIG_FILE": "/dev/null"})
	f(exitSettings, "--watch,is too short", nil, "--watch=1ms")
	f(exitSettings, "--output", nil, "--output=xml")
	f(exitSettings, "--to", nil, "reset")
	f(exitSettings, "--to,not a position", nil, "reset", "--to=yesterday")
	f(exitSettings, "in the future", nil, "reset", "--to=2999-01-01T00:00:00Z", "--yes")
	f(exitSettings, "STREAM_NAME,is missing", map[string]string{"STREAM_NAME": ""}, "reset", "--to=latest")
	f(exitSettings, "shardId-000000000077 is neither", nil, "reset", "--to=latest", "--yes", "--shard=shardId-000000000077")
	f(exitSettings, "lease table \"nowhere\" does not exist", map[string]string{"APPLICATION_NAME": "nowhere"}, "reset", "--to=latest", "--yes")
	for id := range c.leases() {
		t.Errorf("%s was written", id)
	}
}

// starts returns the checkpoint or start of each shard as the command reports it.
func starts(t *testing.T) map[string]string {
	t.Helper()
	byShard := make(map[string]string)
	for id, l := range shown(t) {
		byShard[id] = l.Checkpoint + l.Start
	}
	return byShard
}

func TestLeasesReset_Success(t *testing.T) {
	t.Parallel()
	f := func(want0, want1, want2 string, args ...string) {
		t.Helper()
		c := newLeaseCluster(t, 3)
		c.row(0, "Checkpoint", "5", "StartPosition", "TRIM_HORIZON")
		c.split(c.listed()[1])
		c.row(1, "Checkpoint", "SHARD_END")
		now := time.Now().Add(time.Hour)
		c.ahead.Store(int64(time.Hour)) // Kinesis' clock counts
		code, out, errOut := command(t, nil, nil, append([]string{"leases", "reset", "--yes"}, args...)...)
		if code != exitOK || !strings.Contains(out, "SHARD") || !strings.Contains(out, "shards reset.\n") || !strings.Contains(out, shardID(0)) {
			t.Errorf("%s: exit %d, %s%s", args, code, out, errOut)
		}
		got := starts(t)
		for n, want := range []string{want0, want1, want2} {
			at, isTime := strings.CutPrefix(got[shardID(n)], "AT_TIMESTAMP ")
			moment, _ := time.Parse(time.RFC3339Nano, at)
			if isNow := isTime && moment.Sub(now).Abs() < 30*time.Minute; want == "now" && !isNow || want != "now" && got[shardID(n)] != want {
				t.Errorf("%s: %d begins at %s, want %s", args, n, got[shardID(n)], want)
			}
		}
	}
	const moment = "2026-01-31T09:00:00Z"
	f("TRIM_HORIZON", "TRIM_HORIZON", "TRIM_HORIZON", "--to=trim-horizon")
	f("now", "SHARD_END", "now", "--to=latest")
	f("AT_TIMESTAMP "+moment, "AT_TIMESTAMP "+moment, "AT_TIMESTAMP "+moment, "--to", moment)
	f("AT_TIMESTAMP "+moment, "SHARD_END", "AT_TIMESTAMP "+moment, "--to", moment, "--shard", shardID(0), "--shard", shardID(2))

	c := newLeaseCluster(t, 1)
	c.split(c.listed()[0])
	c.row(0, "Checkpoint", "SHARD_END")
	if code, out, errOut := command(t, nil, nil, "leases", "reset", "--to=latest", "--shard", shardID(0)); code != exitOK || !strings.HasPrefix(out, "Nothing to reset") {
		t.Errorf("exit %d, %s%s", code, out, errOut)
	}
}

// While a worker is alive nothing is reset, except with --force: then the worker loses its
// lease, and its later checkpoints do not overwrite the reset.
func TestLeasesReset_Alive(t *testing.T) {
	t.Parallel()
	c := newLeaseCluster(t, 2)
	table := c.holder("worker-a", 0)
	held := table.Lease(shardID(0))
	code, out, errOut := command(t, nil, nil, "leases", "reset", "--to=trim-horizon", "--yes")
	wantExit(t, exitFailure, []string{"worker-a is alive", "--force"}, code, errOut)
	if !strings.Contains(out, "worker-a") || held.Context().Err() != nil {
		t.Errorf("the lease: %v, %s", held.Context().Err(), out)
	}
	if _, written := c.leases()[shardID(1)]; written {
		t.Error("a row was written")
	}
	held.Acknowledge("100")
	c.eventually("the checkpoint is written", func() bool { return c.leases()[shardID(0)][1] == "100" })
	if code, out, errOut := command(t, nil, nil, "leases", "reset", "--to=trim-horizon", "--yes", "--force"); code != exitOK {
		t.Fatalf("exit %d, %s%s", code, out, errOut)
	}
	held.Acknowledge("200")
	select {
	case <-held.Context().Done():
	case <-time.After(5 * time.Minute):
		t.Error("worker-a keeps its lease")
	}
	if err := table.Release(shardID(0)); err != nil {
		t.Error(err)
	}
	if got := c.leases()[shardID(0)]; got != [2]string{} {
		t.Errorf("%v", got)
	}
	// The command waits until the row of a killed worker proves to be stale.
	c.holder("worker-b", 1).Close()
	if code, _, errOut := command(t, nil, nil, "leases", "reset", "--to=trim-horizon", "--yes"); code != exitOK {
		t.Errorf("exit %d, %s", code, errOut)
	}
}

// Without a terminal --yes is required. The plan is still shown.
func TestLeasesReset_NoTerminal(t *testing.T) {
	t.Parallel()
	c := newLeaseCluster(t, 1)
	c.row(0, "Checkpoint", "5")
	code, out, errOut := command(t, nil, []byte("yes\n"), "leases", "reset", "--to=trim-horizon")
	wantExit(t, exitSettings, []string{"--yes"}, code, errOut)
	if got := starts(t)[shardID(0)]; got != "5" || !strings.Contains(out, shardID(0)) {
		t.Errorf("the shard begins at %s\n%s", got, out)
	}
}

// terminal returns a terminal, and its other side, which acts as the user.
func terminal(t *testing.T) (tty, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		localtest.Skip(t, "needs a terminal: "+err.Error())
	}
	t.Cleanup(func() { person.Close() })
	var number, unlock int32
	for request, value := range map[uintptr]*int32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &unlock} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, person.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Fatal(errno)
		}
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return tty, person
}

// The command asks at a terminal, and accepts only yes.
func TestLeasesReset_Terminal(t *testing.T) {
	t.Parallel()
	c := newLeaseCluster(t, 1)
	c.row(0, "Checkpoint", "5")
	f := func(answer string, want int, begins string) {
		t.Helper()
		tty, person := terminal(t)
		if _, err := person.WriteString(answer + "\n"); err != nil {
			t.Fatal(err)
		}
		var errOut bytes.Buffer
		if code := program(t.Context(), t, []string{"leases", "reset", "--to=trim-horizon"}, tty, io.Discard, &errOut); code != want || !strings.Contains(errOut.String(), "Type yes") {
			t.Errorf("%s: exit %d, %s", answer, code, errOut.String())
		}
		if got := starts(t)[shardID(0)]; got != begins {
			t.Errorf("%s: the shard begins at %s", answer, got)
		}
	}
	f("y", exitFailure, "5")
	f("no", exitFailure, "5")
	f("yes", exitOK, "TRIM_HORIZON")

	// --watch clears the screen of a terminal.
	tty, person := terminal(t)
	ctx, stop := context.WithCancel(t.Context())
	exit := make(chan int)
	go func() { exit <- program(ctx, t, []string{"leases", "--watch"}, nil, tty, io.Discard) }()
	page := make([]byte, 7)
	if _, err := io.ReadFull(person, page); err != nil || string(page) != "\x1b[H\x1b[2J" {
		t.Errorf("%q, %v", page, err)
	}
	stop()
	if code := <-exit; code != exitOK {
		t.Errorf("exit %d", code)
	}
}

// throughProxy makes the command's calls to DynamoDB fail as decide returns.
func (c *cluster) throughProxy(decide func(fakeaws.Call) fakeaws.Fault) {
	c.t.Helper()
	real, err := neturl.Parse(c.dynamoDBURL)
	if err != nil {
		c.t.Fatal(err)
	}
	server := httptest.NewServer(fakeaws.Inject(httputil.NewSingleHostReverseProxy(real), decide))
	c.t.Cleanup(server.Close)
	setenv(c.t, "AWS_ENDPOINT_URL_DYNAMODB", server.URL)
}

// A row that is changed between read and write is reported and not reset, and the others are
// reset. Any other error ends the command.
func TestLeasesReset_Failure(t *testing.T) {
	t.Parallel()
	f := func(name string, fault fakeaws.Fault, done int, wants string, words ...string) {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			c := newLeaseCluster(t, 3)
			for n := range 3 {
				c.row(n, "Checkpoint", "5")
			}
			c.throughProxy(func(call fakeaws.Call) fakeaws.Fault {
				if call.Operation != "UpdateItem" || !strings.Contains(string(call.Body), shardID(1)) {
					return fakeaws.Fault{}
				}
				c.row(1, "Checkpoint", "6", "AssignedTo", "worker-z")
				return fault
			})
			code, out, errOut := command(t, nil, nil, "leases", "reset", "--to=trim-horizon", "--yes")
			wantExit(t, exitFailure, words, code, errOut)
			if !strings.Contains(out, fmt.Sprint(done, " of 3 shards reset.")) {
				t.Errorf("%s", out)
			}
			got := starts(t)
			if s := strings.Join([]string{got[shardID(0)], got[shardID(1)], got[shardID(2)]}, " "); s != wants {
				t.Errorf("the shards begin at %s", s)
			}
		})
	}
	f("taken", fakeaws.Fault{}, 2, "TRIM_HORIZON 6 TRIM_HORIZON", "1 of 3 shards were not reset", shardID(1), "has changed since it was shown", "worker-z has it")
	f("forbidden", fakeaws.Fault{Refuse: &fakeaws.APIError{Code: "AccessDeniedException", Message: "injected"}},
		1, "TRIM_HORIZON 6 5", "2 of 3 shards were not reset", shardID(1), "AccessDeniedException")
}

// After a reset, workers read everything again, including finished parents and their children,
// and index nothing twice. With --force that happens while they run.
func TestLeasesReset_Run(t *testing.T) {
	t.Parallel()
	f := func(name string, force bool) {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 4)
			g := generator(11, 4_000)
			read := func() bool {
				finished, open := 0, 0
				for _, lease := range c.leases() {
					switch {
					case lease[1] == "SHARD_END":
						finished++
					case lease[1] != "":
						open++
					}
				}
				return finished == 4 && open == 5
			}
			w := c.start("w")
			c.produce(g, 2_000)
			c.reshard()
			c.produce(g, 2_000)
			c.indexed()
			c.eventually("all shards are read", read)
			args := []string{"leases", "reset", "--to=trim-horizon", "--yes"}
			if force {
				args = append(args, "--force")
			} else {
				w.stop()
			}
			env := map[string]string{
				"STREAM_NAME": "s", "APPLICATION_NAME": c.application, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
				"AWS_ENDPOINT_URL_KINESIS": c.kinesisURL, "AWS_ENDPOINT_URL_DYNAMODB": c.dynamoDBURL,
			}
			if code, out, errOut := command(t, env, nil, args...); code != exitOK || read() {
				t.Fatalf("exit %d, %s%s", code, out, errOut)
			}
			if !force {
				w = c.start("again")
			}
			c.eventually("all shards are read again", read)
			time.Sleep(time.Second) // until the ends of the shards are read
			w.stop()
			c.exact()
			if there := w.total("documents_already_there"); there != 4_000 {
				t.Errorf("%.0f documents were already indexed, want 4000", there)
			}
		})
	}
	f("stopped", false)
	f("forced", true)
}
