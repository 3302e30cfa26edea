package e2e

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/internal/loggen"
	"logsluice/local/localtest"
)

// Invalid records of all kinds between valid ones: each becomes a dead letter with the right
// stage, every valid event is indexed, and the checkpoint passes them all.
func TestRunBadRecords(t *testing.T) {
	t.Parallel()
	const maxInflated = 16 << 20
	h := newHistory(newCluster(t, 1))
	made := 0
	event := func(message string) loggen.Event {
		made++
		return loggen.Event{ID: fmt.Sprintf("9%055d", made), Timestamp: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC).UnixMilli(), Message: message}
	}
	put := func(data []byte, events ...loggen.Event) (number string) {
		t.Helper()
		if err := h.putEvents("k", data, events); err != nil {
			t.Fatal(err)
		}
		for _, records := range h.records {
			number = records[len(records)-1].number
		}
		return number
	}
	type expectation struct{ name, stage string }
	letters := make(map[string]expectation) // by sequence number
	neighbour := func() {
		t.Helper()
		e := event("neighbour")
		put(packEvents([]loggen.Event{e}), e)
	}
	bad := func(name, stage string, data []byte) {
		t.Helper()
		neighbour()
		letters[put(data)] = expectation{name, stage}
	}
	good := func(data []byte, events ...loggen.Event) {
		t.Helper()
		neighbour()
		put(data, events...)
	}
	// envelope returns a gzipped envelope with the JSON of one event.
	envelope := func(rest, event string) []byte {
		return localtest.Gzip([]byte(`{"messageType":"DATA_MESSAGE","owner":"o","logGroup":"g","logStream":"s"` + rest + `,"logEvents":[` + event + `]}`))
	}
	spell := func(e loggen.Event, message string) string {
		return fmt.Sprintf(`{"id":"%s","timestamp":%d,"message":%s}`, e.ID, e.Timestamp, message)
	}
	lost := []loggen.Event{event("of an invalid record"), event("of an invalid record"), event("of an invalid record")}
	whole, text := packEvents(lost), envelopeOf(lost)

	bad("truncated gzip", deadletter.StageInflate, whole[:len(whole)/2])
	crc := append([]byte(nil), whole...)
	crc[len(crc)-8] ^= 0xff
	bad("wrong CRC", deadletter.StageInflate, crc)
	bad("not gzip", deadletter.StageParse, []byte("neither gzip nor JSON"))
	bad("gzip of garbage", deadletter.StageParse, localtest.Gzip([]byte("\x00\x01\xfe\xffgarbage")))
	bomb := localtest.Gzip(make([]byte, maxInflated+1))
	bad("bomb", deadletter.StageInflate, bomb)
	lying := append([]byte(nil), bomb...)
	binary.LittleEndian.PutUint32(lying[len(lying)-4:], 100)
	bad("bomb with a small size in its trailer", deadletter.StageInflate, lying)
	bad("JSON of another structure", deadletter.StageParse, localtest.Gzip([]byte(`[{"a":1}]`)))
	bad("cut before its events", deadletter.StageParse, localtest.Gzip([]byte(`{"messageType":"DATA_MESSAGE","owner":"o","logGr`)))
	bad("cut among its events", deadletter.StageParse, localtest.Gzip(text[:len(text)*2/3]))
	bad("unknown messageType", deadletter.StageParse, envelope(`,"messageType":"OTHER"`, ""))
	bad("deep nesting", deadletter.StageParse, localtest.Gzip([]byte(strings.Repeat("[", 100_000))))

	// The dead letters of these have a log group and stream.
	events := map[string]bool{}
	for name, event := range map[string]string{
		"event without a time":    `{"id":"1","message":"no time"}`,
		"event without a message": `{"id":"1","timestamp":1768478400000}`,
	} {
		events[name] = true
		bad(name, deadletter.StageParse, envelope("", event))
	}

	good(envelope("", "")) // 0 events
	good(localtest.Gzip([]byte(`{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","logEvents":[{"id":"","timestamp":1768478400000,"message":"CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}]}`)))
	// The last value counts, and the record is also kept as a dead letter.
	twice := event("second")
	neighbour()
	events["event with a key twice"] = true
	letters[put(envelope("", spell(twice, `"first","message":"second"`)), twice)] = expectation{"event with a key twice", deadletter.StageParse}
	lone := event("a\ufffdb\ufffd")
	good(envelope("", spell(lone, `"a\ud800b\udc00"`)), lone)
	nul := event("a\x00b\ufffd")
	good(envelope("", spell(nul, "\"a\\u0000b\xff\"")), nul)
	var many []loggen.Event
	for range 10_000 {
		many = append(many, event("one of many"))
	}
	good(packEvents(many), many...)
	neighbour()

	index := deadletter.Index(h.prefix)
	w := h.start("w", fmt.Sprint("MAX_INFLATED_BYTES=", maxInflated))
	h.indexed()
	h.eventually("each bad record is a dead letter", func() bool { return h.count(index) >= len(letters) })
	w.stop()

	var n struct{ letters, records, events, controls float64 }
	for field, value := range map[string]*float64{"dead_letters": &n.letters, "records": &n.records, "events": &n.events, "control_messages": &n.controls} {
		*value = w.total(field)
	}
	if n.letters != float64(len(letters)) || n.records != float64(h.produced) || n.events != float64(len(h.expected)) || n.controls != 1 {
		t.Errorf("the summaries count %+v, want %d dead letters, %d records, %d events, 1 control message", n, len(letters), h.produced, len(h.expected))
	}
	for _, got := range h.letters() {
		want, known := letters[got.SequenceNumber]
		switch {
		case !known:
			t.Errorf("unexpected or duplicate dead letter: %.500v", got)
		case events[want.name] && (got.LogGroup != "g" || got.LogStream != "s"):
			t.Errorf("%s: log group and stream: %.500v", want.name, got)
		case got.Stage != want.stage || got.Stream != "s" || got.Shard == "" || got.Payload == "" || got.Cause.Reason == "":
			t.Errorf("%s: want the stage %s: %.500v", want.name, want.stage, got)
		}
		delete(letters, got.SequenceNumber)
	}
	for _, l := range letters {
		t.Errorf("%s: no dead letter", l.name)
	}
	found := h.found()
	if found != len(h.expected) {
		t.Errorf("%d events found of %d", found, len(h.expected))
	}
	rows, err := h.rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.verify(rows, func(id, format string, args ...any) { t.Errorf(id+": "+format, args...) })
	for id, records := range h.records {
		if n := len(records) - h.verified[id]; n != 0 {
			t.Errorf("%d records of %s are behind the checkpoint", n, id)
		}
	}
	t.Logf("%d records, %d events", h.produced, found)
}
