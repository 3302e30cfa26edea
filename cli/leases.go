package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"logsluice/checkpoint"
	"logsluice/consumer"
)

// leasesCommands show and change the lease table. They acquire no leases.
type leasesCommands struct {
	Show  leasesShowCommand  `cmd:"" default:"withargs" help:"Print the lease table (the default)."`
	Reset leasesResetCommand `cmd:"" help:"Set where the reading of shards continues, while no worker runs."`
}

// leaseTable reads the lease table and, if the stream is named, its shards.
type leaseTable struct {
	dynamoDB *dynamodb.Client
	kinesis  *kinesis.Client
	region   string
	streamSettings
}

func (s streamSettings) leaseTable(ctx context.Context) (*leaseTable, error) {
	cfg, err := loadAWS(ctx, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	if err := checkCredentials(ctx, cfg); err != nil {
		return nil, err
	}
	return &leaseTable{newDynamoDB(cfg), consumer.NewKinesis(cfg, s.StreamName), cfg.Region, s}, nil
}

// look returns the lease table, the stream's shards, and the time of the listing by
// Kinesis' clock. Without a stream name, shards is nil and now is zero.
func (l *leaseTable) look(ctx context.Context) (view *checkpoint.View, shards []checkpoint.Shard, now time.Time, err error) {
	if view, err = l.read(ctx); err == nil && l.StreamName != "" {
		if err = view.CheckStream(consumer.Identity(l.StreamName)); err == nil {
			shards, now, err = consumer.ListShards(ctx, l.kinesis, l.StreamName)
		}
	}
	return view, shards, now, l.explain(err, l.region)
}

// read returns the lease table. It fails if the table is not a lease table or not active.
func (l *leaseTable) read(ctx context.Context) (*checkpoint.View, error) {
	table, err := checkpoint.Describe(ctx, l.dynamoDB, l.ApplicationName)
	switch {
	case err != nil:
		return nil, err
	case !table.Ready:
		return nil, fmt.Errorf("lease table %q is %s: try again when it is ACTIVE", l.ApplicationName, table.Status)
	}
	return checkpoint.ReadView(ctx, l.dynamoDB, l.ApplicationName)
}

// leasesShowCommand prints the lease table.
type leasesShowCommand struct {
	streamSettings
	Output string `enum:"table,json" default:"table" placeholder:"FORMAT" help:"Output format: table or json. With --watch, json prints one array per line."`
	Watch  period `placeholder:"TIME" least:"100ms" help:"Repeat every 2s, or every TIME with --watch=TIME, until interrupted."`
	Wide   bool   `help:"Show checkpoints and names in full, and the parents of each shard."`
	Lag    bool   `help:"Ask Kinesis how far behind each shard is. Costs one of the 5 reads per second that all consumers of a shard share. Needs STREAM_NAME."`
}

// period is the time between two repetitions. A flag of this type needs no value.
type period time.Duration

// defaultPeriod is the value of a flag that is given without one.
const defaultPeriod = 2 * time.Second

func (c *leasesShowCommand) required() []string {
	names := []string{"application-name", regionVariable}
	if c.Lag {
		names = append(names, "stream-name")
	}
	return names
}

// Help is called by kong.
func (*leasesShowCommand) Help() string {
	return "AGE is the time since the owner's last heartbeat, approximately: the clocks of two machines are compared. " +
		"With STREAM_NAME the shards of the stream are listed too: those not started, closed, or expired. " +
		"logsluice leases reset --help shows how to set where reading continues."
}

// Run is called by kong.
func (c *leasesShowCommand) Run(ctx context.Context, std streams) error {
	table, err := c.leaseTable(ctx)
	if err != nil {
		return err
	}
	for {
		err := c.show(ctx, table, std.out)
		switch {
		case c.Watch == 0:
			return err
		case err != nil && ctx.Err() == nil:
			fail(std.err, err, exitFailure) // the error can be temporary
		}
		pause := time.NewTimer(time.Duration(c.Watch))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
	}
}

func (c *leasesShowCommand) show(ctx context.Context, table *leaseTable, w io.Writer) error {
	view, shards, now, err := table.look(ctx)
	if err != nil {
		return err
	}
	if now.IsZero() {
		now = time.Now()
	}
	rows := view.Rows(shards)
	leases := make([]lease, len(rows))
	for i, r := range rows {
		leases[i] = newLease(r, time.Now(), now)
	}
	if c.Lag {
		table.lags(ctx, rows, leases)
	}
	// Written in one piece, so that a cleared screen does not flicker.
	var page bytes.Buffer
	if c.Output == "json" {
		err = writeJSON(&page, leases)
	} else {
		if c.Watch != 0 && isTerminal(w) {
			page.WriteString("\x1b[H\x1b[2J")
		}
		err = printLeases(&page, leases, c.Lag, c.Wide)
	}
	if err == nil {
		_, err = w.Write(page.Bytes())
	}
	if err != nil {
		return fmt.Errorf("write the lease table: %w", err)
	}
	return nil
}

// lease is a shard as it is printed.
type lease struct {
	Shard         string           `json:"shard"`
	Parents       []string         `json:"parents"`
	State         checkpoint.State `json:"state"`
	Closed        bool             `json:"closed"`
	Owner         string           `json:"owner,omitempty"`
	ClaimedBy     string           `json:"claimed_by,omitempty"`
	Checkpoint    string           `json:"checkpoint,omitempty"`
	Start         string           `json:"start,omitempty"`
	LastHeartbeat *time.Time       `json:"last_sign_of_life,omitempty"`
	Age           *float64         `json:"age_seconds,omitempty"`
	// ReadThrough is the time up to which all records are read and acknowledged. Unread is
	// how long no worker has read the shard, if that is long. Rate is how many seconds of
	// the stream are read per second.
	ReadThrough *time.Time `json:"read_through,omitempty"`
	Unread      *float64   `json:"unread_seconds,omitempty"`
	Rate        float64    `json:"read_rate,omitempty"`
	Gaps        int64      `json:"gaps,omitempty"`     // intervals whose records can have expired unread
	GapFrom     *time.Time `json:"gap_from,omitempty"` // of the last gap
	GapTo       *time.Time `json:"gap_to,omitempty"`
	Lag         *float64   `json:"lag_seconds,omitempty"`
	LagError    string     `json:"lag_error,omitempty"`
}

// newLease returns a row for printing. now is by this computer's clock, kinesisNow by Kinesis'.
func newLease(r checkpoint.Row, now, kinesisNow time.Time) lease {
	l := lease{
		Shard:      r.ID,
		Parents:    append([]string{}, r.Parents...), // [] in JSON, not null
		State:      r.State,
		Closed:     r.Closed,
		Owner:      r.Owner,
		ClaimedBy:  r.Claimer,
		Checkpoint: r.Checkpoint,
	}
	if r.Checkpoint == "" {
		l.Start = r.Start.String()
	}
	if !r.LastHeartbeat.IsZero() {
		sign := r.LastHeartbeat.UTC()
		age := max(now.Sub(sign), 0).Seconds()
		l.LastHeartbeat, l.Age = &sign, &age
	}
	if !r.ReadThrough.IsZero() {
		through := r.ReadThrough.UTC()
		l.ReadThrough, l.Rate = &through, r.ReadRate
	}
	if unread := r.Unread(kinesisNow); unread >= checkpoint.UnreadAfter {
		seconds := unread.Seconds()
		l.Unread = &seconds
	}
	if r.Gaps.Count > 0 {
		from, to := r.Gaps.From.UTC(), r.Gaps.To.UTC()
		l.Gaps, l.GapFrom, l.GapTo = r.Gaps.Count, &from, &to
	}
	return l
}

// lagReads is how many shards are asked for their lag concurrently.
const lagReads = 8

// lags sets the lag of each lease, or the error. It skips finished and expired shards.
func (l *leaseTable) lags(ctx context.Context, rows []checkpoint.Row, leases []lease) {
	var reads errgroup.Group
	reads.SetLimit(lagReads)
	for i, r := range rows {
		if r.State == checkpoint.StateFinished || r.State == checkpoint.StateExpired {
			continue
		}
		reads.Go(func() error {
			l.lag(ctx, r, &leases[i])
			return nil
		})
	}
	_ = reads.Wait() // errors are in the leases
}

func (l *leaseTable) lag(ctx context.Context, r checkpoint.Row, into *lease) {
	lag, err := consumer.Lag(ctx, l.kinesis, l.StreamName, r.ID, r.Checkpoint, r.Start)
	if err != nil {
		into.LagError = errorCode(err)
		return
	}
	seconds := lag.Seconds()
	into.Lag = &seconds
}

// errorCode returns the code of an AWS error, or a few words if AWS did not answer.
func errorCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer"
	}
	return "no connection"
}

