package mapping

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/sirupsen/logrus"

	"logsluice/mapping/schema"
)

// Lines of log libraries have the same fields in the default schema, and in ecs under
// other names.
func TestLibraries(t *testing.T) {
	plain, usual, elastic := mustBuiltIn(t, "plain"), mustBuiltIn(t, "default"), mustBuiltIn(t, "ecs")
	origin := func(s *schema.Schema) string { return strings.TrimSuffix(fieldsOf(t, s, "no JSON"), "}\n") }
	names := strings.NewReplacer(`"level":`, `"log.level":`, `"logger":`, `"log.logger":`, `"msg":`, `"log.message":`, `"method":`, `"http.request.method":`, `"path":`, `"url.path":`,
		`"host":`, `"url.domain":`, `"status":`, `"http.response.status_code":`, `"error.stack":`, `"error.stack_trace":`, `"trace_id":`, `"trace.id":`, `"request_id":`, `"http.request.id":`)
	f := func(library, line, want string) {
		t.Helper()
		if got := strings.TrimPrefix(fieldsOf(t, usual, line), origin(usual)+","); got != want {
			t.Errorf("%s: %s\ngot  %s\nwant %s", library, line, got, want)
		}
		got := strings.TrimPrefix(fieldsOf(t, elastic, line), origin(elastic)+",")
		before, took, timed := strings.Cut(want, `"duration_ms":`)
		if before = names.Replace(before); !timed && got != before || !strings.HasPrefix(got, before) {
			t.Errorf("%s, ecs: %s\ngot  %s\nwant %s", library, line, got, before)
		}
		if timed && !strings.Contains(got, `"event.duration":`) {
			t.Errorf("%s, ecs: %s has no duration like %s: %s", library, line, took, got)
		}
		if fieldsOf(t, plain, line) != origin(plain) {
			t.Errorf("%s, plain: %s", library, fieldsOf(t, plain, line))
		}
	}
	written := func(write func(io.Writer)) string {
		var line bytes.Buffer
		write(&line)
		return line.String()
	}
	failure, took := errors.New("refused\nhere"), 12345678*time.Nanosecond
	f("slog", written(func(w io.Writer) {
		slog.New(slog.NewJSONHandler(w, nil)).Error("it failed", "err", failure, "elapsed", took, "request_id", "r1")
	}), `"level":"error","msg":"it failed","duration_ms":12.345678,"error.message":"refused\nhere","request_id":"r1"`)
	f("slog between levels", written(func(w io.Writer) { slog.New(slog.NewJSONHandler(w, nil)).Log(t.Context(), slog.LevelWarn+2, "x") }), `"level":"warn","msg":"x"`)
	f("zerolog", written(func(w io.Writer) {
		log := zerolog.New(w).With().Timestamp().Logger()
		log.Warn().Err(failure).Dur("duration", took).Str("req_id", "r1").Str("method", "GET").Int("status", 503).Msg("it failed")
	}), `"level":"warn","msg":"it failed","method":"GET","status":503,"duration_ms":12.345678,"error.message":"refused\nhere","request_id":"r1"`)
	f("logrus", written(func(w io.Writer) {
		log := logrus.New()
		log.SetOutput(w)
		log.SetFormatter(&logrus.JSONFormatter{})
		log.WithError(failure).WithField("latency", took).Warn("it failed")
	}), `"level":"warn","msg":"it failed","duration_ms":12.345678,"error.message":"refused\nhere"`)
	// As in their documentation and sources, see testdata/lines.
	f("zap", `{"level":"dpanic","ts":1544414264.183,"logger":"shop","caller":"a/b.go:7","msg":"it failed","error":"refused","duration":0.012345678,"stacktrace":"main.main\n\ta/b.go:7"}`,
		`"level":"fatal","logger":"shop","msg":"it failed","duration_ms":12.345678,"error.message":"refused","error.stack":"main.main\n\ta/b.go:7"`)
	f("zap, nested", `{"level":"info","ts":"2018-12-10T12:57:44.183+0900","msg":"request","log":{"duration":10267638,"request":{"hostname":"api.example.com","method":"GET","path":"/v1/a?b=c"},"response":{"status":200}}}`,
		`"level":"info","msg":"request","method":"GET","path":"/v1/a","host":"api.example.com","status":200,"duration_ms":10.267638`)
	f("pino-http", `{"level":50,"time":1544414264183,"pid":1,"hostname":"h","name":"shop","req":{"id":7,"method":"GET","url":"/a?b=c","headers":{"host":"api"}},"res":{"statusCode":500},"err":{"type":"TypeError","message":"refused","stack":"TypeError: refused\n    at a.js:1"},"responseTime":12,"msg":"request errored"}`,
		`"level":"error","logger":"shop","msg":"request errored","method":"GET","path":"/a","host":"api","status":500,"duration_ms":12,"error.message":"refused","error.type":"TypeError","error.stack":"TypeError: refused\n    at a.js:1","request_id":"7"`)
	f("bunyan", `{"name":"shop","hostname":"h","pid":1,"level":40,"req_id":"r1","err":{"message":"refused","name":"Error","stack":"Error: refused"},"msg":"it failed","time":"2018-12-10T03:57:44.183Z","v":0}`,
		`"level":"warn","logger":"shop","msg":"it failed","error.message":"refused","error.type":"Error","error.stack":"Error: refused","request_id":"r1"`)
	f("logstash-logback-encoder", `{"@timestamp":"2018-12-10T03:57:44.183Z","@version":"1","message":"it failed","logger_name":"c.e.Shop","thread_name":"main","level":"WARN","level_value":30000,"stack_trace":"c.e.Refused: no\n\tat c.e.Shop","trace_id":"4bf9"}`,
		`"level":"warn","logger":"c.e.Shop","msg":"it failed","error.stack":"c.e.Refused: no\n\tat c.e.Shop","trace_id":"4bf9"`)
	f("logstash-logback-encoder, access", `{"@timestamp":"2018-12-10T03:57:44.183Z","message":"GET /a","method":"GET","protocol":"HTTP/1.1","status_code":404,"requested_url":"GET /a HTTP/1.1","requested_uri":"/a","remote_host":"10.0.0.1","elapsed_time":12}`,
		`"msg":"GET /a","method":"GET","path":"/a","status":404,"duration_ms":12`)
	f("logback JsonEncoder", `{"sequenceNumber":0,"timestamp":1544414264183,"nanoseconds":183000000,"level":"ERROR","threadName":"main","loggerName":"c.e.Shop","mdc":{"traceId":"4bf9"},"message":"it failed","throwable":{"className":"c.e.Refused","message":"no","stepArray":[{"className":"c.e.Shop"}]}}`,
		`"level":"error","logger":"c.e.Shop","msg":"it failed","error.message":"no","error.type":"c.e.Refused","trace_id":"4bf9"`)
	f("python-json-logger", `{"levelname":"CRITICAL","name":"shop","message":"it failed","exc_info":"Traceback\nValueError: no","otelTraceID":"4bf9"}`,
		`"level":"fatal","logger":"shop","msg":"it failed","error.stack":"Traceback\nValueError: no","trace_id":"4bf9"`)
	f("structlog", `{"event":"it failed","level":"warning","exception":"Traceback\nE","request_id":"r1"}`, `"level":"warn","msg":"it failed","error.stack":"Traceback\nE","request_id":"r1"`)
	f("ecs, dotted and nested", `{"@timestamp":"2018-12-10T03:57:44.183Z","log.level":"ERROR","message":"it failed","log":{"origin":{"function":"f"},"logger":"shop"},"error.type":"E","error":{"message":"no"},"event":{"duration":12345678},"trace.id":"4bf9","http":{"request":{"method":"GET","id":"r1"},"response.status_code":500},"url":{"path":"/a","domain":"api"}}`,
		`"level":"error","logger":"shop","msg":"it failed","method":"GET","path":"/a","host":"api","status":500,"duration_ms":12.345678,"error.message":"no","error.type":"E","trace_id":"4bf9","request_id":"r1"`)
	f("Lambda", `{"timestamp":"2018-12-10T03:57:44Z","level":"ERROR","message":"it failed","errorType":"E","errorMessage":"no","stackTrace":["a","b"],"requestId":"r1"}`,
		`"level":"error","msg":"it failed","error.message":"no","error.type":"E","error.stack":["a","b"],"request_id":"r1"`)
	f("echo", `{"time":"2018-12-10T03:57:44Z","id":"","remote_ip":"10.0.0.1","host":"api","method":"GET","uri":"/a?b=c","user_agent":"x","status":200,"error":"","latency":12345678,"latency_human":"12.3ms","bytes_in":0,"bytes_out":5}`,
		`"method":"GET","path":"/a","host":"api","status":200,"duration_ms":12.345678`)
	f("caddy", `{"level":"info","ts":1544414264.1,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"10.0.0.1","proto":"HTTP/2.0","method":"GET","host":"api","uri":"/a?b=c","headers":{"Accept":["*/*"]}},"user_id":"","duration":0.012345678,"size":5,"status":200}`,
		`"level":"info","logger":"http.log.access","msg":"handled request","method":"GET","path":"/a","host":"api","status":200,"duration_ms":12.345678`)
	f("serilog", `{"@t":"2018-12-10T03:57:44.1830000Z","@m":"it failed","@l":"Warning","@x":"System.E: no","@tr":"4bf9"}`, `"level":"warn","msg":"it failed","error.stack":"System.E: no","trace_id":"4bf9"`)
}
