package local

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Versions of OpenSearch: 3.x needs Java 21; 2.x runs on Java 17.
const (
	openSearch3 = "3.8.0"
	openSearch2 = "2.19.4"
	// openSearchSecured is the version for which Maven has the security plugin.
	openSearchSecured = "3.4.0"
)

// distribution has the names of OpenSearch or Elasticsearch.
type distribution struct{ group, name, properties, class string }

var (
	openSearch    = distribution{"org.opensearch", "opensearch", "opensearch", "org.opensearch.bootstrap.OpenSearch"}
	elasticsearch = distribution{"org.elasticsearch", "elasticsearch", "es", "org.elasticsearch.bootstrap.Elasticsearch"}
)

// releases are the versions that can be started.
var releases = map[string]struct {
	distribution
	megabytes int // to download
}{
	openSearch3:       {openSearch, 160},
	openSearchSecured: {openSearch, 183},
	openSearch2:       {openSearch, 56},
	"1.3.20":          {openSearch, 35},
	"7.10.2":          {elasticsearch, 31},
}

// hasManager reports whether a version needs Java's security manager. Later versions use an
// agent instead.
func hasManager(version string) bool { return !strings.HasPrefix(version, "3.") }

// OpenSearch is a single node. Its methods must not be called concurrently.
type OpenSearch struct {
	// URL is the address, which Restart does not change.
	URL     string
	Version string
	// CAFile is the certificate of the authority if the node is secured, otherwise "".
	CAFile  string
	process *process
}

// StartOpenSearch fetches OpenSearch if it is not in the cache, starts it as a single node on
// the loopback interface, and returns when it is ready to index. It uses OpenSearch 2 if the
// newest Java is older than 21. The context is only for the start. The node runs until Stop, or
// until this process ends.
func StartOpenSearch(ctx context.Context, o Options) (*OpenSearch, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	if o.Secured {
		if o.Version = cmp.Or(o.Version, openSearchSecured); o.Version != openSearchSecured {
			return nil, fmt.Errorf("OpenSearch %s cannot be secured: the security plugin is available only for %s", o.Version, openSearchSecured)
		}
	}
	latest := anyJava
	if o.Version != "" {
		if _, known := releases[o.Version]; !known {
			return nil, fmt.Errorf("OpenSearch %s is not among the versions that can be started: %s", o.Version, strings.Join(slices.Sorted(maps.Keys(releases)), ", "))
		}
		if hasManager(o.Version) {
			latest = lastManagerJava
		}
	}
	java, err := findJDK(ctx, usualFolders, latest)
	if err != nil {
		return nil, err
	}
	return startOpenSearch(ctx, o, java)
}

