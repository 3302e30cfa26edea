package kcl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/rs/zerolog"
	"github.com/vmware/vmware-go-kcl-v2/logger"

	"logsluice/internal/statelog"
)

func notStopping() bool { return false }

// notUsed are files of the KCL whose code does not run here: those of features that are off,
// and replaced ones.
var notUsed = []string{
	"checkpoint/dynamodb-checkpointer.go", "metrics/cloudwatch/cloudwatch.go", "metrics/prometheus/prometheus.go",
	"worker/fan-out-shard-consumer.go", "worker/worker-fan-out.go",
}

// unchanged are formats of the other files that are logged unchanged: lines about the KCL's
// start and end, and about features that are off.
var unchanged = []string{
	"Creating DynamoDB based checkpointer", "Creating Kinesis client", "Initialization complete.", "Initializing Checkpointer", "Shutting down...",
	"Starting monitoring service.", "Starting worker event loop.", "Use custom Kinesis service.", "Use custom checkpointer implementation.",
	"Worker initialization in progress...", "Worker loop is complete. Exiting from worker.", "Worker shutdown in requested.",
	"Error in rebalance: %+v", "Not all shards are allocated, not stealing any. workerID: %s",
	"Failed in loading Kinesis default config for creating Worker: %+v", "Failed to fetch consumer ARN for: %s, %v",
	"Start enhanced fan-out shard consumer for shard: %v",
	"Error in refreshing lease on shard: %s for worker: %s. Error: %+v", // on logrus' global logger
}

// kclCall is a call to a logger in the KCL's source.
type kclCall struct {
	file   string
	method string
	format string // the message for pairs of keys and values
	args   []any  // possible arguments, without the format
}

var address = regexp.MustCompile(`0x[0-9a-fA-F]{4,}`)

// All lines in the KCL's source are well-formed for any arguments, and each line that can be
// logged is in libraryLines or unchanged.
func TestKCLLines(t *testing.T) {
	t.Parallel()
	calls := kclCalls(t)
	if len(calls) < 90 {
		t.Errorf("only %d calls are found", len(calls))
	}
	stray := maps.Clone(libraryLines)
	for _, call := range calls {
		delete(stray, call.format)
		_, listed := libraryLines[call.format]
		if !listed && call.method != "Debugf" && !slices.Contains(notUsed, call.file) && !slices.Contains(unchanged, call.format) {
			t.Errorf("%s: %q is not in libraryLines", call.file, call.format)
		}
		pointers := slices.Clone(call.args)
		for i := range pointers {
			if i > 0 || call.args[i] != call.format {
				pointers[i] = &kinesis.GetRecordsInput{Limit: aws.Int32(7), ShardIterator: aws.String("it")}
			}
		}
		for _, args := range [][]any{call.args, pointers} {
			format := call.format
			if len(args) > 0 && args[0] == call.format {
				format = "message"
			}
			line := logged(t, call.method, format, args)
			dropped := listed && libraryLines[call.format].message == ""
			switch message, _ := line["message"].(string); {
			case dropped != (line == nil):
				t.Errorf("%q is dropped: %t, but becomes %v", call.format, dropped, line)
			case !dropped && (!strings.HasPrefix(message, "kcl: ") || strings.Contains(message, "%")):
				t.Errorf("%q becomes %q", call.format, message)
			}
		}
	}
	for format := range stray {
		t.Errorf("libraryLines has %q, which the KCL does not log", format)
	}
}

