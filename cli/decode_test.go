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

// command runs a command in this process and returns its exit code and output.
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

// sample returns the envelope of a subscription record and the bulk request made from it.
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

// An invalid part of a record is reported with its position, and the rest is still printed.
func TestDecode_Failure(t *testing.T) {
	f := func(name string, input []byte, want string, errors ...string) {
		t.Helper()
		code, out, errOut := command(t, documentEnv, input, "decode", "-")
		if code != exitFailure || out != want || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%s: exit %d, standard error %q, output\n%s", name, code, errOut, out)
		}
		for _, e := range errors {
			if !strings.Contains(errOut, e) {
				t.Errorf("%s: %q lacks %q", name, errOut, e)
			}
		}
	}
	one, sampleBulk := sample(t)
	packed := localtest.Gzip(one)
	f("second member cut", append(localtest.Gzip(one), packed[:len(packed)-30]...), sampleBulk, "gzip member 2", "cut off")
	broken := bytes.Clone(packed)
	broken[len(broken)-6] ^= 1
	f("second of three corrupt", bytes.Join([][]byte{packed, broken, packed}, nil), sampleBulk+sampleBulk, "gzip member 2")
	f("an event without a message", bytes.Replace(one, []byte(`"message":"{\"level\":\"info\",\"ts\":\"2018-12-10T12:58`), []byte(`"text":"{\"level\":\"info\",\"ts\":\"2018-12-10T12:58`), 1),
		sampleBulk[:strings.Index(sampleBulk[200:], "{\"create\"")+200], "no message")
}

// Reading ends with the context, even while the other end is open.
func TestDecode_Cancelled(t *testing.T) {
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
		if took := time.Since(begun); code != exitFailure || took > time.Minute || !strings.Contains(errOut.String(), "was not read to its end") {
			t.Errorf("%s: exit %d after %s, %s", file, code, took, &errOut)
		}
	}
}
