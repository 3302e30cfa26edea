package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/internal/loggen"
)

// outageLength is how long OpenSearch is stopped. TestRunMemory runs only if it is set.
const outageLength = "LOGSLUICE_OUTAGE"

func outage(t *testing.T) time.Duration {
	t.Helper()
	v := os.Getenv(outageLength)
	if v == "" {
		return 8 * time.Second
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// OpenSearch is stopped while the stream is far ahead: the memory of the process stays below the
// limit of bytes in flight plus a fixed amount, no lease is lost, and afterwards everything is
// found.
func TestRunMemory(t *testing.T) {
	if os.Getenv(outageLength) == "" {
		t.Skip("gigabytes of records: make soak runs it")
	}
	t.Parallel()
	outage := outage(t)
	n := startNode(t, "2g", nil)
	// Built without the race detector, which needs its own memory.
	program := filepath.Join(t.TempDir(), "logsluice")
	if out, err := exec.Command("go", "build", "-o", program, "logsluice").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const (
		mb       = 1 << 20
		inFlight = 256 * mb // by default
		fixed    = 256 * mb
	)
	// put fills the stream. settings are the worker's. All events are found afterwards, unless
	// there are too many.
	f := func(name string, shards int32, letters int, tooMuch bool, put func(*sink), settings ...string) {
		t.Run(name, func(t *testing.T) {
			s := newSink(t, n, shards)
			s.program = program
			// Fields are not indexed, so that the node is fast.
			s.ask(http.MethodPut, "/"+s.prefix+"-2026-01-15", `{"mappings":{"dynamic":false,"properties":{"@timestamp":{"type":"date"}}}}`)
			put(s)
			s.work(append([]string{"LEASE_DURATION=15s"}, settings...)...)
			s.eventually("reading begins", func() bool { return strings.Contains(s.w.lines(), "lease acquired") })
			s.stopNode(syscall.SIGKILL)

			var table strings.Builder
			step := max(outage/12, 250*time.Millisecond)
			greatest, began := 0, time.Now()
			for next := began; time.Since(began) < outage; time.Sleep(250 * time.Millisecond) {
				rss := memory(t, s.w, "VmRSS")
				greatest = max(greatest, rss)
				if !time.Now().Before(next) {
					next = next.Add(step)
					fmt.Fprintf(&table, "%6.1f s  %4d MiB\n", time.Since(began).Seconds(), rss/mb)
				}
			}
			held := s.held("w")
			s.restart()
			if tooMuch {
				s.w.signal(syscall.SIGKILL)
			} else {
				s.within(10*time.Minute, "every event is found", func() bool {
					return s.count(s.documents()) >= len(s.expected) && s.count(deadletter.Index(s.prefix)) >= letters
				})
				greatest = max(greatest, memory(t, s.w, "VmHWM")) // including peaks between the samples
				s.w.stop()
				s.check()
				s.passed()
				if n, dead := s.count(s.documents()), s.count(deadletter.Index(s.prefix)); n != len(s.expected) || dead != letters {
					t.Errorf("%d events found of %d, %d dead letters for %d", n, len(s.expected), dead, letters)
				}
			}
			t.Logf("at most %d MiB in flight, resident:\n%s%6s    %4d MiB maximum", int(s.w.greatest("in_flight_bytes"))/mb, table.String(), "", greatest/mb)
			if held != int(shards) || strings.Contains(s.w.lines(), "lease lost") {
				t.Errorf("%d leases are held of %d", held, shards)
			}
			if greatest > inFlight+fixed {
				t.Errorf("%d MiB of memory, want at most %d", greatest/mb, (inFlight+fixed)/mb)
			}
			if letters == 0 && s.w.greatest("in_flight_bytes") < inFlight/2 {
				t.Error("the bytes in flight stayed far below their limit")
			}
		})
	}

	// records puts records of 700 KB with slices of a text.
	records := func(n int, text string, level int) func(*sink) {
		return func(s *sink) {
			const size = 16 << 10
			made := 0
			for range n {
				var events []loggen.Event
				for range 40 {
					made++
					at := rand.IntN(len(text) - size)
					events = append(events, loggen.Event{ID: fmt.Sprintf("9%055d", made), Timestamp: noon, Message: text[at : at+size]})
				}
				if err := s.putEvents(strconv.Itoa(made), squeeze(envelopeOf(events), level), events); err != nil {
					s.t.Fatal(err)
				}
			}
		}
	}
	noise := make([]byte, 3<<20)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(noise)
	random := base64.StdEncoding.EncodeToString(noise)
	f("a shard", 1, 0, false, records(600, strings.Repeat(random[:8<<10], 8), gzip.BestSpeed))
	// bombs puts records that inflate to a size and repeat one piece.
	bombs := func(n, size int, head, piece, tail string) func(*sink) {
		return func(s *sink) {
			var bomb bytes.Buffer
			w, _ := gzip.NewWriterLevel(&bomb, gzip.BestCompression)
			_, _ = w.Write([]byte(head))
			block := []byte(strings.Repeat(piece, (1<<20)/len(piece)))
			for size -= len(head) + len(piece) + len(tail); size > 0; size -= len(block) {
				_, _ = w.Write(block[:min(size, len(block))/len(piece)*len(piece)])
			}
			_, _ = w.Write([]byte(strings.TrimSuffix(piece, ",") + tail))
			if err := w.Close(); err != nil {
				s.t.Fatal(err)
			}
			s.t.Logf("bombs of %d KB", bomb.Len()>>10)
			for i := range n {
				if err := s.putEvents(strconv.Itoa(i), bomb.Bytes(), nil); err != nil {
					s.t.Fatal(err)
				}
			}
		}
	}
	const limit, head = 64 * mb, `{"messageType":"DATA_MESSAGE","owner":"o","logGroup":"g","logStream":"s","logEvents":[`
	event := fmt.Sprintf(`{"id":"","timestamp":%d,"message":""},`, noon)
	f("bombs of events", 4, 0, true, bombs(20, limit-1, head, event, "]}"))
	f("bombs of events that are too large", 4, 20, true, bombs(20, limit+mb, head, event, "]}"))
	f("200 shards far behind", 200, 0, false, records(800, random, gzip.HuffmanOnly))
	// Each is refused with and without its fields. It becomes a dead letter, and a minimal
	// document is indexed.
	f("large events that are refused", 4, 20, false, func(s *sink) {
		s.ask(http.MethodPut, "/"+s.prefix+"-2026-01-15/_mapping", `{"properties":{"message":{"type":"keyword"}}}`)
		text := strings.Repeat("too long for a term ", 3*mb)
		for i := range 20 {
			e := loggen.Event{ID: fmt.Sprintf("9%055d", i), Timestamp: noon, Message: text}
			if err := s.putEvents(strconv.Itoa(i), packEvents([]loggen.Event{e}), []loggen.Event{e}); err != nil {
				s.t.Fatal(err)
			}
		}
	})
	// aggregates puts records of the Kinesis Producer Library with empty user records.
	aggregates := func(n, each int) func(*sink) {
		return func(s *sink) {
			message := append([]byte("\n\x01k"), bytes.Repeat([]byte("\x1a\x04\x08\x00\x1a\x00"), each)...)
			digest := md5.Sum(message)
			data := slices.Concat([]byte("\xf3\x89\x9a\xc2"), message, digest[:])
			for i := range n {
				if err := s.putEvents(strconv.Itoa(i), data, nil); err != nil {
					s.t.Fatal(err)
				}
			}
		}
	}
	f("aggregates of too many user records", 4, 20, false, aggregates(20, 170_000))
	f("aggregates of empty user records", 4, 100_000, false, aggregates(5, 20_000))
	f("bombs of garbage", 4, 20, false, bombs(20, limit-1, "", "garbage ", ""))
	f("bombs of garbage that are too large", 4, 20, false, bombs(20, limit+10, "", "garbage ", ""))
}

// noon is 12:00 UTC of 2026-01-15 in Unix milliseconds.
const noon = 1768478400000

func squeeze(data []byte, level int) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, level)
	_, _ = w.Write(data)
	_ = w.Close()
	return out.Bytes()
}

// memory returns a field of a process's status in bytes.
func memory(t *testing.T, w *worker, field string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("no %s in %s", field, status)
	}
	kb, _ := strconv.Atoi(string(found[1]))
	return kb << 10
}
