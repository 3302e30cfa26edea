package cli

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// command runs a command in this process.
func command(t *testing.T, env map[string]string, input []byte, args ...string) (code int, out, errOut string) {
	t.Helper()
	for name, value := range env {
		t.Setenv(name, value)
	}
	var stdout, stderr bytes.Buffer
	code = Main(t.Context(), "v1.2.3", args, bytes.NewReader(input), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

var documentEnv = map[string]string{"INDEX_PREFIX": "ecs-task", "INDEX_TIMEZONE": "Asia/Tokyo"}

func sample(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/envelope.json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sampleBulk is what the sample envelope becomes.
const sampleBulk = `{"create":{"_index":"ecs-task-2018-12-10","_id":"34445599170741240319468349160893137123435325323456612352"}}
{"@timestamp":"2018-12-10T12:57:44.183+09:00","message":"{\"level\":\"info\",\"ts\":\"2018-12-10T12:57:44.183+0900\",\"msg\":\"request and response log\",\"out\":\"stdout\",\"log\":{\"start_time\":\"2018-12-10T12:57:44+09:00\",\"duration\":10267638,\"request\":{\"hostname\":\"api.example.com\",\"method\":\"GET\",\"path\":\"/v1/xxx/xxx-xxx\"},\"response\":{\"status\":200}}}","log_group":"/ecs-task","log_stream":"/ecs-task/xxxxxxx-4c18-4ab5-b1d6-7f8bff82a23d","owner":"xxx","level":"info","msg":"request and response log","method":"GET","path":"/v1/xxx/xxx-xxx","host":"api.example.com","status":200,"duration_ms":10.267638}
{"create":{"_index":"ecs-task-2018-12-10","_id":"34445599170741240319468349160893137123435325323456612353"}}
{"@timestamp":"2018-12-10T12:58:56.184+09:00","message":"{\"level\":\"info\",\"ts\":\"2018-12-10T12:58:56.184+0900\",\"msg\":\"request and response log\",\"out\":\"stdout\",\"log\":{\"start_time\":\"2018-12-10T12:58:56+09:00\",\"duration\":11138161,\"request\":{\"hostname\":\"api.example.com\",\"method\":\"GET\",\"path\":\"/v1/xxx/yyy-yyy\"},\"response\":{\"status\":400}}}","log_group":"/ecs-task","log_stream":"/ecs-task/xxxxxxx-4c18-4ab5-b1d6-7f8bff82a23d","owner":"xxx","level":"info","msg":"request and response log","method":"GET","path":"/v1/xxx/yyy-yyy","host":"api.example.com","status":400,"duration_ms":11.138161}
`

func pack(data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(data)
	w.Close()
	return out.Bytes()
}

func TestDecode_Success(t *testing.T) {
	f := func(name string, input []byte, want string) {
		t.Helper()
		code, out, errOut := command(t, documentEnv, input, "decode", "-")
		if code != exitOK || out != want || errOut != "" {
			t.Errorf("%s: exit %d, standard error %q, output\n%s", name, code, errOut, out)
		}
	}
	one := sample(t)
	f("JSON", one, sampleBulk)
	f("a member", pack(one), sampleBulk)
	f("two members", append(pack(one), pack(one)...), sampleBulk+sampleBulk)
	f("an archive object", pack(append(pack(one), pack(one)...)), sampleBulk+sampleBulk)
	f("envelopes back to back", append(bytes.TrimSpace(bytes.Clone(one)), one...), sampleBulk+sampleBulk)

	file := filepath.Join(t.TempDir(), "record.gz")
	if err := os.WriteFile(file, pack(one), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errOut := command(t, documentEnv, nil, "decode", file); code != exitOK || out != sampleBulk {
		t.Errorf("a file: exit %d, %s%s", code, out, errOut)
	}
}

// Bad input is told with its place, and what is good comes out all the same.
func TestDecode_Failure(t *testing.T) {
	f := func(name string, input []byte, want string, errors ...string) {
		t.Helper()
		code, out, errOut := command(t, documentEnv, input, "decode", "-")
		if code != exitFailure || out != want || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%s: exit %d, standard error %q, output\n%s", name, code, errOut, out)
		}
		for _, e := range errors {
			if !strings.Contains(errOut, e) {
				t.Errorf("%s: %q does not say %q", name, errOut, e)
			}
		}
	}
	one := sample(t)
	packed := pack(one)
	f("nothing", nil, "", "nothing in it")
	f("no gzip, no JSON", []byte("hello"), "", "byte 0")
	f("second member cut", append(pack(one), packed[:len(packed)-30]...), sampleBulk, "gzip member 2", "cut off")
	broken := bytes.Clone(packed)
	broken[len(broken)-6] ^= 1
	f("second of three corrupt", bytes.Join([][]byte{packed, broken, packed}, nil), sampleBulk+sampleBulk, "gzip member 2")
	f("an event without a message", bytes.Replace(one, []byte(`"message":"{\"level\":\"info\",\"ts\":\"2018-12-10T12:58`), []byte(`"text":"{\"level\":\"info\",\"ts\":\"2018-12-10T12:58`), 1),
		sampleBulk[:strings.Index(sampleBulk[200:], "{\"create\"")+200], "no message")
}

// A setting that is missing or wrong is told in one line that names the variable.
func TestSettings_Failure(t *testing.T) {
	complete := map[string]string{
		"STREAM_NAME": "s", "APPLICATION_NAME": "app", "OPENSEARCH_URL": "http://127.0.0.1:1", "INDEX_PREFIX": "p", "AWS_REGION": "us-east-1",
	}
	f := func(variable, value string, more ...string) {
		t.Helper()
		t.Run(variable+"="+value, func(t *testing.T) {
			env := map[string]string{variable: value}
			for name, v := range complete {
				if name != variable {
					env[name] = v
				}
			}
			for i := 0; i+1 < len(more); i += 2 {
				env[more[i]] = more[i+1]
			}
			code, out, errOut := command(t, env, nil, "run")
			if code != exitSettings || out != "" || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, variable) {
				t.Errorf("exit %d, output %q, standard error %q", code, out, errOut)
			}
		})
	}
	for variable := range complete {
		f(variable, "")
	}
	f("INDEX_PREFIX", "Upper")
	f("INDEX_TIMEZONE", "Asia/Nowhere")
	f("OPENSEARCH_URL", "ftp://host")
	f("OPENSEARCH_CA_FILE", "/does/not/exist")
	f("OPENSEARCH_SIGV4", "s3")
	f("OPENSEARCH_USERNAME", "u", "OPENSEARCH_SIGV4", "es")
	f("INITIAL_POSITION", "yesterday")
	f("INITIAL_POSITION", "2999-01-01T00:00:00Z")
	f("LEASE_DURATION", "10ms")
	f("LEASE_DURATION", "ten")
	f("BULK_BYTES", "0")
	f("BULK_BYTES", "many")
	f("BULK_DOCUMENTS", "-1")
	f("BULK_CONNECTIONS", "0")
	f("BULK_LINGER", "-1s")
	f("BULK_TIMEOUT", "0")
	f("POLL_INTERVAL", "-1s")
	f("SHARD_SYNC_INTERVAL", "0s")
	f("IN_FLIGHT_BYTES", "0")
	f("MAX_INFLATED_BYTES", "0")
	f("MAX_INFLATED_BYTES", "1073741825")
	f("DRAIN_TIMEOUT", "0s")
	f("SUMMARY_PERIOD", "0s")
	f("EMF_NAMESPACE", "AWS/logs")
	f("LOG_LEVEL", "loud")
	f("DEAD_LETTER_URL", "https://bucket/prefix/")
	f("DEAD_LETTER_URL", "s3:///prefix/")
	f("DEAD_LETTER_URL", "s3://No_Bucket/")
	f("DEAD_LETTER_URL", "s3://bucket/prefix/?x")
	f("METRICS_ADDRESS", "nowhere")
	f("INDEX_DATE", "%d")
	f("SCHEMA", "none")
	f("SCHEMA_FILE", "/nowhere")
	f("CONSTANT_FIELDS", "message=x")
	f("INDEX_SHARDS", "0")
	f("INDEX_REPLICAS", "some")
	f("INDEX_REFRESH", "1ms")
	f("INDEX_CODEC", "gzip")
	f("INDEX_SORT", "msg")
	for _, value := range []string{"13d", "335h59m", "-30d", "-720h", "1", "soon", "99999d"} {
		f("EVENT_MAX_AGE", value)
	}
	for _, value := range []string{"1h59m", "-1d", "2", "x"} {
		f("EVENT_MAX_AHEAD", value)
	}
	f("INDEX_PREFIX", "app-outside")
	f("INDEX_PREFIX", "app-dead-letter", "DATA_STREAM", "true")
}

// People who come from the usual Lambda have these set.
func TestLambdaVariables(t *testing.T) {
	code, out, errOut := command(t, map[string]string{"INDEX_PREFIX": "", "ES_INDEX_PREFIX": "ecs-task", "INDEX_TIMEZONE": "Asia/Tokyo"}, sample(t), "decode", "-")
	if code != exitOK || out != sampleBulk {
		t.Errorf("exit %d: %s%s", code, out, errOut)
	}
	for given, want := range map[string]string{
		"search.example.com": "https://search.example.com", "https://search.example.com": "https://search.example.com", "": "",
	} {
		if got := address(given); got != want {
			t.Errorf("address %q became %q", given, got)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	if code, out, _ := command(t, nil, nil, "--version"); code != exitOK || strings.TrimSpace(out) != "v1.2.3" {
		t.Errorf("exit %d: %s", code, out)
	}
	code, out, _ := command(t, nil, nil, "run", "--help")
	for _, variable := range []string{"STREAM_NAME", "APPLICATION_NAME", "OPENSEARCH_URL", "ES_DOMAIN_URL", "INDEX_PREFIX", "ES_INDEX_PREFIX", "INDEX_TIMEZONE", "INITIAL_POSITION", "WORKER_ID", "OPENSEARCH_SIGV4", "OPENSEARCH_CA_FILE", "LOG_LEVEL", "Stream and leases:", "OpenSearch:", "Documents:", "Operation:"} {
		if !strings.Contains(out, variable) {
			t.Errorf("the help does not have %s", variable)
		}
	}
	if code != exitOK {
		t.Errorf("exit %d", code)
	}
	if code, _, errOut := command(t, nil, nil, "nonsense"); code != exitSettings || strings.Count(errOut, "\n") != 1 {
		t.Errorf("exit %d: %s", code, errOut)
	}
}
