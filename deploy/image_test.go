//go:build linux

package deploy

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/internal/fakeaws"
	"logsluice/internal/loggen"
	"logsluice/local/feed"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
	"logsluice/opensearch"
)

// The image that `make image` builds has the right configuration, exactly the expected files, and
// a program that works in it.
func TestImage(t *testing.T) {
	localtest.OpenSearch(t) // needed by half of the test
	b := newBuilder(t)
	b.makeGolang()
	const version = "1.2.3-test"
	images := readLayout(t, b.makeImage("logsluice", "", "VERSION="+version, "SOURCE=https://git.example.com/logsluice"))
	if got := slices.Sorted(maps.Keys(images)); !reflect.DeepEqual(got, []string{"linux/amd64", "linux/arm64"}) {
		t.Fatalf("images for %v", got)
	}
	revision := b.run("git", "rev-parse", "HEAD")
	for _, one := range images {
		t.Run(one.config.Architecture, func(t *testing.T) {
			testConfig(t, one, version, revision)
			testFiles(t, one)
		})
	}
	c := newContainer(t, b, images[platform])
	t.Run("version", func(t *testing.T) {
		if out, code := c.output(t, nil, "--version"); out != version+"\n" || code != 0 {
			t.Errorf("%q, exit %d", out, code)
		}
	})
	t.Run("run", func(t *testing.T) { testContainerRun(t, c) })
	producer := readLayout(t, b.makeImage("produce", "--target produce", "PLATFORMS="+platform))[platform]
	t.Run("producer", func(t *testing.T) { testProducer(t, producer) })
}

// The log producer of compose.yaml has its own image.
func testProducer(t *testing.T, one *image) {
	if got := slices.Sorted(maps.Keys(one.files)); !reflect.DeepEqual(got, []string{"produce"}) {
		t.Errorf("files %v", got)
	}
	if config := one.config.Config; config.User != "65532:65532" || !reflect.DeepEqual(config.Entrypoint, []string{"/produce"}) {
		t.Errorf("user %q, entry point %v", config.User, config.Entrypoint)
	}
}

// testConfig checks the configuration of the image.
func testConfig(t *testing.T, one *image, version, revision string) {
	config := one.config.Config
	f := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	f("user", config.User, "65532:65532")
	f("entry point", config.Entrypoint, []string{"/logsluice"})
	f("arguments", config.Cmd, []string{"run"})
	f("ports", config.ExposedPorts, map[string]struct{}{"9100/tcp": {}})
	f("health check", config.Healthcheck.Test, []string{"CMD", "/logsluice", "healthcheck"})
	f("health check's times", []time.Duration{config.Healthcheck.Interval, config.Healthcheck.Timeout, config.Healthcheck.StartPeriod},
		[]time.Duration{10 * time.Second, 5 * time.Second, 10 * time.Second})
	f("environment of the program", slices.Contains(config.Env, "METRICS_ADDRESS=:9100"), true)

	labels := make(map[string]string)
	for name, value := range config.Labels {
		if after, ours := strings.CutPrefix(name, "org.opencontainers.image."); ours {
			labels[after] = value
		}
	}
	created, err := time.Parse(time.RFC3339, labels["created"])
	if err != nil || time.Since(created).Abs() > time.Hour {
		t.Errorf("created %v, %v", created, err)
	}
	delete(labels, "created")
	f("labels", labels, map[string]string{
		"title": "logsluice", "description": "CloudWatch logs from a Kinesis data stream into OpenSearch", "licenses": "MIT",
		"source": "https://git.example.com/logsluice", "version": version, "revision": revision,
	})
}

// testFiles checks the files of the image: a static program and certificates.
func testFiles(t *testing.T, one *image) {
	const limit = 15e6
	t.Logf("%.1f MB compressed", float64(one.size)/1e6)
	if one.size > limit {
		t.Errorf("%d bytes compressed, want at most %.0f", one.size, limit)
	}
	if got := slices.Sorted(maps.Keys(one.files)); !reflect.DeepEqual(got, []string{"etc/ssl/certs/ca-certificates.crt", "logsluice"}) {
		t.Fatalf("files %v", got)
	}
	for name, mode := range map[string]os.FileMode{"logsluice": 0o755, "etc/ssl/certs/ca-certificates.crt": 0o644} {
		if got := one.files[name].mode; got != mode {
			t.Errorf("%s has mode %s", name, got)
		}
	}
	program := bytes.NewReader(one.files["logsluice"].data)
	executable, err := elf.NewFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[one.config.Architecture]; executable.Machine != want {
		t.Errorf("compiled for %s, not %s", executable.Machine, want)
	}
	for _, section := range []string{".interp", ".symtab"} {
		if executable.Section(section) != nil {
			t.Errorf("the program has a section %s", section)
		}
	}
	info, err := buildinfo.Read(program)
	if err != nil {
		t.Fatal(err)
	}
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" {
		t.Errorf("built with %v", settings)
	}
}

// container runs the program as a container engine does, on a read-only root file system.
type container struct {
	config imageConfig
	root   string
	user   syscall.Credential
}

