package mapping

import (
	"strings"
	"testing"
)

// derived returns the fields of a line in the schema default, without those of its origin.
func derived(t *testing.T, line string) string {
	t.Helper()
	s := mustBuiltIn(t, "default")
	origin := strings.TrimSuffix(fieldsOf(t, s, "no JSON"), "}\n")
	return strings.TrimPrefix(strings.TrimPrefix(fieldsOf(t, s, line), origin), ",")
}

// deriving returns a function that checks the fields of a line in the schema default.
func deriving(t *testing.T) func(line, want string) {
	return func(line, want string) {
		t.Helper()
		if got := derived(t, line); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

// A duration without a unit is in that of the emitter, which the other keys identify.
func TestDurationsOfDialects(t *testing.T) {
	t.Parallel()
	f := func(line, want string) {
		t.Helper()
		if got := derived(t, line); !strings.HasSuffix(got, want) || want == "" && strings.Contains(got, "duration") {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	f(`{"method":"GET","path":"/x","response_code":503,"duration":12}`, `"duration_ms":12`)
	f(`{"duration":"33","method":"GET","path":"/x","response_code":"503"}`, `"duration_ms":33`)
	f(`{"duration":"33"}`, ``)
	f(`{"method":"GET","path":"/jobs","status":200,"duration":58.33,"view":40.43,"db":15.26}`, `"duration_ms":58.33`)
	f(`@cee: {"method":"GET","path":"/jobs","status":200,"duration":58.33,"view":40.43,"db":15.26}`, `"duration_ms":58.33`)
	f(`{"level":30,"msg":"done","latency":153}`, ``)
	f(`{"level":30,"time":1544414264183,"pid":1,"hostname":"h","msg":"done","latency":153}`, ``)
	f(`{"method":"GET","status":"404","duration":"1532"}`, ``)
	f(`{"level":"info","msg":"x","duration":2}`, ``)
	f(`{"level":"info","ts":1544414264.1,"msg":"x","duration":2}`, `"duration_ms":2000`)
	f(`{"duration":2,"level":"info","ts":"2026-01-15T12:00:00.000Z","caller":"a/b.go:7","msg":"x"}`, `"duration_ms":2000`)
	f(`{"level":"info","ts":1544414264.1,"msg":"x","duration":1544414264}`, ``)
	f(`{"level":"info","ts":1544414264.1,"msg":"x","duration":-2}`, ``)
	f(`{"time":"2026-01-15T12:00:00Z","level":"INFO","msg":"x","elapsed":12345678}`, `"duration_ms":12.345678`)
	f(`{"time":"2026-01-15T12:00:00Z","level":"INFO","msg":"x","elapsed":0.5}`, ``)
	f(`{"time":"2026-01-15T12:00:00Z","level":"INFO","msg":"x","elapsed":153}`, ``)
	f(`{"level":"info","duration":12,"time":"2026-01-15T12:00:00Z","message":"x"}`, `"duration_ms":12`)
	f(`{"level":"info","duration":12,"timestamp":"2026-01-15T12:00:00Z","message":"x"}`, ``)
	f(`{"duration":0.5,"message":"x","levelname":"INFO"}`, ``)
	f(`{"duration":[12,0.5],"level":"info","time":1,"message":"x"}`, ``)
	f(`{"latency":12.5,"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"n","Dimensions":[["a"]],"Metrics":[{"Name":"x","Unit":"Seconds"},{"Name":"latency","Unit":"Milliseconds"}]}]}}`, `"duration_ms":12.5`)
	f(`{"_aws":{"CloudWatchMetrics":[{"Metrics":[{"Unit":"Microseconds","Name":"latency","StorageResolution":1}]}]},"latency":1500}`, `"duration_ms":1.5`)
	f(`{"latency":12.5,"_aws":{"CloudWatchMetrics":[{"Metrics":[{"Name":"latency","Unit":"Count"},{"Name":"x","Unit":"Seconds"}]}]}}`, ``)
	f(`{"latency":12.5,"_aws":{"CloudWatchMetrics":[{"Metrics":[{"Name":"latency"}]}]}}`, ``)
	f(`{"latency":12.5,"_aws":7}`, ``)
	f(`{"duration":"1.5s"}`, `"duration_ms":1500`)
	f(`{"Duration":12.5}`, ``)
	for _, unknown := range []string{
		`{"msg":"import done","elapsed_time":12.5}`, `{"requestMethod":"GET","responseTime":"0.153"}`, `{"method":"GET","response":{"latency":153}}`,
		`{"event":{"duration":2.5}}`, `{"log":{"duration":3}}`, `{"level":"info","ts":1768478400123,"msg":"done","duration":153}`,
		`{"time":"2026-01-15T12:00:00Z","level":"INFO","msg":"x","latency":15320}`, `{"ddsource":"python","message":"x","duration":0.532}`,
		`{"syslog":{"severity":"info"},"message":"job","duration":12}`, `{"method":"GET","response_code":200,"duration":0.153}`, `{"level":"info","msg":"x","method":"GET","response_code":200,"duration":15320000}`,
		`{"time":"2026-01-15T12:00:00Z","level":"INFO","msg":"x","response":{"latency":153}}`, `{"@version":"1","message":"x","level":"INFO","elapsed_time":1.532}`,
		`{"time":"2026-01-15T12:00:00","level":"info","message":"report built","duration":1.532,"module":"r"}`, `{"level":"info","time":"2026-01-15T12:00:00Z","duration":5,"message":"cut o`,
	} {
		f(unknown, ``)
	}
	f(`{"DownstreamStatus":200,"Duration":12500000}`, `"status":200,"duration_ms":12.5`)
}

// Only the names of levels and the numbers of known emitters are levels.
func TestLevels(t *testing.T) {
	t.Parallel()
	f := func(want string, lines ...string) {
		t.Helper()
		if want != "" {
			want = `"level":"` + want + `"`
		}
		for _, line := range lines {
			if got := derived(t, line); got != want && !strings.HasPrefix(got, want+",") || want == "" && strings.Contains(got, "level") {
				t.Errorf("%s: %s, want %s", line, got, want)
			}
		}
	}
	f("error", `{"level":400,"level_name":"ERROR"}`, `{"level":40,"levelname":"ERROR"}`, `{"version":"1.1","short_message":"bad","level":3}`, `{"level":"\u001b[31merror\u001b[39m"}`,
		`{"level":"\u001b[1;31m[ERROR]\u001b[0m "}`, `{"level":"SEVERE"}`, `{"level":"E"}`, `{"level":"ERROR+2"}`, `{"levelno":40}`, `{"level":400,"channel":"app","datetime":"2026"}`)
	f("warn", `{"level":"WRN"}`, `{"level":"WARN "}`, `{"severity":"Warning"}`, `{"level":40.0,"time":1768478400000}`)
	f("info", `{"level":30.0,"time":1768478400000,"msg":"x"}`, `{"pid":1,"level":30,"hostname":"h"}`, `{"level":7,"severity":"INFO"}`, `{"level":12,"lvl":"notice"}`)
	f("fatal", `{"level":"CRIT"}`, `{"version":"1.1","short_message":"bad","level":0}`, `{"level":"dpanic"}`)
	f("trace", `{"level":"verbose"}`, `{"level":"DEBUG-4"}`, `{"level":"\ttrace"}`)
	f("", `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse"}`, `{"severity":8}`, `{"level":12}`, `{"level":true}`, `{"level":30}`, `{"level":"30"}`,
		`{"level":35,"time":1768478400000}`, `{"level":"12"}`, `{"level":"unknown"}`, `{"level":"-"}`, `{"level":"+2"}`, `{"level":"e+5"}`, `{"level":"\u001b[31m"}`, `{"level":["x"]}`, `{"level":`+strings.Repeat("9", 400)+`}`)
}

// After a prefix that has more than times, levels, ids, loggers and threads, the JSON is a
// payload. The level before it counts.
func TestPrefix(t *testing.T) {
	t.Parallel()
	f := deriving(t)
	const time = "2026-01-15T12:00:00.123Z"
	f(time+"\t8f5c\tINFO\tprovider said {\"status\":503,\"error\":\"unavailable\",\"level\":\"fatal\"}", `"level":"info"`)
	f(`executing UPDATE t SET j={"status":5,"path":"p"}`, ``)
	f(`(c6af9ac6) Endpoint response body before transformations: {"status":"ok","message":"x"}`, ``)
	f(`provider returned error {"status":503}`, ``)
	f(`I said {"status":503}`, ``)
	f(`HTTP {"status":503}`, ``)
	f(`response: {"status":503}`, ``)
	f(`error={"status":503}`, ``)
	f(`req.body {"level":"fatal","status":503}`, ``)
	f(`[response] {"status":503}`, ``)
	f(`Error: {"status":503,"message":"down"}`, ``)
	f(`http-2 {"status":503}`, ``)
	f(`INFO:root:Response: {"status":503}`, ``)
	f(time+"\t01234567-89ab-cdef-0123-456789abcdef\tINFO\tresponse.body {\"status\":503}", `"level":"info"`)
	f(`[response] 200 {"status":503}`, ``)
	f(`ec2 {"status":503}`, ``)
	f(`--- response --- {"status":503}`, ``)
	f(`stdout: {"status":503}`, ``)
	f(`2026-01-15T12:00:00Z Error handler installed {"n":1}`, ``)
	f(time+` ERROR {"@t":"x","@mt":"y"} failed`, `"level":"error"`)
	f(`2026-01-15 12:00:00,123 - shop - ERROR - {"status":503}`, `"level":"error","status":503`)
	f(`2026-01-15 12:00:00 UTC [1] ERROR {"status":503}`, `"level":"error","status":503`)
	const inner = `"msg":"x","status":503`
	for _, lead := range []string{
		time + "\t01234567-89ab-cdef-0123-456789abcdef\tWARN\t", "WARN ", "[WARN] ", "warn: ", "WARN  [main] c.e.Shop - ", "2026-01-15 12:00:00,123 WARN [http-nio-8080-exec-1] com.example.Shop : ",
		"WARNING:root:", "WARNING:app.shop:", time + " stdout F WARN ", "WARN | 2026-01-15 | ", "Jan 15 12:00:00 host app[1]: WARN @cee: ",
	} {
		want := `"level":"warn",` + inner
		if strings.HasPrefix(lead, "Jan") {
			want = inner // other words came before the level
		}
		f(lead+`{"msg":"x","status":503}`, want)
		f(lead+`{"msg":"x","status":503,"level":"error"}`, strings.TrimSuffix(`"level":"error",`+inner, ","))
		f(lead+`{"msg":"x","status":503} and more`, strings.TrimSuffix(strings.TrimSuffix(want, inner), ","))
	}
}

// Values that are not what their field means are left out.
func TestMeanings(t *testing.T) {
	t.Parallel()
	f := deriving(t)
	for _, nothing := range []string{
		`"error":false`, `"error":0`, `"exception":true`, `"error":"-"`, `"error":""`, `"error":"null"`, `"err":"<nil>"`, `"error":{}`, `"error":[]`, `"msg":"-"`, `"msg":""`,
		`"status":99`, `"status":600`, `"status":-1`, `"status":"ok"`, `"status":true`, `"method":"processPayment"`, `"method":7`, `"path":"orders.js"`, `"path":"C:\\x"`, `"path":"?a"`,
		`"host":"machine-1"`, `"path":"/etc/passwd"`, `"url":"s3://bucket/key"`, `"logger":true`, `"msg":"\u001b[31m \u001b[0m"`, `"trace_id":"0000-00"`, `"status":[200]`, `"name":"Ada"`, `"duration_ms":-1`, `"latency_ms":"-2ms"`, `"url":"mailto:a@example.com"`,
	} {
		f("{"+nothing+"}", ``)
	}
	f(`{"msg":"user created","name":"Ada"}`, `"msg":"user created"`)
	f(`{"levelname":"INFO","name":"shop"}`, `"level":"info","logger":"shop"`)
	f(`{"method":"get","url":"https://api.example.com/a/b?c=d#e","status":"404"}`, `"method":"GET","path":"/a/b","status":404`)
	f(`{"url":"https://api.example.com","status":200}`, `"path":"/","status":200`)
	f(`{"url":"wss://api.example.com?x=/y","method":"GET"}`, `"method":"GET","path":"/"`)
	f(`{"latency":5,"latency_human":"5ns","host":"api"}`, `"host":"api","duration_ms":0.000005`)
	for _, nothing := range []string{
		`"msg":"versions","frontend":"1.4.2","backend":"2.0.1","host":"build-7"`, `"msg":"x","remoteIP":"10.0.0.1","host":"ip-10-0-1-12"`, `"msg":"exec","request":"/bin/sh -c ls"`,
		`"msg":"reading","Path":"/app/appsettings.json"`, `"msg":"x","class":"Cart","method":"checkout"`, `"msg":"x","S":"small"`, `"msg":"x","L":"c"`, `"msg":"x","exception":"cannot open C:\\new.txt"`, `"msg":"x","exc_info":"NoneType: None"`, `"msg":"x","exception":"no stock"`, `"msg":"x","Host":"::"`,
		`"msg":"x","trace_id":"undefined"`, `"msg":"x","request_id":"none"`,
	} {
		if got := derived(t, "{"+nothing+"}"); strings.Count(got, ":") != 1 {
			t.Errorf("%s: %s", nothing, got)
		}
	}
	f(`{"trace_id":"Self=1-2;Root=1-6968d8c0-710d76f009d6e7785905449a"}`, `"trace_id":"1-6968d8c0-710d76f009d6e7785905449a"`)
	f(`{"player":"ada","level":40,"time":95}`, ``)
	f(`{"method":"GET","path":"/x","status":200,"body":"secret=1"}`, `"method":"GET","path":"/x","status":200`)
	f(`{"error":"boom"}`, `"error.message":"boom"`)
}

// Fields do not depend on the order of keys.
func TestOrderOfKeys(t *testing.T) {
	t.Parallel()
	keys := []string{`"level":30`, `"time":1768478400000`, `"name":"shop"`, `"msg":"x"`, `"duration":"1.5s"`, `"hostname":"h"`}
	want := derived(t, "{"+strings.Join(keys, ",")+"}")
	if !strings.Contains(want, `"level":"info"`) || !strings.Contains(want, `"logger":"shop"`) {
		t.Fatal(want)
	}
	for range keys {
		keys = append(keys[1:], keys[0])
		if got := derived(t, "{"+strings.Join(keys, ",")+"}"); got != want {
			t.Errorf("%q: %s, want %s", keys, got, want)
		}
	}
}
