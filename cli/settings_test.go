package cli

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// plantedSecret is a password that no output may have.
const plantedSecret = "s3cr3t-w0rd"

// A setting that is missing or wrong is an error of one line that names the setting,
// shows the value and has the remedy, with exit code 2, before anything is asked of AWS or
// OpenSearch.
func TestSettings_Failure(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", plantedSecret)
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty, noPEM := file("empty", ""), file("no.pem", "no certificate")
	schema := func(text string) string { return file("schema.yaml", text) }

	complete := map[string]string{
		"STREAM_NAME": "logs", "APPLICATION_NAME": "app", "OPENSEARCH_URL": server.URL, "INDEX_PREFIX": "logs", "AWS_REGION": "us-east-1",
	}
	// check runs a command with an environment of complete and what differs from it, as
	// NAME=VALUE, and looks for parts of the error.
	check := func(args, differs []string, want ...string) {
		t.Helper()
		t.Run(strings.Join(append(args, differs...), " "), func(t *testing.T) {
			env := map[string]string{}
			for name, value := range complete {
				env[name] = value
			}
			for _, d := range differs {
				name, value, _ := strings.Cut(d, "=")
				env[name] = value
			}
			code, out, errOut := command(t, env, nil, args...)
			if code != exitSettings || out != "" || strings.Count(errOut, "\n") != 1 || !strings.HasPrefix(errOut, "logsluice: ") {
				t.Errorf("exit %d, output %q, standard error %q", code, out, errOut)
			}
			for _, w := range want {
				if !strings.Contains(errOut, w) {
					t.Errorf("%q is not in %q", w, errOut)
				}
			}
			if strings.Contains(errOut, plantedSecret) {
				t.Errorf("%q shows the secret", errOut)
			}
			if n := requests.Swap(0); n > 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
	// f tries a value of one variable; the error begins with its name and the flag's, and
	// the value.
	f := func(variable, value, want string, more ...string) {
		t.Helper()
		flag := "--" + strings.ToLower(strings.ReplaceAll(variable, "_", "-"))
		check([]string{"run"}, append([]string{variable + "=" + value}, more...), "logsluice: "+variable+" ("+flag+"): ", want)
	}

	// Required settings.
	for variable, remedy := range map[string]string{
		"STREAM_NAME (--stream-name)":           "set it to the name or the ARN of the Kinesis data stream",
		"APPLICATION_NAME (--application-name)": "set it to a name for the lease table",
		"OPENSEARCH_URL (--opensearch-url)":     "set it to the URL of the domain",
		"INDEX_PREFIX (--index-prefix)":         "set it to the beginning of the index names",
		"AWS_REGION (no flag)":                  "set it to the region of the stream",
	} {
		name, _, _ := strings.Cut(variable, " ")
		check([]string{"run"}, []string{name + "="}, variable+" is missing", remedy)
	}
	check([]string{"run"}, []string{"STREAM_NAME=", "APPLICATION_NAME=", "OPENSEARCH_URL=", "INDEX_PREFIX=", "AWS_REGION="},
		"STREAM_NAME (--stream-name), APPLICATION_NAME (--application-name), OPENSEARCH_URL (--opensearch-url), INDEX_PREFIX (--index-prefix) and AWS_REGION (no flag) are missing")
	check([]string{"run"}, []string{"STREAM_NAME=", "LOG_LEVEL=loud"}, "STREAM_NAME (--stream-name) is missing", `LOG_LEVEL (--log-level): "loud"`)
	check([]string{"leases", "--watch=0s"}, nil, `--watch: "0s" is too short: give at least 100ms`)
	check([]string{"decode", "-"}, []string{"INDEX_PREFIX="}, "INDEX_PREFIX (--index-prefix) is missing")
	check([]string{"assets", "template"}, []string{"INDEX_PREFIX="}, "INDEX_PREFIX (--index-prefix) is missing")
	check([]string{"setup"}, []string{"INDEX_PREFIX=", "OPENSEARCH_URL="}, "OPENSEARCH_URL (--opensearch-url) and INDEX_PREFIX (--index-prefix) are missing")
	check([]string{"setup"}, []string{"AWS_REGION=", "OPENSEARCH_SIGV4=es"}, "AWS_REGION (no flag) is missing")
	check([]string{"doctor"}, []string{"STREAM_NAME=", "AWS_REGION="}, "STREAM_NAME (--stream-name) and AWS_REGION (no flag) are missing")
	check([]string{"leases"}, []string{"APPLICATION_NAME="}, "APPLICATION_NAME (--application-name) is missing")
	check([]string{"leases", "--lag"}, []string{"STREAM_NAME="}, "STREAM_NAME (--stream-name) is missing")
	check([]string{"leases", "reset"}, []string{"STREAM_NAME="}, "STREAM_NAME (--stream-name) and --to are missing", "--to to trim-horizon")
	check([]string{"leases", "reset", "--to=yesterday"}, nil, `--to: "yesterday" is not a position`)
	check([]string{"leases", "show", "--watch=0"}, nil, `--watch: "0" is too short: give at least 100ms`)
	check([]string{"leases", "--watch=1"}, nil, `--watch: "1" has no unit: give ms, s, m or h, such as 1s`)
	check([]string{"leases", "--watch=soon"}, nil, `--watch: "soon" is not a time`)
	check([]string{"leases", "reset", "--to=2999-01-01T00:00:00Z"}, nil, "--to: 2999-01-01T00:00:00Z is in the future: give a time that has passed, or latest")
	check([]string{"setup", "--stream-name=x"}, nil, "setup does not have the flag --stream-name, which is one of: run, doctor, leases show, leases reset")
	check([]string{"setup", "--colour"}, nil, "unknown flag --colour: setup --help lists those of the command")
	check([]string{"leases", "--index-prefix=x"}, nil, "leases does not have the flag --index-prefix, which is one of: run, decode")
	check([]string{"leases", "--output=yaml"}, nil, `--output: "yaml" is invalid: give table or json`)
	check([]string{"setup", "--skip=policy,rights"}, nil, `--skip: "rights" is invalid: give templates, policy or dashboards`)
	check([]string{"doctor", "--most-log-groups=0"}, nil, "--most-log-groups: 0 is too small")
	check([]string{"doctor", "--most-log-groups=all"}, nil, `--most-log-groups: "all" is not a whole number: give one such as 100`)
	check([]string{"doctor"}, []string{"ARCHIVE_URL=bucket/prefix"}, "ARCHIVE_URL (--archive-url): ")
	check([]string{"healthcheck"}, []string{"METRICS_ADDRESS="}, "METRICS_ADDRESS (--metrics-address) is missing")
	check([]string{"healthcheck"}, []string{"METRICS_ADDRESS=9100"}, `METRICS_ADDRESS (--metrics-address): "9100" is not an address`)
	check([]string{"run", "--stream-name"}, nil, "STREAM_NAME (--stream-name): the flag has no value")
	check([]string{"run", "--bulk-byte=1"}, nil, "unknown flag --bulk-byte", "--bulk-bytes")
	check([]string{"run", "--log-level=loud"}, nil, `LOG_LEVEL (--log-level): "loud"`)

	// Names in AWS.
	f("STREAM_NAME", "my stream", `"my stream"`)
	f("STREAM_NAME", "arn:aws:kinesis:us-east-1:1:stream/logs", `"arn:aws:kinesis:us-east-1:1:stream/logs"`)
	f("STREAM_NAME", strings.Repeat("x", 129), "128")
	f("APPLICATION_NAME", "my app", `"my app"`)
	f("APPLICATION_NAME", "ab", `"ab"`)
	f("APPLICATION_NAME", "größe", `"größe"`)
	check([]string{"run"}, []string{"AWS_REGION=US East"}, `AWS_REGION (no flag): "US East" is not the name of a region: give one such as us-east-1`)

	// Choices, in any case.
	f("LOG_LEVEL", "loud", `"loud" is invalid: give trace, debug, info, warn or error`)
	f("LOG_LEVEL", "WARNING", `"WARNING" is invalid`)
	f("SCHEMA", "none", `"none" is invalid: give default, plain or ecs`)
	f("OPENSEARCH_SIGV4", "s3", `"s3" is invalid: give es or aoss`)
	f("INDEX_CODEC", "gzip", `"gzip" is invalid: give best_compression, default, zstd or zstd_no_dict`)
	f("DOCUMENT_IDS", "uuid", `"uuid" is invalid: give event or none`)
	f("DATA_STREAM", "maybe", `"maybe" is neither true nor false`)
	f("BULK_GZIP", "2", `"2" is neither true nor false`)

	// Times.
	for _, variable := range []string{"LEASE_DURATION", "SHARD_SYNC_INTERVAL", "POLL_INTERVAL", "BULK_LINGER", "BULK_TIMEOUT", "DRAIN_TIMEOUT", "SUMMARY_PERIOD", "INDEX_REFRESH"} {
		f(variable, "15", `"15" has no unit: give ms, s, m or h, such as 15`)
		f(variable, "ten", `"ten" is not a time: give a number and its unit (ms, s, m or h), such as `)
		f(variable, "-1s", "-1s is too ")
	}
	for _, variable := range []string{"EVENT_MAX_AGE", "EVENT_MAX_AHEAD", "WAIT_FOR_INDEX"} {
		f(variable, "30", `"30" has no unit: give m, h or d, such as 30`)
		f(variable, "soon", `"soon" is not a time: give a number and its unit (m, h or d), such as `)
		f(variable, "99999d", `"99999d" is not a time`)
	}
	f("LEASE_DURATION", "10ms", "10ms is too short: give at least ")
	f("POLL_INTERVAL", "10ms", "10ms is too short: give at least 200ms, as Kinesis allows 5 reads of a shard per second")
	f("SHARD_SYNC_INTERVAL", "0s", "0s is too small: give at least 1ms")
	f("BULK_TIMEOUT", "0s", "0s is too small: give at least 1ms")
	f("DRAIN_TIMEOUT", "0s", "0s is too small: give at least 1ms")
	f("SUMMARY_PERIOD", "0s", "0s is too small: give at least 100ms")
	f("SUMMARY_PERIOD", "1ns", "1ns is too small: give at least 100ms")
	f("SHARD_SYNC_INTERVAL", "1m", "1m is longer than LEASE_DURATION (15s), and leases would end unnoticed: give a third of it or less")
	check([]string{"run", "--lease-duration=15s", "--lease-duration=15"}, nil, `LEASE_DURATION (--lease-duration): "15" has no unit`)
	f("INDEX_REFRESH", "1ms", "1ms is too short")
	f("WAIT_FOR_INDEX", "-1m", "-1m is negative")
	f("EVENT_MAX_AGE", "13d", "13d is less than CloudWatch Logs itself allows: give at least 14d, or 0 for no limit")
	f("EVENT_MAX_AGE", "335h59m", "is less than")
	f("EVENT_MAX_AGE", "-30d", `"-30d" is not a time`)
	f("EVENT_MAX_AHEAD", "1h59m", "1h59m is less than CloudWatch Logs itself allows: give at least 2h")
	f("INITIAL_POSITION", "yesterday", `"yesterday" is not a position: give TRIM_HORIZON, LATEST or a time such as `)
	f("INITIAL_POSITION", "2026-01-31", `"2026-01-31" is not a position`)
	f("INITIAL_POSITION", "2999-01-01T00:00:00Z", "2999-01-01T00:00:00Z is in the future")

	// Sizes and counts.
	for _, variable := range []string{"IN_FLIGHT_BYTES", "MAX_INFLATED_BYTES", "BULK_BYTES"} {
		f(variable, "many", `"many" is not a size: give bytes, or a number with a unit, such as 1000000, 8MB or 8MiB`)
		f(variable, "0", "0 is too small: give at least 1")
		f(variable, "-5", "-5 is too small: give at least 1")
		f(variable, "8 apples", `"8 apples" is not a size`)
		f(variable, "1.5", `"1.5" is not a size`)
		f(variable, "8,5MB", `"8,5MB" is not a size`)
		f(variable, "9223372036854775807", `"9223372036854775807" is too large a size`)
		f(variable, "99999999TB", `"99999999TB" is too large a size`)
	}
	f("MAX_INFLATED_BYTES", "2GiB", "2GiB is too much: give at most 1GiB")
	for _, variable := range []string{"BULK_DOCUMENTS", "BULK_CONNECTIONS"} {
		f(variable, "many", `"many" is not a whole number: give one such as `)
		f(variable, "0", "0 is too small: give at least 1")
		f(variable, "1.5", `"1.5" is not a whole number`)
		f(variable, "99999999999999999999", `"99999999999999999999" is too large a number`)
	}
	f("INDEX_SHARDS", "0", "0 is out of range: give 1 to 1024")
	f("INDEX_SHARDS", "1025", "1025 is out of range")
	f("INDEX_REPLICAS", "some", `"some" is not a number of copies: give 0 or more`)
	f("INDEX_REPLICAS", "-1", `"-1" is not a number of copies`)

	// Documents and indices.
	f("INDEX_PREFIX", "Upper", `"Upper" has uppercase letters`)
	f("INDEX_PREFIX", "ecs-", `"ecs-" ends in a hyphen, which is added anyway: give "ecs"`)
	f("INDEX_PREFIX", "_logs", `"_logs" begins with`)
	f("INDEX_PREFIX", "my logs", `"my logs" contains ' '`)
	f("INDEX_PREFIX", "logs*", `"logs*" contains '*'`)
	f("INDEX_PREFIX", "app-outside", `"app-outside" ends in -outside`)
	f("INDEX_PREFIX", "app-dead-letter", `"app-dead-letter" ends in -dead-letter`, "DATA_STREAM=true")
	f("INDEX_DATE", "YYYY-MM-DD", `"YYYY-MM-DD" is not a strftime pattern: give %Y-%m-%d`)
	f("INDEX_DATE", "yyyy.MM.dd", "give %Y.%m.%d")
	f("INDEX_DATE", "YYYY-mm-dd", "give %Y-%m-%d")
	f("INDEX_DATE", "yyyy-MM-DD-hh", "give %Y-%m-%d-%H")
	f("INDEX_DATE", "%%Y-%%m", `"%%Y-%%m" has %%, which stands for a percent sign: give %Y-%m`)
	f("INDEX_DATE", "%Y/%m/%d", `"%Y/%m/%d" contains '/', which an index name cannot have`)
	f("INDEX_DATE", "%d", `"%d" does not name periods`)
	f("INDEX_DATE", "%Y-%b", `"%Y-%b" has "%b"`)
	f("INDEX_TIMEZONE", "Asia/Nowhere", `"Asia/Nowhere" is not a timezone: give an IANA name`)
	f("INDEX_TIMEZONE", "Local", `"Local" is not a timezone`)
	f("INDEX_TIMEZONE", "JST+9", `"JST+9" is not a timezone`)
	f("INDEX_SORT", "msg", `"msg" is not a field that an index can be sorted by: give @timestamp`)
	f("INDEX_SORT", "@timestamp desc", `"@timestamp desc" is not a field that an index can be sorted by`)
	f("INDEX_SORT", "@timestamp:down", `"@timestamp:down" has the order "down": give @timestamp:asc or @timestamp:desc`)
	f("INDEX_SORT", ",", `"" is not a field`)
	f("SCHEMA_FILE", "/nowhere", "/nowhere: no such file or directory: give a YAML file")
	f("SCHEMA_FILE", schema("drop: {message: x}"), "line 1: drop stands outside rules")
	f("SCHEMA_FILE", schema("version: 2\nfields:\n#  - {name: level}\n"), "line 2: fields is empty")
	f("SCHEMA_FILE", schema("rules:\n  - drop: {fields: {level: debug}}\n"), `line 2: the fields of a rule: "level" is unknown: give one of`)
	f("SCHEMA_FILE", schema("fields:\n  - {name: level, type: keyword, paths: [level]}\nrules:\n  - drop: {}\n"), "line 4: the rule has no condition")
	f("CONSTANT_FIELDS", "env:prod", `"env:prod" does not have the form NAME=VALUE,NAME=VALUE: give for example env=prod,service=shop`)
	f("CONSTANT_FIELDS", "=x", `"=x" does not have the form`)
	f("CONSTANT_FIELDS", "env=prod;service=shop", `"env=prod;service=shop" separates pairs with something other than a comma`)
	f("CONSTANT_FIELDS", "env=prod service=shop", "separates pairs with something other than a comma")
	f("CONSTANT_FIELDS", "env=prod,env=dev", `has the name "env" twice`)
	f("CONSTANT_FIELDS", "env=prod,,", "does not have the form")
	f("CONSTANT_FIELDS", "env=", `has no value for "env"`)
	f("CONSTANT_FIELDS", `env="prod"`, `has quotes around "prod": remove them`)
	f("CONSTANT_FIELDS", "my env=prod", `has the name "my env": give a name of letters, digits`)
	f("CONSTANT_FIELDS", `{"env":"prod"}`, "does not have the form")
	check([]string{"run", "--constant-fields=env:prod", "--constant-fields=a=b"}, nil, `"env:prod" does not have the form`)
	f("CONSTANT_FIELDS", "message=x", "message")

	// OpenSearch.
	f("OPENSEARCH_URL", "ftp://host", `"ftp://host" does not begin with http:// or https://`)
	f("OPENSEARCH_URL", "https://host/_dashboards", `"https://host/_dashboards" is the address of OpenSearch Dashboards: leave out /_dashboards`)
	f("OPENSEARCH_URL", "https://a:9200,https://b:9200", `"https://a:9200,https://b:9200" has more than one URL`)
	f("OPENSEARCH_URL", "https://a b", `"https://a b" has blanks`)
	f("OPENSEARCH_URL", "https://host:port", `"https://host:port" is not a URL`)
	f("OPENSEARCH_URL", "https://", "has no host")
	f("OPENSEARCH_URL", "https://user:"+plantedSecret+"/@host:0", `"https://***@host:0" has a port`)
	check([]string{"run"}, []string{"OPENSEARCH_URL=https://user:" + plantedSecret + "@host", "OPENSEARCH_USERNAME=u", "OPENSEARCH_PASSWORD=" + plantedSecret}, "OPENSEARCH_URL (--opensearch-url) has a user", "remove the user from the URL")
	check([]string{"run"}, []string{"OPENSEARCH_URL=https://user@host"}, "OPENSEARCH_URL (--opensearch-url) has a user without a password, or the reverse")
	check([]string{"run"}, []string{"OPENSEARCH_USERNAME=admin"}, `OPENSEARCH_USERNAME (--opensearch-username) is "admin", and there is no password`, "OPENSEARCH_PASSWORD_FILE")
	check([]string{"run"}, []string{"OPENSEARCH_USERNAME=admin", "OPENSEARCH_PASSWORD="}, `OPENSEARCH_USERNAME (--opensearch-username) is "admin", and there is no password`)
	check([]string{"run"}, []string{"OPENSEARCH_PASSWORD=" + plantedSecret}, "OPENSEARCH_PASSWORD (--opensearch-password) is set, and there is no user: set OPENSEARCH_USERNAME")
	check([]string{"run"}, []string{"OPENSEARCH_PASSWORD_FILE=" + empty}, "OPENSEARCH_PASSWORD_FILE (--opensearch-password-file) is ", empty, "set OPENSEARCH_USERNAME")
	check([]string{"run"}, []string{"OPENSEARCH_USERNAME=u", "OPENSEARCH_PASSWORD=" + plantedSecret, "OPENSEARCH_PASSWORD_FILE=" + empty}, "are both set")
	check([]string{"run"}, []string{"OPENSEARCH_USERNAME=u", "OPENSEARCH_PASSWORD=" + plantedSecret, "OPENSEARCH_SIGV4=es"}, `OPENSEARCH_SIGV4 (--opensearch-sigv4) is "es"`, "remove one")
	f("OPENSEARCH_PASSWORD_FILE", "/nowhere", "/nowhere: no such file or directory: give a file with the password", "OPENSEARCH_USERNAME=u")
	f("OPENSEARCH_PASSWORD_FILE", empty, empty+" has no password", "OPENSEARCH_USERNAME=u")
	check([]string{"run"}, []string{"OPENSEARCH_CA_FILE=/nowhere"}, "logsluice: OPENSEARCH_CA_FILE (--opensearch-ca-file): ", "/nowhere: no such file or directory: give a file with PEM certificates")
	check([]string{"run"}, []string{"OPENSEARCH_CA_FILE=" + noPEM}, "logsluice: OPENSEARCH_CA_FILE (--opensearch-ca-file): ", noPEM+" has no PEM certificate")
	check([]string{"run"}, []string{"OPENSEARCH_URL=admin:" + plantedSecret + "@https://host"}, `"***@https://host" has the user before the scheme`)
	check([]string{"run"}, []string{"OPENSEARCH_URL=https:/admin:" + plantedSecret + "@host"}, `"***@host" lacks :// after http or https`)
	check([]string{"run"}, []string{"OPENSEARCH_URL=https://:" + plantedSecret + "@host"}, "has a user without a password, or the reverse")
	f("OPENSEARCH_URL", `"https://host"`, "has quotes around it: remove them")
	f("OPENSEARCH_URL", `"https://user:`+plantedSecret+`@host"`, `"***@host\"" has quotes around it: remove them`)
	check([]string{"doctor"}, []string{`DASHBOARDS_URL='https://user:` + plantedSecret + `@host'`}, `DASHBOARDS_URL (--dashboards-url): "***@host'" has quotes around it`)
	f("OPENSEARCH_URL", "https://host/_dashboards/app/home#/", "is the address of OpenSearch Dashboards")
	check([]string{"run"}, []string{"OPENSEARCH_URL=  "}, "OPENSEARCH_URL (--opensearch-url) is missing")
	check([]string{"setup"}, []string{"DASHBOARDS_URL=https://admin@host"}, "DASHBOARDS_URL (--dashboards-url) has a user without a password")
	check([]string{"setup"}, []string{"DASHBOARDS_URL=https://admin:" + plantedSecret + "@host", "OPENSEARCH_SIGV4=es"}, `OPENSEARCH_SIGV4 (--opensearch-sigv4) is "es"`)
	f("OPENSEARCH_REGION", "Frankfurt", `"Frankfurt" is not the name of a region`)
	check([]string{"doctor"}, []string{"DASHBOARDS_URL=https://user:" + plantedSecret + "@host:0"}, `DASHBOARDS_URL (--dashboards-url): "https://***@host:0" has a port`)
	f("DEAD_LETTER_URL", "https://bucket/prefix/", "https://bucket/prefix/")
	f("DEAD_LETTER_URL", "s3:///prefix/", "s3:///prefix/")
	f("DEAD_LETTER_URL", "s3://No_Bucket/", "No_Bucket")
	f("DEAD_LETTER_URL", "s3://bucket/prefix/?x", "s3://bucket/prefix/?x")

	// Operation.
	f("EMF_NAMESPACE", "AWS/logs", `"AWS/logs"`)
	f("METRICS_ADDRESS", "nowhere", `"nowhere" is not an address: give host:port, such as :9100`)
	f("METRICS_ADDRESS", "9100", `"9100" is not an address`)
	f("METRICS_ADDRESS", ":99999", `":99999" is not an address`)
	f("METRICS_ADDRESS", ":abc", `":abc" is not an address`)
	f("METRICS_ADDRESS", "http://:9100", `"http://:9100" is not an address`)
	check([]string{"run"}, []string{"AWS_ENDPOINT_URL_KINESIS=localhost:4566"}, `AWS_ENDPOINT_URL_KINESIS (no flag): "localhost:4566" is not an endpoint`)
	check([]string{"run"}, []string{"AWS_PROFILE=nope"}, "AWS configuration: ", "nope", "correct the variables AWS_*")
	f("WORKER_ID", strings.Repeat("x", 300), "x")
	check([]string{"setup"}, []string{"DELETE_AFTER=30"}, `DELETE_AFTER (--delete-after): "30" has no unit`)
	check([]string{"setup"}, []string{"DELETE_AFTER=0"}, "DELETE_AFTER (--delete-after): 0s is too short: give at least 1h")
	check([]string{"setup"}, []string{"DELETE_AFTER=-1d"}, `DELETE_AFTER (--delete-after): "-1d" is not a time`)
	check([]string{"setup"}, []string{"MERGE_AFTER=1m"}, "MERGE_AFTER (--merge-after): 1m is too short: give at least 1h")
	check([]string{"setup"}, []string{"DELETE_AFTER=7d", "MERGE_AFTER=8d"}, "MERGE_AFTER (--merge-after): 8d is not shorter than DELETE_AFTER (7d)")
	check([]string{"setup"}, []string{"DELETE_AFTER=7d", "MERGE_AFTER=7d"}, "MERGE_AFTER (--merge-after): 7d is not shorter than DELETE_AFTER (7d)")

	// By the variables of before.
	check([]string{"run"}, []string{"OPENSEARCH_URL=", "ES_DOMAIN_URL=ftp://host"}, `ES_DOMAIN_URL (--opensearch-url): "ftp://host" does not begin with`)
	check([]string{"run"}, []string{"INDEX_PREFIX=", "ES_INDEX_PREFIX=Logs"}, `ES_INDEX_PREFIX (--index-prefix): "Logs" has uppercase letters: use lowercase`)
	check([]string{"run"}, []string{"INDEX_PREFIX=", `ES_INDEX_PREFIX="logs"`}, `ES_INDEX_PREFIX (--index-prefix): "\"logs\"" has quotes around it`)
}

// Choices are taken in any case, sizes with units, and a flag in place of its variable.
func TestSettings_Success(t *testing.T) {
	f := func(env map[string]string, args ...string) {
		t.Helper()
		t.Run(fmt.Sprint(env, args), func(t *testing.T) {
			for name, value := range documentEnv {
				t.Setenv(name, value)
			}
			if code, _, errOut := command(t, env, nil, append([]string{"assets", "template"}, args...)...); code != exitOK {
				t.Errorf("exit %d, %s", code, errOut)
			}
		})
	}
	f(map[string]string{"SCHEMA": "ECS", "INDEX_CODEC": " Best_Compression ", "DOCUMENT_IDS": "Event", "DATA_STREAM": "No"})
	f(map[string]string{"INDEX_PREFIX": " logs\n", "INDEX_REPLICAS": " 1 ", "INDEX_TIMEZONE": "Asia/Tokyo "})
	f(map[string]string{"INDEX_REFRESH": "five"}, "--index-refresh=5s")
	f(nil, "--index-refresh=five", "--index-refresh=5s")
	f(map[string]string{"CONSTANT_FIELDS": `env = prod , team=a\,b`, "INDEX_SORT": "@timestamp:DESC"})
	f(map[string]string{"LOG_LEVEL": "loud", "BULK_BYTES": "many"}) // of another command
}

// Requests are signed for the region that is set, otherwise for that of the host name,
// otherwise for the SDK's.
func TestSigningRegion(t *testing.T) {
	f := func(set, url, want string) {
		t.Helper()
		s := opensearchSettings{OpensearchURL: url, OpensearchRegion: set}
		if got := s.signingRegion("us-west-2"); got != want {
			t.Errorf("%s, %s: %s", set, url, got)
		}
	}
	f("", "https://search.example.com", "us-west-2")
	f("", "https://search-logs-abc.eu-west-1.es.amazonaws.com", "eu-west-1")
	f("ap-northeast-1", "https://search-logs-abc.eu-west-1.es.amazonaws.com", "ap-northeast-1")
}

// A host that does not exist is most often that of a region that does not.
func TestExplain(t *testing.T) {
	none := fmt.Errorf("dial: %w", &net.DNSError{Name: "kinesis.xx-nowhere-1.amazonaws.com", IsNotFound: true})
	err := streamSettings{StreamName: "logs"}.explain(none, "xx-nowhere-1")
	if got := fmt.Sprint(err); got != `there is no host kinesis.xx-nowhere-1.amazonaws.com: correct AWS_REGION ("xx-nowhere-1"), or AWS_ENDPOINT_URL and its like, or look at the DNS` {
		t.Error(got)
	}
}