// Widths of the columns that are shortened, so that the table fits 100 columns.
const (
	stateWidth      = 19
	ownerWidth      = 14
	checkpointWidth = 21
)

func printLeases(w io.Writer, leases []lease, lag, wide bool) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	header := []string{"SHARD", "STATE", "OWNER", "AGE", "CHECKPOINT"}
	if wide {
		header = slices.Insert(header, 1, "PARENTS")
	}
	if lag {
		header = append(header, "LAG")
	}
	notes := slices.ContainsFunc(leases, func(l lease) bool { return l.note() != "" })
	if notes {
		header = append(header, "NOTE")
	}
	fmt.Fprintln(table, cells(header...))
	for _, l := range leases {
		line := []string{l.Shard, l.stateText(wide), orDash(l.Owner), orDash(duration(l.Age)), position(l.Checkpoint, l.Start)}
		if wide {
			line = slices.Insert(line, 1, orDash(strings.Join(l.Parents, ",")))
		} else {
			line[1], line[2] = head(line[1], stateWidth), tail(line[2], ownerWidth)
			for _, words := range []string{"starts at ", "AT_TIMESTAMP "} {
				line[4] = strings.TrimPrefix(line[4], words)
			}
			line[4] = head(line[4], checkpointWidth)
		}
		if lag {
			line = append(line, orDash(duration(l.Lag)+l.LagError))
		}
		if notes {
			line = append(line, orDash(l.note()))
		}
		fmt.Fprintln(table, cells(line...))
	}
	return table.Flush()
}

