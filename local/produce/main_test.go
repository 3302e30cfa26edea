package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"logsluice/internal/fakeaws"
)

// The producer creates the stream, puts events until its context ends, and returns nil.
func TestRun(t *testing.T) {
	server := httptest.NewServer(fakeaws.NewKinesis(fakeaws.KinesisOptions{}))
	defer server.Close()
	for name, value := range map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL_KINESIS": server.URL,
	} {
		t.Setenv(name, value)
	}
	check := settings{StreamName: "logs", Check: true}
	if err := run(t.Context(), check, zerolog.Nop()); err == nil || !strings.HasPrefix(err.Error(), "describe the stream logs: ") {
		t.Errorf("check without a stream: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	log := new(bytes.Buffer)
	if err := run(ctx, settings{StreamName: "logs", Shards: 2, Rate: 1_000}, zerolog.New(log)); err != nil {
		t.Errorf("run: %v", err)
	}
	if want := `{"level":"info","stream":"logs","events_per_second":1000,"message":"putting log events"}` + "\n"; log.String() != want {
		t.Errorf("log %s", log)
	}
	if err := run(t.Context(), check, zerolog.Nop()); err != nil {
		t.Errorf("check with a stream: %v", err)
	}
}

func TestSettings_Failure(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		parser, err := kong.New(new(settings))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(args); err == nil || err.Error() != want {
			t.Errorf("%v: %v, want %s", args, err, want)
		}
	}
	f("STREAM_NAME (--stream-name) is missing: set it to the stream to put into")
	f("SHARDS (--shards): 0 is too few: use at least 1", "--stream-name=s", "--shards=0")
	f("RATE (--rate): 0 is not from 1 to 100000", "--stream-name=s", "--rate=0")
	f("RATE (--rate): 100001 is not from 1 to 100000", "--stream-name=s", "--rate=100001")
}
