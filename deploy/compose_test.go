package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	compose "github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"logsluice/internal/fakeaws"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
	"logsluice/opensearch"
)

// composed reads compose.yaml as Docker does. It checks the file against the schema of the
// compose specification, and that services that others depend on exist.
func composed(t *testing.T) *types.Project {
	t.Helper()
	options, err := compose.NewProjectOptions([]string{"../compose.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// programs builds the programs for this machine, and returns their paths by the name of their
// target in the Dockerfile.
func programs(t *testing.T) map[string]string {
	t.Helper()
	built := make(map[string]string)
	for target, pkg := range map[string]string{"logsluice": ".", "produce": "./local/produce"} {
		built[target] = filepath.Join(t.TempDir(), target)
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", built[target], pkg)
		cmd.Dir = ".."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", target, err, out)
		}
	}
	return built
}

// Ports are bound to the loopback interface, images have versions, our services run with minimal
// rights and have time to drain, and services that must become healthy have a health check.
func TestCompose(t *testing.T) {
	project := composed(t)
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	images := map[string]bool{}
	for name, s := range project.Services {
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is bound to %q", name, p.Published, p.HostIP)
			}
		}
		for other, d := range s.DependsOn {
			check := project.Services[other].HealthCheck
			if d.Condition == types.ServiceConditionHealthy && other != "logsluice" && (check == nil || len(check.Test) == 0) {
				t.Errorf("%s waits for %s to be healthy, which has no health check", name, other)
			}
		}
		if s.Build == nil && s.Image != project.Services["logsluice"].Image {
			if _, tag, _ := strings.Cut(s.Image, ":"); !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(tag) {
				t.Errorf("%s: image %s has no version", name, s.Image)
			}
			continue
		}
		ours = append(ours, name)
		switch {
		case s.Build == nil && s.PullPolicy != types.PullPolicyNever: // the image exists only on this machine
			t.Errorf("%s: image %s can be pulled (%s)", name, s.Image, s.PullPolicy)
		case s.Build != nil && images[s.Image]: // they would be built concurrently under one name
			t.Errorf("%s: image %s is built twice", name, s.Image)
		case s.Build != nil:
			images[s.Image] = true
		}
		if s.Build != nil && !bytes.Contains(dockerfile, []byte(" AS "+s.Build.Target+"\n")) {
			t.Errorf("%s: the Dockerfile has no target %q", name, s.Build.Target)
		}
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
			t.Errorf("%s: read only %t, capabilities dropped %v, %v", name, s.ReadOnly, s.CapDrop, s.SecurityOpt)
		}
	}
	slices.Sort(ours)
	if !slices.Equal(ours, []string{"logsluice", "producer", "setup"}) {
		t.Errorf("our services: %v", ours)
	}
	worker := project.Services["logsluice"]
	if drain, err := time.ParseDuration(*worker.Environment["DRAIN_TIMEOUT"]); err != nil || worker.StopGracePeriod == nil || time.Duration(*worker.StopGracePeriod) <= drain {
		t.Errorf("drains within %s, %v, and is killed after %s", drain, err, worker.StopGracePeriod)
	}
	if a, b := project.Services["opensearch"].Image, project.Services["dashboards"].Image; strings.Replace(a, "opensearch:", "opensearch-dashboards:", 1) != b {
		t.Errorf("%s and %s have different versions", a, b)
	}
}

// Each variable of our services is a setting of the command that they run.
func TestComposeSettings(t *testing.T) {
	built := programs(t)
	for name, s := range composed(t).Services {
		if s.Build == nil {
			continue
		}
		args := append(slices.Clone([]string(s.Command)), "--help")
		if s.Build.Target == "logsluice" && len(s.Command) == 0 {
			args = []string{"run", "--help"}
		}
		help, err := exec.CommandContext(t.Context(), built[s.Build.Target], args...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", name, err, help)
			continue
		}
		known := regexp.MustCompile(`\$[A-Z][A-Z0-9_]*`).FindAllString(string(help), -1)
		for variable := range s.Environment {
			if !strings.HasPrefix(variable, "AWS_") && !slices.Contains(known, "$"+variable) {
				t.Errorf("%s: %s is not a setting of %s", name, variable, args)
			}
		}
	}
}