func startOpenSearch(ctx context.Context, o Options, java jdk) (*OpenSearch, error) {
	version := cmp.Or(o.Version, openSearch3)
	if java.version < wantedJava && o.Version == "" {
		version = openSearch2
		fmt.Fprintf(o.Log, "the newest Java found is %d: using OpenSearch %s instead of %s, which needs Java %d\n", java.version, openSearch2, openSearch3, wantedJava)
	}
	user, err := findRunner()
	if err != nil {
		return nil, err
	}
	if !user.reaches(java.home) {
		return nil, fmt.Errorf("OpenSearch refuses to run as root, and other users cannot reach Java in %s: set JAVA_HOME to a JDK that they can, or do not run as root", java.home)
	}
	program, err := fetchOpenSearch(ctx, o, java, user, version)
	if err != nil {
		return nil, err
	}
	folder, err := user.temporary("logsluice-opensearch-")
	if err != nil {
		return nil, err
	}
	s, err := newOpenSearch(o, java, user, version, program, folder)
	if err == nil {
		fmt.Fprintf(o.Log, "starting OpenSearch %s on Java %d\n", version, java.version)
		err = s.process.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return s, nil
}

// fetchOpenSearch returns the folder of the unpacked distribution, without unused parts.
func fetchOpenSearch(ctx context.Context, o Options, java jdk, user runner, version string) (string, error) {
	cache, err := user.cache(o.Cache)
	if err != nil {
		return "", err
	}
	if cache != o.Cache {
		fmt.Fprintf(o.Log, "keeping OpenSearch in %s, as the user it runs as cannot reach %s\n", cache, o.Cache)
	}
	name := releases[version].name + "-" + version
	if o.Secured {
		name += "-secured"
	}
	return fetch(ctx, cache, name, func(folder string) error {
		fmt.Fprintf(o.Log, "fetching OpenSearch %s (%d MB, once)\n", version, releases[version].megabytes)
		download := filepath.Join(folder, "download")
		artifact := releases[version].group + ".distribution.integ-test-zip:" + releases[version].name + ":" + version + ":zip"
		if err := maven(ctx, java, folder, "copy", "-Dartifact="+artifact, "-DoutputDirectory="+download); err != nil {
			return err
		}
		if err := unzip(filepath.Join(download, releases[version].name+"-"+version+".zip"), folder, maxUnpacked,
			"modules/ingest-geoip", "modules/transport-grpc", "lib/tools/fips-demo-installer-cli"); err != nil {
			return err
		}
		if o.Secured {
			if err := fetchSecurity(ctx, java, folder); err != nil {
				return err
			}
		}
		return os.RemoveAll(download)
	})
}

// logging is a configuration that logs to standard output, which goes to a file.
const logging = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
`

// newOpenSearch writes the configuration of a node into a folder and returns the node, not yet
// started.
func newOpenSearch(o Options, java jdk, user runner, version, program, folder string) (*OpenSearch, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	conf, data, logs := filepath.Join(folder, "config"), filepath.Join(folder, "data"), filepath.Join(folder, "logs")
	settings := map[string]any{
		"discovery.type": "single-node",
		"network.host":   "127.0.0.1",
		"http.port":      ports[0],
		"transport.port": ports[1],
		"path.data":      data,
		"path.logs":      logs,
		"cluster.routing.allocation.disk.threshold_enabled": false,
	}
	s := &OpenSearch{URL: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), Version: version}
	files, client, asked := map[string][]byte{"log4j2.properties": []byte(logging)}, http.DefaultClient, s.URL
	if o.Secured {
		s.URL = fmt.Sprintf("https://127.0.0.1:%d", ports[0])
		s.CAFile = filepath.Join(conf, authorityFile)
		asked = fmt.Sprintf("https://%s:%[1]s@127.0.0.1:%d", Admin, ports[0])
		if client, err = secure(settings, files); err != nil {
			return nil, fmt.Errorf("secure OpenSearch: %w", err)
		}
	}
	if files[releases[version].name+".yml"], err = json.Marshal(settings); err != nil { // JSON is YAML
		return nil, fmt.Errorf("configure OpenSearch: %w", err)
	}
	if err := errors.Join(os.Mkdir(data, 0o700), os.Mkdir(logs, 0o700), user.chown(folder, data, logs), writeFiles(user, conf, files)); err != nil {
		return nil, fmt.Errorf("configure OpenSearch: %w", err)
	}

	s.process = &process{
		name:        "OpenSearch",
		folder:      folder,
		stopTimeout: defaultStopTimeout,
		command: func() *exec.Cmd {
			command := exec.Command(java.java(), javaOptions(o, version, program, conf, folder)...) //nolint:gosec // the Java found and our own arguments
			user.apply(command)
			return command
		},
		// A restarted node answers before its shards are available.
		ready: func(ctx context.Context) bool {
			return answers(ctx, client, asked+"/", http.StatusOK) &&
				answers(ctx, client, asked+"/_cluster/health?wait_for_status=yellow&timeout=5s", http.StatusOK)
		},
	}
	return s, nil
}

// writeFiles writes files, and the folders in their names, readable only by a user.
func writeFiles(user runner, folder string, files map[string][]byte) error {
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600), user.chown(folder, filepath.Dir(path), path)); err != nil {
			return err
		}
	}
	return nil
}

// javaOptions returns the arguments that start the node without its shell script, which takes
// as long to start as the node itself.
func javaOptions(o Options, version, program, conf, temporary string) []string {
	options := []string{
		"-Xms" + o.Heap, "-Xmx" + o.Heap, "-XX:+UseG1GC", "-XX:-UsePerfData",
		"--add-modules=jdk.incubator.vector",
		"--add-opens=java.base/java.nio=ALL-UNNAMED",
		"-Djava.io.tmpdir=" + temporary,
		"-D" + releases[version].properties + ".networkaddress.cache.ttl=60",
		"-D" + releases[version].properties + ".networkaddress.cache.negative.ttl=10",
		"-D" + releases[version].properties + ".path.home=" + program,
		"-D" + releases[version].properties + ".path.conf=" + conf,
		"-Dio.netty.noUnsafe=true",
		"-Djava.locale.providers=SPI,CLDR",
		"-Dlog4j.shutdownHookEnabled=false", // the hook makes OpenSearch 2 hang at the end
		"-Dlog4j2.disable.jmx=true",
	}
	if o.FastStart {
		options = append(options, "-XX:TieredStopAtLevel=1")
	}
	if hasManager(version) {
		options = append(options, "-Djava.security.manager=allow")
	} else {
		options = append(options, "--enable-native-access=ALL-UNNAMED",
			"-Xbootclasspath/a:"+filepath.Join(program, "agent", "opensearch-agent-bootstrap-"+version+".jar"))
	}
	options = append(options, "-cp", filepath.Join(program, "lib", "*"), releases[version].class)
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		options = append(options, "-E"+name+"="+o.Settings[name])
	}
	return options
}

// Pid returns the process id, which changes with Restart.
func (s *OpenSearch) Pid() int { return s.process.running.Process.Pid }

// Kill ends the node with SIGKILL, as a crash would. Its data stays for Restart.
func (s *OpenSearch) Kill() error { return s.process.kill() }

// Restart stops the node, unless it was killed, starts it with the same port and data, and
// returns when its indices can be written to. If it fails, Stop must still be called.
func (s *OpenSearch) Restart(ctx context.Context) error {
	if err := s.process.end(); err != nil {
		return err
	}
	return s.process.start(ctx)
}

// Stop ends the node and removes its data. It fails if the node had already ended by itself.
func (s *OpenSearch) Stop() error { return s.process.stop() }