// stateText returns the state of a lease with the claiming worker or the awaited parents.
func (l lease) stateText(wide bool) string {
	state := string(l.State)
	switch l.State {
	case checkpoint.StateClaimed:
		claimer := l.ClaimedBy
		if !wide {
			claimer = tail(claimer, stateWidth-len("claimed by "))
		}
		state += " by " + claimer
	case checkpoint.StateWaiting:
		if wide {
			return state + " for parents"
		}
		parents := make([]string, len(l.Parents))
		for i, parent := range l.Parents {
			parents[i] = cmp.Or(strings.TrimLeft(strings.TrimPrefix(parent, "shardId-"), "0"), "0")
		}
		state += " for " + strings.Join(parents, ",")
	}
	const closed = ", closed"
	if l.Closed && l.State != checkpoint.StateFinished && (wide || len(state)+len(closed) <= stateWidth) {
		state += closed
	}
	return state
}

// note returns problems that the state does not show. It is the last column because it is
// long.
func (l lease) note() string {
	var notes []string
	if l.Unread != nil {
		notes = append(notes, "unread for "+duration(l.Unread))
	}
	if l.Gaps > 0 {
		notes = append(notes, fmt.Sprintf("gap %s/%s", l.GapFrom.Format(time.RFC3339), l.GapTo.Format(time.RFC3339)))
	}
	return strings.Join(notes, ", ")
}