// The producer and logsluice index new events when they run as processes with the environment
// of compose.yaml.
func TestComposeRuns(t *testing.T) {
	searchURL, dynamoDBURL := localtest.OpenSearch(t), localtest.DynamoDB(t)
	project, built := composed(t), programs(t)
	search, err := opensearch.NewClient(opensearch.ClientConfig{URL: searchURL, Connections: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { search.Close() })
	var server struct{ Version struct{ Number string } }
	if err := inspect.Ask(t.Context(), search, http.MethodGet, "/", "", &server); err != nil {
		t.Fatal(err)
	}
	if image := project.Services["opensearch"].Image; !strings.HasSuffix(image, ":"+server.Version.Number) {
		t.Errorf("the tests run on OpenSearch %s, compose.yaml has %s", server.Version.Number, image)
	}

	f := func(name string, start func(t *testing.T) (kinesisURL string)) {
		t.Run(name, func(t *testing.T) {
			prefix := fmt.Sprintf("compose%d", time.Now().UnixNano())
			t.Cleanup(func() {
				for _, path := range []string{"/" + prefix + "*", "/_index_template/" + prefix + "*"} {
					_ = inspect.Ask(context.Background(), search, "DELETE", path, "", nil) // they might not exist
				}
			})
			hosts := strings.NewReplacer("http://kinesis:4568", start(t), "http://dynamodb:8000", dynamoDBURL, "http://opensearch:9200", searchURL)
			// The servers are shared with other tests.
			own := []string{"INDEX_PREFIX=" + prefix, "APPLICATION_NAME=" + prefix, "METRICS_ADDRESS=" + localtest.FreeAddress(t)}
			service := func(name string) composedService {
				s := project.Services[name]
				one := composedService{name: name, program: built[s.Build.Target], env: own}
				if s.Build.Target == "logsluice" {
					one.arguments = []string{"run"} // of the image
				}
				for variable, value := range s.Environment {
					if !slices.ContainsFunc(own, func(set string) bool { return strings.HasPrefix(set, variable+"=") }) {
						one.env = append(one.env, variable+"="+hosts.Replace(*value))
					}
				}
				return one
			}
			producer, worker := service("producer"), service("logsluice")
			check := project.Services["producer"].HealthCheck.Test
			if !slices.Equal(check[:2], []string{"CMD", "/produce"}) {
				t.Fatalf("health check %v", check)
			}

			stopProducer := producer.start(t)
			eventually(t, "the stream exists", func() bool { return producer.run(t, check[2:]...) == nil })
			stopWorker := worker.start(t)
			eventually(t, "the worker is ready", func() bool { return worker.run(t, "healthcheck", "--ready") == nil })
			eventually(t, "fresh events are found", func() bool {
				var found struct{ Count int }
				// It refreshes. An index that was just created answers 503.
				if _, err := inspect.Count(t.Context(), search, prefix+"-*"); err != nil {
					return false
				}
				const fresh = `{"query":{"range":{"@timestamp":{"gte":"now-1m","lte":"now+1s"}}}}`
				err := inspect.Ask(t.Context(), search, http.MethodPost, "/"+prefix+"-*/_count", fresh, &found)
				return err == nil && found.Count >= 300
			})
			stopProducer()
			stopWorker()
		})
	}
	f("fake", func(t *testing.T) string {
		fake := httptest.NewServer(fakeaws.NewKinesis(fakeaws.KinesisOptions{}))
		t.Cleanup(fake.Close)
		return fake.URL
	})
	f("kinesis-local", startKinesisLocal)
}

// startKinesisLocal starts the program of compose.yaml's Kinesis image, which npm has under
// another name. It skips the test without npm, even if other tests must not be skipped: machines
// with Go and Java often lack Node.
func startKinesisLocal(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("needs npm and node, for kinesis-local")
	}
	folder := t.TempDir()
	service := composed(t).Services["kinesis"]
	_, version, _ := strings.Cut(service.Image, ":")
	install := exec.CommandContext(t.Context(), "npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "kinesis-local@"+version)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", install, err, out)
	}
	plain, secure := localtest.FreeAddress(t), localtest.FreeAddress(t)
	_, plainPort, _ := net.SplitHostPort(plain)
	_, securePort, _ := net.SplitHostPort(secure)
	node := exec.Command("node", "main.js")
	node.Dir = filepath.Join(folder, "node_modules", "kinesis-local")
	node.Env = append(os.Environ(), "KINESIS_MOCK_PLAIN_PORT="+plainPort, "KINESIS_MOCK_TLS_PORT="+securePort)
	for variable, value := range service.Environment {
		if !strings.HasSuffix(variable, "_PORT") {
			node.Env = append(node.Env, variable+"="+*value)
		}
	}
	output := new(bytes.Buffer)
	node.Stdout, node.Stderr = output, output
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = node.Process.Kill()
		_ = node.Wait() // killed
		if t.Failed() {
			t.Logf("kinesis-local:\n%.3000s", output)
		}
	})
	return "http://" + plain
}

// composedService is a service of compose.yaml as a process.
type composedService struct {
	name, program string
	arguments     []string // default
	env           []string
}

func (s composedService) command(ctx context.Context, args ...string) *exec.Cmd {
	if len(args) == 0 {
		args = s.arguments
	}
	cmd := exec.CommandContext(ctx, s.program, args...)
	cmd.Env = s.env
	return cmd
}

// run runs a command of the service and waits for its end.
func (s composedService) run(t *testing.T, args ...string) error {
	return s.command(t.Context(), args...).Run()
}

// start starts the service. stop stops it by SIGTERM, and fails the test if it has ended before
// or exits with a code other than 0.
func (s composedService) start(t *testing.T) (stop func()) {
	t.Helper()
	cmd := s.command(context.Background()) // stopped by a signal
	output := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // normally it has already ended
		ended <- <-ended
		if t.Failed() {
			t.Logf("%s:\n%.3000s", s.name, output)
		}
	})
	return func() {
		t.Helper()
		select {
		case err := <-ended:
			ended <- err
			t.Errorf("%s ended before it was stopped: %v", s.name, err)
			return
		default:
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		select {
		case err := <-ended:
			ended <- err
			if err != nil {
				t.Errorf("%s ends with %v", s.name, err)
			}
		case <-time.After(3 * time.Minute):
			t.Errorf("%s does not stop", s.name)
		}
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !condition(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not true after five minutes: " + what)
		}
	}
}