func newContainer(t *testing.T, b *builder, one *image) *container {
	t.Helper()
	c := &container{config: one.config, root: filepath.Join(b.folder, "root")}
	one.unpack(t, c.root)
	if err := syscall.Mount(c.root, c.root, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", c.root, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.root, "x"), nil, 0o600); !errors.Is(err, syscall.EROFS) {
		t.Fatalf("the root file system is writable: %v", err)
	}
	uid, gid, _ := strings.Cut(c.config.Config.User, ":")
	for _, id := range []struct {
		text string
		to   *uint32
	}{{uid, &c.user.Uid}, {gid, &c.user.Gid}} {
		n, err := strconv.ParseUint(id.text, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		*id.to = uint32(n)
	}
	return c
}

// command returns the image's command with arguments and additional environment variables, and
// a buffer for its output.
func (c *container) command(t *testing.T, env []string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	if len(args) == 0 {
		args = c.config.Config.Cmd
	}
	args = append(slices.Clone(c.config.Config.Entrypoint), args...)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = "/"
	cmd.Env = append(slices.Clone(c.config.Config.Env), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.root, Credential: &c.user}
	output := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = output, output
	return cmd, output
}

// output runs the program, and returns its output and exit code.
func (c *container) output(t *testing.T, env []string, args ...string) (string, int) {
	t.Helper()
	cmd, output := c.command(t, env, args...)
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return output.String(), cmd.ProcessState.ExitCode()
}

// A worker in the container indexes events over TLS into indices by days in Tokyo. Its health
// check passes, and SIGTERM ends it.
func testContainerRun(t *testing.T, c *container) {
	searchURL, dynamoDBURL := localtest.OpenSearch(t), localtest.DynamoDB(t)
	fake := httptest.NewServer(fakeaws.NewKinesis(fakeaws.KinesisOptions{}))
	defer fake.Close()
	target, err := url.Parse(searchURL)
	if err != nil {
		t.Fatal(err)
	}
	secure := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	defer secure.Close()

	client := kinesis.New(kinesis.Options{BaseEndpoint: aws.String(fake.URL), Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("x", "x", "")})
	if err := feed.EnsureStream(t.Context(), client, "logs", 2); err != nil {
		t.Fatal(err)
	}
	generator := loggen.New(loggen.Options{Events: 2_000, Start: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), Span: 6 * time.Hour})
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	prefix := fmt.Sprintf("image%d", time.Now().UnixNano())
	perIndex := make(map[string]int)
	for record, more := generator.Next(); more; record, more = generator.Next() {
		if err := feed.Put(t.Context(), client, "logs", []loggen.Record{record}); err != nil {
			t.Fatal(err)
		}
		if !record.Control {
			for _, e := range record.Events {
				perIndex[prefix+"-"+time.UnixMilli(e.Timestamp).In(tokyo).Format(time.DateOnly)]++
			}
		}
	}
	if len(perIndex) != 2 {
		t.Fatalf("events of %d days", len(perIndex))
	}
	search, err := opensearch.NewClient(opensearch.ClientConfig{URL: searchURL, Connections: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer search.Close()
	defer func() {
		for _, path := range []string{"/" + prefix + "*", "/_index_template/" + prefix + "*"} {
			_ = inspect.Ask(t.Context(), search, "DELETE", path, "", nil) // they might not exist
		}
	}()

	address := localtest.FreeAddress(t)
	env := []string{
		"STREAM_NAME=logs", "APPLICATION_NAME=" + prefix, "OPENSEARCH_URL=" + secure.URL, "INDEX_PREFIX=" + prefix, "INDEX_TIMEZONE=Asia/Tokyo", "EVENT_MAX_AGE=0", "EVENT_MAX_AHEAD=0",
		"METRICS_ADDRESS=" + address, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x",
		"AWS_ENDPOINT_URL_KINESIS=" + fake.URL, "AWS_ENDPOINT_URL_DYNAMODB=" + dynamoDBURL,
	}
	check := c.config.Config.Healthcheck.Test[2:]
	if output, code := c.output(t, env, check...); code != 1 || strings.Count(output, "\n") != 1 || !strings.Contains(output, address) {
		t.Errorf("health check without a worker: exit %d, %q", code, output)
	}

	worker, log := c.command(t, env)
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- worker.Wait() }()
	stopped := false
	defer func() {
		if !stopped {
			_ = worker.Process.Kill()
			<-ended
		}
	}()
	found := make(map[string]int)
	for deadline := time.Now().Add(5 * time.Minute); !maps.Equal(found, perIndex); time.Sleep(100 * time.Millisecond) {
		select {
		case err := <-ended:
			stopped = true
			t.Fatalf("the worker ended: %v\n%s", err, log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("found %v, want %v", found, perIndex)
		}
		for index := range perIndex {
			// An index that was just created answers 503.
			if n, err := inspect.Count(t.Context(), search, index); err == nil {
				found[index] = n
			}
		}
	}
	if output, code := c.output(t, env, check...); code != 0 || output != "" {
		t.Errorf("health check with a worker: exit %d, %q", code, output)
	}
	if err := worker.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		stopped = true
		if err != nil {
			t.Errorf("the worker ends with %v\n%s", err, log)
		}
	case <-time.After(3 * time.Minute):
		t.Error("SIGTERM does not end the worker")
	}
}
