package sim

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"logsluice/checkpoint"
)

// story is a sequence of events in a cluster. With its seed it determines every fault.
type story struct {
	seed    uint64 // for decisions per call
	workers int
	shards  int
	latest  bool            // initial position
	roomy   bool            // documents never fill a quarter of the bytes in flight
	store   bool            // there is a store for dead letters
	skews   []time.Duration // of the workers' wall clocks
	events  []event
}

// event is a fault or a change, some time after the previous event.
type event struct {
	after   time.Duration
	what    eventKind
	worker  int
	shard   int           // picks one of the shards that exist then
	lasting time.Duration // of a trouble that passes
	percent int           // of the affected calls
	forever bool          // a trouble of one index is permanent
}

type eventKind int

const (
	crash eventKind = iota // the process dies and is started again later
	stop                   // SIGTERM, and started again later
	pause                  // calls to AWS hang until the end, then arrive
	cutDynamoDB
	cutKinesis
	deafDynamoDB // calls arrive, but answers do not
	deafKinesis
	throttleDynamoDB
	throttleKinesis
	throttleKMS
	failKinesis // InternalFailure
	loseAnswers // of both services: carried out, then the connection breaks
	slowCalls   // of both services
	lateCalls   // of both services: canceled by the caller, but carried out
	expireIterators
	missShards // one listing lacks shards
	split
	merge
	deleteRow
	blockIndex       // one day's index rejects all documents
	floodStage       // the disk of one index is full
	loseShards       // one index has lost some of its shards
	failSome         // one index fails on some documents: item 500
	blockAll         // every index except that of the dead letters rejects all documents
	refuseLetters    // the dead-letter index rejects all documents
	failOpenSearch   // 503 for every request
	silentOpenSearch // no answer
	refuseItems      // 429 of OpenSearch, item by item
	refuseBulk       // 503 of OpenSearch
	slowIndex
	denyReads         // of one shard, to all workers
	denyWorker        // the reads of all shards, to one worker
	createStreamAgain // the stream is deleted and created with as many shards
	deleteTable
	startStranger // a worker of another stream, with the same lease table
	passRetention // all records in the stream expire
	eventKinds    // their number
)

// kinds describes each kind of event. Append new kinds at the end, so that existing seeds
// draw the same stories. What a kind does is in cluster.apply, for faults of calls in
// trouble.on and cluster.refuses. If it excuses waiting, unfinished releases or unread
// shards, say so in updateTroubleTimes, hindered and checkUnread.
var kinds = [eventKinds]struct {
	name         string
	ofOpenSearch bool // affects all workers
	refusesReads bool // makes reads fail and nothing else
	notForKCL    bool // the KCL is not designed for it
}{
	crash:             {name: "crash"},
	stop:              {name: "stop"},
	pause:             {name: "pause"},
	cutDynamoDB:       {name: "cut DynamoDB"},
	cutKinesis:        {name: "cut Kinesis", refusesReads: true},
	deafDynamoDB:      {name: "deaf to DynamoDB"},
	deafKinesis:       {name: "deaf to Kinesis", refusesReads: true},
	throttleDynamoDB:  {name: "throttle DynamoDB"},
	throttleKinesis:   {name: "throttle Kinesis", refusesReads: true},
	throttleKMS:       {name: "throttle KMS", refusesReads: true},
	failKinesis:       {name: "fail Kinesis", refusesReads: true},
	loseAnswers:       {name: "lose answers"},
	slowCalls:         {name: "slow calls"},
	lateCalls:         {name: "late calls"},
	expireIterators:   {name: "expire iterators"},
	missShards:        {name: "miss shards"},
	split:             {name: "split"},
	merge:             {name: "merge"},
	deleteRow:         {name: "delete row"},
	blockIndex:        {name: "block index", ofOpenSearch: true, notForKCL: true},
	floodStage:        {name: "flood stage", ofOpenSearch: true, notForKCL: true},
	loseShards:        {name: "lose shards", ofOpenSearch: true, notForKCL: true},
	failSome:          {name: "fail some", ofOpenSearch: true, notForKCL: true},
	blockAll:          {name: "block all", ofOpenSearch: true, notForKCL: true},
	refuseLetters:     {name: "refuse letters", ofOpenSearch: true, notForKCL: true},
	failOpenSearch:    {name: "fail OpenSearch", ofOpenSearch: true, notForKCL: true},
	silentOpenSearch:  {name: "silent OpenSearch", ofOpenSearch: true, notForKCL: true},
	refuseItems:       {name: "refuse items", notForKCL: true},
	refuseBulk:        {name: "refuse bulk", notForKCL: true},
	slowIndex:         {name: "slow index", notForKCL: true},
	denyReads:         {name: "deny reads", refusesReads: true, notForKCL: true},
	denyWorker:        {name: "deny worker", refusesReads: true, notForKCL: true},
	createStreamAgain: {name: "create stream again", notForKCL: true},
	deleteTable:       {name: "delete table", notForKCL: true},
	startStranger:     {name: "start stranger", notForKCL: true},
	passRetention:     {name: "pass retention", notForKCL: true},
}

