package local

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Versions of OpenSearch: 3.x needs Java 21; 2.x runs on Java 17.
const (
	openSearch3 = "3.8.0"
	openSearch2 = "2.19.4"
)

// OpenSearch is a single node.
type OpenSearch struct {
	// URL is where it answers.
	URL     string
	Version string
	process *process
}

// StartOpenSearch fetches OpenSearch, if it is not in the cache, and starts it
// as a single node on the loopback interface.
func StartOpenSearch(ctx context.Context, o Options) (*OpenSearch, error) {
	java, err := findJDK(os.Getenv("JAVA_HOME"), usualFolders)
	if err != nil {
		return nil, err
	}
	version := openSearch3
	if java.version < wantedJava {
		version = openSearch2
		fmt.Fprintf(o.Log, "Java %d is all there is: OpenSearch %s in place of %s, which needs Java %d\n", java.version, openSearch2, openSearch3, wantedJava)
	}
	user, err := findRunner()
	if err != nil {
		return nil, err
	}
	if !user.reaches(java.home) {
		return nil, fmt.Errorf("OpenSearch cannot run as root, and other users cannot reach Java in %s: set JAVA_HOME to a JDK in a public folder", java.home)
	}
	program, err := fetchOpenSearch(ctx, o, java, user, version)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "logsluice-opensearch-")
	if err != nil {
		return nil, err
	}
	server, err := startOpenSearch(ctx, o, java, user, version, program, folder)
	if err != nil {
		os.RemoveAll(folder)
		return nil, err
	}
	return server, nil
}

// Stop ends the node; its data is gone.
func (s *OpenSearch) Stop() error { return s.process.stop() }

// fetchOpenSearch returns the folder of the unpacked distribution, without the
// parts that nothing here needs.
func fetchOpenSearch(ctx context.Context, o Options, java jdk, user runner, version string) (string, error) {
	cache, err := filepath.Abs(o.Cache)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	if !user.reaches(cache) {
		// The one folder that every user reaches and that outlives a reboot.
		cache = filepath.Join("/var/tmp", "logsluice-cache")
		fmt.Fprintf(o.Log, "OpenSearch is kept in %s, as other users cannot reach %s\n", cache, o.Cache)
	}
	return fetch(cache, "opensearch-"+version, func(folder string) error {
		fmt.Fprintf(o.Log, "fetching OpenSearch %s (160 MB, once)\n", version)
		download := filepath.Join(folder, "download")
		artifact := "org.opensearch.distribution.integ-test-zip:opensearch:" + version + ":zip"
		if err := maven(ctx, java, folder, "copy", "-Dartifact="+artifact, "-DoutputDirectory="+download); err != nil {
			return err
		}
		skip := func(path string) bool {
			return strings.HasPrefix(path, "modules/ingest-geoip/") || strings.HasPrefix(path, "modules/transport-grpc/") ||
				strings.HasPrefix(path, "lib/tools/fips-demo-installer-cli/")
		}
		if err := unzip(filepath.Join(download, "opensearch-"+version+".zip"), folder, skip); err != nil {
			return err
		}
		return os.RemoveAll(download)
	})
}

// logging prints to standard output, which goes to a file.
const logging = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
`

func startOpenSearch(ctx context.Context, o Options, java jdk, user runner, version, program, folder string) (*OpenSearch, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	conf, data, logs := filepath.Join(folder, "config"), filepath.Join(folder, "data"), filepath.Join(folder, "logs")
	for _, f := range []string{conf, data, logs} {
		if err := os.Mkdir(f, 0o755); err != nil {
			return nil, err
		}
	}
	settings, err := json.Marshal(map[string]any{ // JSON is YAML
		"discovery.type": "single-node",
		"network.host":   "127.0.0.1",
		"http.port":      ports[0],
		"transport.port": ports[1],
		"path.data":      data,
		"path.logs":      logs,
		"cluster.routing.allocation.disk.threshold_enabled": false,
	})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(conf, "opensearch.yml"), settings, 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(conf, "log4j2.properties"), []byte(logging), 0o644); err != nil {
		return nil, err
	}
	if err := user.own(folder, conf, data, logs); err != nil {
		return nil, err
	}

	command := exec.Command(java.java(), javaOptions(o, version, program, conf, folder)...)
	user.apply(command)
	process, err := startProcess("OpenSearch", folder, command)
	if err != nil {
		return nil, err
	}
	s := &OpenSearch{URL: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), Version: version, process: process}
	fmt.Fprintf(o.Log, "starting OpenSearch %s on Java %d\n", version, java.version)
	if err := process.await(ctx, func(ctx context.Context) bool {
		return answers(ctx, s.URL+"/", http.StatusOK) && answers(ctx, s.URL+"/_cluster/health?wait_for_status=yellow&timeout=5s", http.StatusOK)
	}); err != nil {
		return nil, joinStop(err, s.Stop)
	}
	return s, nil
}

// javaOptions start the node without its shell script, which takes as long as
// the node itself.
func javaOptions(o Options, version, program, conf, temporary string) []string {
	heap := o.Heap
	if heap == "" {
		heap = "1g"
	}
	options := []string{
		"-Xms" + heap, "-Xmx" + heap, "-XX:+UseG1GC",
		"--add-modules=jdk.incubator.vector",
		"--add-opens=java.base/java.nio=ALL-UNNAMED",
		"-Djava.io.tmpdir=" + temporary,
		"-Dopensearch.networkaddress.cache.ttl=60",
		"-Dopensearch.networkaddress.cache.negative.ttl=10",
		"-Dopensearch.path.home=" + program,
		"-Dopensearch.path.conf=" + conf,
		"-Dio.netty.noUnsafe=true",
		"-Djava.locale.providers=SPI,CLDR",
	}
	if o.FastStart {
		options = append(options, "-XX:TieredStopAtLevel=1")
	}
	if version == openSearch2 {
		options = append(options, "-Djava.security.manager=allow")
	} else {
		options = append(options, "--enable-native-access=ALL-UNNAMED",
			"-Xbootclasspath/a:"+filepath.Join(program, "agent", "opensearch-agent-bootstrap-"+version+".jar"))
	}
	return append(options, "-cp", filepath.Join(program, "lib", "*"), "org.opensearch.bootstrap.OpenSearch")
}