// logged returns the line that a call to the logger writes, nil if it writes none.
func logged(t *testing.T, method, format string, args []any) map[string]any {
	t.Helper()
	var out bytes.Buffer
	k := libraryLog{log: zerolog.New(&out), isStopping: notStopping, sampler: statelog.NewSampler()}
	func() {
		defer func() { _ = recover() }() // Panicf does
		reflect.ValueOf(k).MethodByName(method).CallSlice([]reflect.Value{reflect.ValueOf(format), reflect.ValueOf(args)})
	}()
	if out.Len() == 0 {
		return nil
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || strings.Contains(out.String(), "%!") || address.MatchString(out.String()) {
		t.Errorf("%s(%q, %v) becomes %s %v", method, format, args, out.String(), err)
	}
	return line
}

// Lines that are not in the KCL's source, and lines with fields.
func TestKCLLine(t *testing.T) {
	t.Parallel()
	f := func(method, want, format string, args ...any) {
		t.Helper()
		line := logged(t, method, format, args)
		got, err := json.Marshal(line)
		if err != nil || string(got) != want {
			t.Errorf("%q becomes %s, want %s", format, got, want)
		}
	}
	input := &kinesis.ListShardsInput{StreamName: aws.String("s")}
	f("Errorf", `{"error":"unsupported operation","level":"warn","message":"kcl: cannot list the shards","stream":"s"}`,
		"Error in ListShards: %s Error: %+v Request: %s", "s", errors.ErrUnsupported, input)
	f("Infof", `{"level":"debug","message":"kcl: shard read to its end","shard":"shardId-1"}`, "Shard %s closed", "shardId-1")
	f("Warnf", `{"level":"warn","message":"kcl: 3 of \"null\""}`, "%d of %q", 3, nil)
	f("Warnf", `{"level":"warn","message":"kcl: a b one [1,2] error"}`, "a %d b", "one", []int{1, 2}, fmt.Errorf("error"))
	f("Warnf", `{"level":"warn","message":"kcl: 100%"}`, "100%")
	f("Warnf", `{"level":"warn","message":"kcl: chan int"}`, "%v", make(chan int))
	f("Errorf", `{"error":"unsupported operation","level":"warn","message":"kcl: it failed","shardId":"shardId-1"}`,
		"message", "it failed", "shardId", "shardId-1", "error", errors.ErrUnsupported)
	f("Errorf",
		`{"error":"unsupported operation","level":"trace","message":"kcl: read throttled by KMS, trying again","shard":"shardId-1"}`,
		"Error getting records from shard %v: %+v", "shardId-1", loggedError{errors.ErrUnsupported})
	f("Errorf", `null`, "Error in getRecords: %+v", errors.ErrUnsupported)

	var out bytes.Buffer
	k := libraryLog{log: zerolog.New(&out), isStopping: notStopping, sampler: statelog.NewSampler()}
	k.WithFields(logger.Fields{"request": input, "error": errors.ErrUnsupported}).Infof("x")
	if got := out.String(); strings.Contains(got, "0x") || !strings.Contains(got, `"error":"unsupported operation"`) || !strings.Contains(got, `StreamName`) {
		t.Error(got)
	}
}

// One of the KCL's warnings is logged per kind and minute, with the number of the others.
func TestKCLWarningsAreSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		k := libraryLog{log: zerolog.New(&log).Level(zerolog.InfoLevel), isStopping: notStopping, sampler: statelog.NewSampler()}
		for i := range 150 {
			k.Warnf("one %d", i)
			k.WithFields(nil).Errorf("another %v", errors.ErrUnsupported)
			k.Errorf("ours %v", loggedError{errors.ErrUnsupported})
			time.Sleep(time.Second)
		}
		all := slices.Collect(strings.Lines(log.String()))
		if len(all) != 6 || !strings.Contains(all[4], `"since_last_line":59,"message":"kcl: one 120"`) {
			t.Errorf("%d lines: %s", len(all), all)
		}
	})
}

// kclCalls returns the calls to loggers in the KCL's source.
func kclCalls(t *testing.T) (calls []kclCall) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/vmware/vmware-go-kcl-v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "clientlibrary")
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil || strings.HasPrefix(name, "config/") { // it uses the standard library's logger
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if method, ok := loggerMethod(call); ok {
					calls = append(calls, kclCallOf(t, filepath.ToSlash(name), method, call.Args))
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

// loggerMethod returns the logger's method that is called.
func loggerMethod(call *ast.CallExpr) (method string, ok bool) {
	of, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	if pkg, ok := of.X.(*ast.Ident); ok && pkg.Name == "fmt" {
		return "", false
	}
	method = of.Sel.Name
	if method == "Fatalf" { // Fatalf would end the test, and is otherwise the same
		return "Errorf", true
	}
	_, ok = reflect.TypeFor[logger.Logger]().MethodByName(method)
	return method, ok && method != "WithFields"
}

// kclCallOf returns a call with values of the kinds that the arguments have in the source.
func kclCallOf(t *testing.T, file, method string, args []ast.Expr) kclCall {
	t.Helper()
	call := kclCall{file: file, method: method, format: literal(args[0])}
	if call.format == "" {
		t.Errorf("%s: the format of a call of %s is not a constant", file, method)
	}
	found := verbs.FindAllString(call.format, -1)
	for i, arg := range args[1:] {
		var value any = "value"
		switch name, _ := arg.(*ast.Ident); {
		case name != nil && name.Name == "err":
			value = errors.ErrUnsupported
		case name != nil && strings.HasSuffix(strings.ToLower(name.Name), "args"):
			value = &kinesis.ListShardsInput{StreamName: aws.String("s")}
		case literal(arg) != "":
			value = literal(arg)
		case i < len(found) && strings.TrimSpace(found[i]) == "%d":
			value = 3
		}
		call.args = append(call.args, value)
	}
	if call.format == "message" {
		call.format = call.args[0].(string)
	}
	return call
}

// literal returns a constant string, "" for another expression.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.BinaryExpr:
		return literal(e.X) + literal(e.Y)
	}
	return ""
}
