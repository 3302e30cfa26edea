package kcl

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/rs/zerolog"
	"github.com/vmware/vmware-go-kcl-v2/logger"

	"logsluice/internal/statelog"
)

// libraryLog writes the KCL's log lines to our log. Its info lines are logged at debug level;
// package checkpoint logs the events of shards.
type libraryLog struct {
	log        zerolog.Logger
	isStopping func() bool
	sampler    *statelog.Sampler
}

var _ logger.Logger = libraryLog{}

// libraryLine is how a line of the KCL is logged.
type libraryLine struct {
	message string   // "" if the line is dropped
	fields  []string // names of the arguments, "" for an omitted one
}

// libraryLines maps the KCL's formats to log lines, for lines that are dropped or get fields.
// All others are logged with the KCL's text: debug lines and those of features that are off.
var libraryLines = map[string]libraryLine{
	// Package checkpoint logs why the reading of a shard ended: "shard cannot be read",
	// "lease lost" or "lease claimed by another worker".
	"Error in getRecords: %+v":                                                      {},
	"Unable to get shard iterator for %s: %v":                                       {},
	"Error getting records from Kinesis that cannot be retried: %+v Request: %s":    {},
	"Throughput Exceeded Error: reached max retry count getting records from shard": {},
	"KMS Throttling Error: reached max retry count getting records from shard":      {},
	// Worker.Start returns the error.
	"Failed to initialize Worker: %+v":  {},
	"Failed to start Checkpointer: %+v": {},
	// The line about ListShards precedes it.
	"Error syncing shards: %+v, Retrying in %d ms...": {},

	"Cannot get lease: %+v":                                       {"cannot acquire a lease", []string{"error"}},
	"Couldn't fetch checkpoint: %+v":                              {"cannot read a checkpoint", []string{"error"}},
	"Error getting records from shard %v: %+v":                    {"read throttled by KMS, trying again", []string{"shard", "error"}},
	"Error in ListShards: %s Error: %+v Request: %s":              {"cannot list the shards", []string{"stream", "error", ""}},
	"Error in de-aggregating KPL records: %+v":                    {"cannot unpack an aggregate", []string{"error"}},
	"Error in waiting for parent shard: %v to finish. Error: %+v": {"cannot wait for a parent", []string{"parent", "error"}},
	"Failed to remove shard lease info: %s Error: %+v":            {"cannot delete the row of a shard", []string{"shard", "error"}},
	"Failed to start monitoring service: %+v":                     {"cannot start the monitoring", []string{"error"}},

	"Found %d shards":                                {"shards assigned", []string{"shards"}},
	"Found new shard with id %s":                     {"shard assigned", []string{"shard"}},
	"Start polling shard consumer for shard: %v":     {"reading begins", []string{"shard"}},
	"Shard %s closed":                                {"shard read to its end", []string{"shard"}},
	"Release lease for shard %s":                     {"reading ended", []string{"shard"}},
	"maxBytesExceededError so sleep for %+v seconds": {"reading pauses: the shard's limit of bytes is reached", []string{"seconds"}},
	"localTPSExceededError so sleep for a second":    {"reading pauses: the shard's limit of calls is reached", nil},
}

func (l libraryLog) Debugf(format string, args ...any) { l.write(begin(l.log.Trace), format, args) }
func (l libraryLog) Infof(format string, args ...any)  { l.write(begin(l.log.Debug), format, args) }
func (l libraryLog) Warnf(format string, args ...any)  { l.Errorf(format, args...) }

// Errorf logs a sampled warning about a call that failed.
func (l libraryLog) Errorf(format string, args ...any) {
	switch {
	case slices.ContainsFunc(args, isLogged):
		l.Debugf(format, args...)
	case l.isStopping(): // calls are canceled when the worker stops
		l.Infof(format, args...)
	default:
		l.write(func(kind string) *zerolog.Event { return l.sampler.Warn(l.log, kind) }, format, args)
	}
}

// Fatalf and Panicf are only called when the KCL creates clients, which it never does here.
func (l libraryLog) Fatalf(format string, args ...any) { l.write(begin(l.log.Fatal), format, args) }
func (l libraryLog) Panicf(format string, args ...any) { l.write(begin(l.log.Panic), format, args) }

func (l libraryLog) WithFields(fields logger.Fields) logger.Logger {
	l.log = l.log.With().Fields(map[string]any(fields)).Logger()
	return l
}

// isLogged reports whether an argument is an error that is already logged.
func isLogged(arg any) bool {
	err, ok := arg.(error)
	return ok && errors.As(err, new(loggedError))
}

// begin returns a function that starts the same event for lines of every kind.
func begin(event func() *zerolog.Event) func(kind string) *zerolog.Event {
	return func(string) *zerolog.Event { return event() }
}

// write logs a line of the KCL as libraryLines specifies. begin starts a line of a kind.
func (l libraryLog) write(begin func(kind string) *zerolog.Event, format string, args []any) {
	// Some calls pass pairs of keys and values.
	inPairs := format == "message" && len(args) > 0
	if inPairs {
		format, args = fmt.Sprint(args[0]), args[1:]
	}
	line, listed := libraryLines[format]
	if listed && line.message == "" {
		return
	}
	event := begin(format)
	if !event.Enabled() {
		return
	}
	switch {
	case inPairs:
		event.Fields(args).Msg("kcl: " + format)
	case listed:
		for i, name := range line.fields {
			if name != "" && i < len(args) {
				event = event.Fields([]any{name, args[i]})
			}
		}
		event.Msg("kcl: " + line.message)
	default:
		event.Msg("kcl: " + formatLine(format, args))
	}
}

// plainValue returns an argument for formatting: errors as text, basic types unchanged, and others
// as JSON, because they may contain pointers.
func plainValue(arg any) any {
	if err, ok := arg.(error); ok {
		return fmt.Sprint(err)
	}
	switch reflect.ValueOf(arg).Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return arg
	}
	text, err := zerolog.InterfaceMarshalFunc(arg)
	if err != nil {
		return fmt.Sprintf("%T", arg)
	}
	return string(text)
}

var verbs = regexp.MustCompile(`\s*%[-+# 0-9.]*[a-zA-Z]`)

// formatLine formats a line. If verbs and arguments do not match, it appends the arguments to
// the text.
func formatLine(format string, args []any) string {
	values := make([]any, len(args))
	for i, arg := range args {
		values[i] = plainValue(arg)
	}
	text := fmt.Sprintf(format, values...)
	if strings.Contains(text, "%!") {
		text = strings.TrimSpace(fmt.Sprintln(append([]any{verbs.ReplaceAllString(format, "")}, values...)...))
	}
	return text
}