func (k eventKind) String() string { return kinds[k].name }

// lastings are the durations of OpenSearch's troubles: decisions about them take minutes.
var lastings = []time.Duration{10 * time.Second, 40 * time.Second, 70 * time.Second, 110 * time.Second, 170 * time.Second, 4 * time.Minute}

// longRefusal is long enough for an unread shard to be reported.
const longRefusal = checkpoint.UnreadAfter + 2*mostUnreported

// drawStory draws a random story.
func drawStory(t *rapid.T) story {
	s := story{
		seed:    rapid.Uint64().Draw(t, "seed"),
		workers: rapid.IntRange(1, 4).Draw(t, "workers"),
		shards:  rapid.IntRange(1, 5).Draw(t, "shards"),
		latest:  rapid.Bool().Draw(t, "latest"),
		roomy:   rapid.Bool().Draw(t, "roomy"),
		store:   rapid.Bool().Draw(t, "store"),
	}
	for range s.workers {
		s.skews = append(s.skews, rapid.SampledFrom([]time.Duration{0, time.Hour, -time.Hour}).Draw(t, "skew"))
	}
	s.events = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) event {
		e := event{
			after:   time.Duration(rapid.IntRange(0, 4000).Draw(t, "after")) * time.Millisecond,
			what:    eventKind(rapid.IntRange(0, int(eventKinds)-1).Draw(t, "what")),
			worker:  rapid.IntRange(0, s.workers-1).Draw(t, "worker"),
			shard:   rapid.IntRange(0, 99).Draw(t, "shard"),
			lasting: time.Duration(rapid.IntRange(0, 15_000).Draw(t, "lasting")) * time.Millisecond,
			percent: rapid.IntRange(10, 100).Draw(t, "percent"),
		}
		if e.what == denyWorker {
			e.lasting = rapid.SampledFrom(lastings).Draw(t, "lasting")
		}
		if kinds[e.what].refusesReads && rapid.IntRange(0, 7).Draw(t, "long") == 7 {
			e.lasting, e.percent = longRefusal, 100
		}
		if kinds[e.what].ofOpenSearch {
			e.lasting = rapid.SampledFrom(lastings).Draw(t, "lasting")
			e.forever = (e.what == blockIndex || e.what == failSome) && rapid.SampledFrom([]bool{false, false, false, true}).Draw(t, "forever")
		}
		return e
	}), 0, 16).Draw(t, "events")
	return s
}

func (s story) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %d workers, %d shards, from the latest: %v, roomy: %v, a store: %v, clocks %v\n",
		s.seed, s.workers, s.shards, s.latest, s.roomy, s.store, s.skews)
	at := warmUp
	for _, e := range s.events {
		at += e.after
		fmt.Fprintf(&b, "%9s %s (worker %d, shard %d, lasting %s, permanent: %v, %d %%)\n", at, e.what, e.worker, e.shard, e.lasting, e.forever, e.percent)
	}
	return b.String()
}