// position returns the checkpoint, or where reading starts if it is "".
func position(checkpoint, start string) string {
	if checkpoint == "" {
		return "starts at " + start
	}
	return checkpoint
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func duration(seconds *float64) string {
	if seconds == nil {
		return ""
	}
	d := time.Duration(*seconds * float64(time.Second))
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// leasesResetCommand sets where reading continues.
type leasesResetCommand struct {
	streamSettings
	To    checkpoint.Position `placeholder:"POSITION" missing:"trim-horizon, latest or an RFC 3339 time" help:"Where reading is to continue: trim-horizon (the oldest record kept), latest (the present) or an RFC 3339 time."`
	Shard []string            `placeholder:"ID" check:"shard" otherwise:"all shards" help:"Reset only this shard. Can be given more than once."`
	Force bool                `help:"Reset even if workers are alive: they lose their leases and start again from the new position."`
	Yes   bool                `help:"Do not ask for confirmation."`
}

func (*leasesResetCommand) required() []string {
	return []string{"stream-name", "application-name", regionVariable, "to"}
}

// Help is called by kong.
func (*leasesResetCommand) Help() string {
	return "Events that are already indexed are recognized and not indexed twice. Refuses while a worker is alive: " +
		"to detect one, it watches the leases for up to their duration."
}

// Run is called by kong.
func (c *leasesResetCommand) Run(ctx context.Context, std streams) error {
	table, err := c.leaseTable(ctx)
	if err != nil {
		return err
	}
	view, shards, now, err := table.look(ctx)
	if err != nil {
		return err
	}
	plan, err := view.PlanReset(shards, c.Shard, c.To, now)
	if err != nil {
		return settingError{err}
	}
	if len(plan) == 0 {
		fmt.Fprintln(std.out, "Nothing to reset: finished shards have no newer records.")
		return nil
	}
	if err := printPlan(std.out, plan); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	if !c.Yes && !isTerminal(std.in) {
		return settingf("nothing was reset, as standard input is not a terminal on which to confirm: use --yes to reset without confirmation")
	}
	if !c.Force {
		fmt.Fprintln(std.err, "Checking whether a worker is alive …")
		worker, err := view.Alive(ctx)
		if err != nil {
			return fmt.Errorf("nothing was reset: check whether a worker is alive: %w", err)
		}
		if worker != "" {
			return fmt.Errorf("nothing was reset: worker %s is alive: stop all workers first, or use --force", worker)
		}
	}
	if !c.Yes && !confirmed(ctx, std) {
		return errors.New("nothing was reset")
	}
	return c.apply(ctx, view, plan, std.out)
}

func printPlan(w io.Writer, plan []checkpoint.Reset) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SHARD\tOWNER\tCURRENT CHECKPOINT\tNEW START")
	for _, r := range plan {
		fmt.Fprintln(table, cells(r.ID, orDash(r.Owner), position(r.Checkpoint, r.Start.String()), r.To.String()))
	}
	return table.Flush()
}

// confirmed asks at the terminal and reports whether the answer is yes.
func confirmed(ctx context.Context, std streams) bool {
	fmt.Fprint(std.err, "Type yes to reset these shards: ")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(std.in).ReadString('\n')
		answer <- line
	}()
	select {
	case line := <-answer:
		return strings.TrimSpace(line) == "yes"
	case <-ctx.Done():
		return false // the goroutine ends with the process
	}
}

// apply writes one row after the other. It skips a row that was changed since it was read, and
// stops at any other error.
func (c *leasesResetCommand) apply(ctx context.Context, view *checkpoint.View, plan []checkpoint.Reset, w io.Writer) error {
	done := 0
	var failures []error
	for _, r := range plan {
		err := view.Reset(ctx, r, c.Force)
		if err == nil {
			done++
			continue
		}
		failures = append(failures, err)
		if !errors.Is(err, checkpoint.ErrChanged) {
			break
		}
	}
	fmt.Fprintf(w, "%d of %d shards reset.\n", done, len(plan))
	if len(failures) > 0 {
		return fmt.Errorf("%d of %d shards were not reset: run the command again for them: %w", len(plan)-done, len(plan), errors.Join(failures...))
	}
	return nil
}
