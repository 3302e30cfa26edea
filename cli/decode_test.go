package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"logsluice/local/localtest"
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

// sample returns a subscription record's envelope, and the bulk request that it becomes.
func sample(t *testing.T) (envelope []byte, bulk string) {
	t.Helper()
	return testdata(t, "envelope.json"), string(testdata(t, "bulk.ndjson"))
}

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDecode_Success(t *testing.T) {
	f := func(name string, input []byte, want string) {
		t.Helper()
		code, out, errOut := command(t, documentEnv, input, "decode", "-")
		if code != exitOK || out != want || errOut != "" {
			t.Errorf("%s: exit %d, standard error %q, output\n%s", name, code, errOut, out)
		}
	}
	one, sampleBulk := sample(t)
	f("JSON", one, sampleBulk)
	f("a member", localtest.Gzip(one), sampleBulk)
	f("two members", append(localtest.Gzip(one), localtest.Gzip(one)...), sampleBulk+sampleBulk)
	f("an archive object", localtest.Gzip(append(localtest.Gzip(one), localtest.Gzip(one)...)), sampleBulk+sampleBulk)
	f("envelopes back to back", append(bytes.TrimSpace(bytes.Clone(one)), one...), sampleBulk+sampleBulk)

	file := filepath.Join(t.TempDir(), "record.gz")
	if err := os.WriteFile(file, localtest.Gzip(one), 0o600); err != nil {
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
	one, sampleBulk := sample(t)
	packed := localtest.Gzip(one)
	f("nothing", nil, "", "nothing in it")
	f("no gzip, no JSON", []byte("hello"), "", "byte 0")
	f("second member cut", append(localtest.Gzip(one), packed[:len(packed)-30]...), sampleBulk, "gzip member 2", "cut off")
	broken := bytes.Clone(packed)
	broken[len(broken)-6] ^= 1
	f("second of three corrupt", bytes.Join([][]byte{packed, broken, packed}, nil), sampleBulk+sampleBulk, "gzip member 2")
	f("an event without a message", bytes.Replace(one, []byte(`"message":"{\"level\":\"info\",\"ts\":\"2018-12-10T12:58`), []byte(`"text":"{\"level\":\"info\",\"ts\":\"2018-12-10T12:58`), 1),
		sampleBulk[:strings.Index(sampleBulk[200:], "{\"create\"")+200], "no message")
}

// Reading ends with the context, whoever keeps the other end open.
func TestDecodeEnds(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range documentEnv {
		t.Setenv(name, value)
	}
	for _, file := range []string{"-", pipe} {
		in, unused, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = in.Close(), unused.Close() })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		var errOut bytes.Buffer
		begun := time.Now()
		code := Main(ctx, "", []string{"decode", file}, in, io.Discard, &errOut)
		cancel()
		if took := time.Since(begun); code != exitFailure || took > 5*time.Second || !strings.Contains(errOut.String(), "was not read to its end") {
			t.Errorf("%s: exit %d after %s, %s", file, code, took, &errOut)
		}
	}
}

// People who come from the usual Lambda have these set.
func TestLambdaVariables(t *testing.T) {
	envelope, sampleBulk := sample(t)
	code, out, errOut := command(t, map[string]string{"INDEX_PREFIX": "", "ES_INDEX_PREFIX": "ecs-task", "INDEX_TIMEZONE": "Asia/Tokyo"}, envelope, "decode", "-")
	if code != exitOK || out != sampleBulk {
		t.Errorf("exit %d: %s%s", code, out, errOut)
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
	if code, out, _ := command(t, nil, nil, "version"); code != exitOK || out != "v1.2.3\n" {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, help, _ := command(t, nil, nil, "help", "run"); code != exitOK || help != out {
		t.Errorf("exit %d: %s", code, help)
	}
	if code, help, _ := command(t, nil, nil, "help"); code != exitOK || !strings.Contains(help, "\n  leases reset ") {
		t.Errorf("exit %d: %s", code, help)
	}
	for _, required := range []string{"--stream-name=NAME             Required.", "--opensearch-url=URL          Required.", "--index-prefix=PREFIX     Required."} {
		if !strings.Contains(out, required) {
			t.Errorf("the help does not have %q", required)
		}
	}
	for line := range strings.Lines(out) {
		if len([]rune(line)) > 81 {
			t.Errorf("a line of %d columns: %s", len(line)-1, line)
		}
	}
}
