package cli

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"logsluice/opensearch"
)

// plantedSecret is a password that must not appear in any output.
const plantedSecret = "s3cr3t-w0rd"

// A missing or invalid setting ends the program with exit code 2 and one line that names the
// setting, quotes the value and has the remedy, before any request to AWS or OpenSearch.
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
	// check runs a command in the environment complete, changed by differs (NAME=VALUE), and
	// looks for parts of the error.
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
	// f runs with a value of one variable, and other variables in more as NAME=VALUE. The error
	// must begin with the names of the variable and its flag, and contain want and the rest of
	// more.
	isVariable := regexp.MustCompile(`^[A-Z_0-9]+=`)
	f := func(variable, value, want string, more ...string) {
		t.Helper()
		flag := "--" + strings.ToLower(strings.ReplaceAll(variable, "_", "-"))
		differs, wants := []string{variable + "=" + value}, []string{"logsluice: " + variable + " (" + flag + "): ", want}
		for _, m := range more {
			if isVariable.MatchString(m) {
				differs = append(differs, m)
			} else {
				wants = append(wants, m)
			}
		}
		check([]string{"run"}, differs, wants...)
	}

	// Required settings.
	for variable, remedy := range map[string]string{
		"STREAM_NAME (--stream-name)":           "set it to the name or the ARN of the Kinesis data stream",
		"APPLICATION_NAME (--application-name)": "set it to a name for the lease table",
		"OPENSEARCH_URL (--opensearch-url)":     "set it to the URL of the domain",
		"INDEX_PREFIX (--index-prefix)":         "set it to the beginning of the index names",
		"AWS_REGION":                            "set it to the region of the stream",
	} {
		name, _, _ := strings.Cut(variable, " ")
		check([]string{"run"}, []string{name + "="}, variable+" is missing", remedy)
	}
	check([]string{"run"}, []string{"STREAM_NAME=", "APPLICATION_NAME=", "OPENSEARCH_URL=", "INDEX_PREFIX=", "AWS_REGION="},
		"STREAM_NAME (--stream-name), APPLICATION_NAME (--application-name), OPENSEARCH_URL (--opensearch-url), INDEX_PREFIX (--index-prefix) and AWS_REGION are missing")
	check([]string{"run"}, []string{"STREAM_NAME=", "LOG_LEVEL=loud"}, "STREAM_NAME (--stream-name) is missing", `LOG_LEVEL (--log-level): "loud"`)
	check([]string{"leases", "--watch=0s"}, nil, `--watch: "0s" is too short: use at least 100ms`)
	check([]string{"decode", "-"}, []string{"INDEX_PREFIX="}, "INDEX_PREFIX (--index-prefix) is missing")
	check([]string{"assets", "template"}, []string{"INDEX_PREFIX="}, "INDEX_PREFIX (--index-prefix) is missing")
	check([]string{"setup"}, []string{"INDEX_PREFIX=", "OPENSEARCH_URL="}, "OPENSEARCH_URL (--opensearch-url) and INDEX_PREFIX (--index-prefix) are missing")
	check([]string{"setup"}, []string{"AWS_REGION=", "OPENSEARCH_SIGV4=es"}, "AWS_REGION is missing")
	check([]string{"doctor"}, []string{"STREAM_NAME=", "AWS_REGION="}, "STREAM_NAME (--stream-name) and AWS_REGION are missing")
	check([]string{"leases"}, []string{"APPLICATION_NAME="}, "APPLICATION_NAME (--application-name) is missing")
	check([]string{"leases", "--lag"}, []string{"STREAM_NAME="}, "STREAM_NAME (--stream-name) is missing")
	check([]string{"leases", "reset"}, []string{"STREAM_NAME="}, "STREAM_NAME (--stream-name) and --to are missing", "--to to trim-horizon")
	check([]string{"leases", "reset", "--to=yesterday"}, nil, `--to: "yesterday" is not a position`)
	check([]string{"leases", "show", "--watch=0"}, nil, `--watch: "0" is too short: use at least 100ms`)
	check([]string{"leases", "--watch=1"}, nil, `--watch: "1" has no unit: add ms, s, m, h or d, such as 1s`)
	check([]string{"leases", "--watch=soon"}, nil, `--watch: "soon" is not a time`)
	check([]string{"leases", "reset", "--to=2999-01-01T00:00:00Z"}, nil, `--to: "2999-01-01T00:00:00Z" is in the future: use a time in the past, or LATEST`)
	check([]string{"setup", "--stream-name=x"}, nil, "--stream-name is not a flag of setup, but of run, doctor, leases show, leases reset: leave it out")
	check([]string{"setup", "--colour"}, nil, "unknown flag --colour: setup --help lists those of the command")
	check([]string{"leases", "--index-prefix=x"}, nil, "--index-prefix is not a flag of leases, but of run, decode")
	check([]string{"leases", "--output=yaml"}, nil, `--output: "yaml" is invalid: use table or json`)
	check([]string{"setup", "--skip=policy,rights"}, nil, `--skip: "rights" is invalid: use templates, policy or dashboards`)
	check([]string{"doctor", "--most-log-groups=0"}, nil, `--most-log-groups: "0" is too small: use at least 1`)
	check([]string{"doctor", "--most-log-groups=all"}, nil, `--most-log-groups: "all" is not a whole number: use one such as 100`)
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
	check([]string{"run"}, []string{"AWS_REGION=US East"}, `AWS_REGION: "US East" is not the name of a region: use one such as us-east-1`)

	// Choices, in any case.
	f("LOG_LEVEL", "loud", `"loud" is invalid: use trace, debug, info, warn or error`)
	f("SCHEMA", "none", `"none" is invalid: use default, plain or ecs`)
	f("OPENSEARCH_SIGV4", "s3", `"s3" is invalid: use es or aoss`)
	f("INDEX_CODEC", "gzip", `"gzip" is invalid: use best_compression, default, zstd or zstd_no_dict`)
	f("DOCUMENT_IDS", "uuid", `"uuid" is invalid: use event or none`)
	f("DATA_STREAM", "maybe", `"maybe" is neither true nor false`)
	f("BULK_GZIP", "2", `"2" is neither true nor false`)

	// Times.
	for _, variable := range []string{"LEASE_DURATION", "SHARD_SYNC_INTERVAL", "POLL_INTERVAL", "BULK_LINGER", "BULK_TIMEOUT", "DRAIN_TIMEOUT", "SUMMARY_PERIOD", "INDEX_REFRESH"} {
		f(variable, "15", `"15" has no unit: add ms, s, m, h or d, such as `)
		f(variable, "ten", `"ten" is not a time: use a number with a unit (ms, s, m, h or d), such as `)
		f(variable, "-1s", `"-1s" is too short: use `)
	}
	for _, variable := range []string{"EVENT_MAX_AGE", "EVENT_MAX_AHEAD", "WAIT_FOR_INDEX"} {
		f(variable, "30", `"30" has no unit: add ms, s, m, h or d, such as 30`)
		f(variable, "soon", `"soon" is not a time: use a number with a unit (ms, s, m, h or d), such as `)
		f(variable, "999999d", `"999999d" is too long: use a time such as `)
		f(variable, "-1", `"-1" is negative: use a time such as `, "or 0 ")
	}
	f("LEASE_DURATION", "10ms", `"10ms" is too short: use 1s to 10m`)
	f("POLL_INTERVAL", "10ms", `"10ms" is too short: use at least 200ms, as Kinesis allows 5 reads of a shard per second`)
	f("SHARD_SYNC_INTERVAL", "0s", `"0s" is too short: use at least 10ms`)
	f("BULK_TIMEOUT", "0s", `"0s" is too short: use at least 1s`)
	f("DRAIN_TIMEOUT", "0s", `"0s" is too short: use at least 1ms`)
	f("SUMMARY_PERIOD", "0s", `"0s" is too short: use at least 100ms`)
	f("SUMMARY_PERIOD", "1ns", `"1ns" is too short: use at least 100ms`)
	f("SHARD_SYNC_INTERVAL", "1m", `"1m" is longer than LEASE_DURATION (15s), and leases would expire unnoticed: use a third of it or less`)
	check([]string{"run", "--lease-duration=15s", "--lease-duration=15"}, nil, `LEASE_DURATION (--lease-duration): "15" has no unit`)
	f("INDEX_REFRESH", "1ms", `"1ms" is too short`)
	f("WAIT_FOR_INDEX", "-1m", `"-1m" is too short: use at least 1s, or 0 to wait indefinitely`)
	f("EVENT_MAX_AGE", "13d", `"13d" is too short: use at least 14d, as CloudWatch Logs accepts events that old, or 0 for no limit`)
	f("EVENT_MAX_AGE", "335h59m", `"335h59m" is too short`)
	f("EVENT_MAX_AGE", "-30d", `"-30d" is too short`)
	f("EVENT_MAX_AHEAD", "1h59m", `"1h59m" is too short: use at least 2h`)
	f("INITIAL_POSITION", "yesterday", `"yesterday" is not a position: use TRIM_HORIZON, LATEST or a time such as `)
	f("INITIAL_POSITION", "2026-01-31", `"2026-01-31" is not a position`)
	f("INITIAL_POSITION", "2999-01-01T00:00:00Z", `"2999-01-01T00:00:00Z" is in the future`)

	// Sizes and counts.
	for _, variable := range []string{"IN_FLIGHT_BYTES", "MAX_INFLATED_BYTES", "BULK_BYTES"} {
		f(variable, "many", `"many" is not a size: use a number of bytes, or a number with a unit, such as 1000000, 8MB or 8MiB`)
		f(variable, "0", `"0" is too small: use `, "8KiB")
		f(variable, "-5", `"-5" is too small: use `)
		f(variable, "64", `"64" is too small (64 bytes): use `, "MiB")
		f(variable, "8 apples", `"8 apples" is not a size`)
		f(variable, "1.5", `"1.5" is not a size`)
		f(variable, "8,5MB", `"8,5MB" is not a size`)
		f(variable, "9223372036854775807", `"9223372036854775807" is too large: use a size such as `)
		f(variable, "99999999TB", `"99999999TB" is too large: use a size such as `)
	}
	f("MAX_INFLATED_BYTES", "2GiB", `"2GiB" is too large: use 8KiB to 1GiB`)
	for _, variable := range []string{"BULK_DOCUMENTS", "BULK_CONNECTIONS"} {
		f(variable, "many", `"many" is not a whole number: use one such as `)
		f(variable, "0", `"0" is too small: use 1 to `)
		f(variable, "9999999", `"9999999" is too large: use 1 to `)
		f(variable, "1.5", `"1.5" is not a whole number`)
		f(variable, "99999999999999999999", `"99999999999999999999" is too large: use a number such as `)
	}
	f("INDEX_SHARDS", "0", `"0" is too small: use 1 to 1024`)
	f("INDEX_SHARDS", "1025", `"1025" is too large: use 1 to 1024`)
	f("INDEX_REPLICAS", "some", `"some" is not a number of copies: use 0 or more`)
	f("INDEX_REPLICAS", "-1", `"-1" is not a number of copies`)

	// Documents and indices.
	f("INDEX_PREFIX", "Upper", `"Upper" has uppercase letters`)
	f("INDEX_PREFIX", "ecs-", `"ecs-" ends in a hyphen, which is added anyway: use "ecs"`)
	f("INDEX_PREFIX", "ecs-*", `"ecs-*" contains '*', which an index name cannot have: use "ecs"`)
	f("INDEX_DATE", "%Y.%M.%d", `"%Y.%M.%d" has "%M", which is not supported: use %Y.%m.%d`)
	f("INDEX_PREFIX", "_logs", `"_logs" begins with`)
	f("INDEX_PREFIX", "my logs", `"my logs" contains ' '`)
	f("INDEX_PREFIX", "logs*", `"logs*" contains '*'`)
	f("INDEX_PREFIX", "app-outside", `"app-outside" ends in -outside`)
	f("INDEX_PREFIX", "app-dead-letter", `"app-dead-letter" ends in -dead-letter`, "DATA_STREAM=true")
	f("INDEX_DATE", "YYYY-MM-DD", `"YYYY-MM-DD" is not a strftime pattern: use %Y-%m-%d`)
	f("INDEX_DATE", "yyyy.MM.dd", "use %Y.%m.%d")
	f("INDEX_DATE", "YYYY-mm-dd", "use %Y-%m-%d")
	f("INDEX_DATE", "yyyy-MM-DD-hh", "use %Y-%m-%d-%H")
	f("INDEX_DATE", "%%Y-%%m", `"%%Y-%%m" has %%, which stands for a percent sign: use %Y-%m`)
	f("INDEX_DATE", "%Y/%m/%d", `"%Y/%m/%d" contains '/', which an index name cannot have`)
	f("INDEX_DATE", "%d", `"%d" does not identify a day, month, hour or week`)
	f("INDEX_DATE", "%Y-%b", `"%Y-%b" has "%b"`)
	f("INDEX_TIMEZONE", "Asia/Nowhere", `"Asia/Nowhere" is not a timezone: use an IANA name`)
	f("INDEX_TIMEZONE", "Local", `"Local" is not a timezone`)
	f("INDEX_TIMEZONE", "JST+9", `"JST+9" is not a timezone`)
	f("INDEX_SORT", "msg", `"msg" is not a field that an index can be sorted by: use @timestamp`)
	f("INDEX_SORT", "@timestamp desc", `"@timestamp desc" is not a field that an index can be sorted by`)
	f("INDEX_SORT", "@timestamp:down", `"@timestamp:down" has the order "down": use @timestamp:asc or @timestamp:desc`)
	f("INDEX_SORT", ",", `"," is empty, or has an empty part`)
	f("SCHEMA_FILE", "/nowhere", `"/nowhere" cannot be read: no such file or directory: use a YAML file`)
	f("SCHEMA_FILE", schema("drop: {message: x}"), "line 1: drop is outside rules")
	f("SCHEMA_FILE", schema("version: 2\nfields:\n#  - {name: level}\n"), "line 2: fields is empty")
	f("SCHEMA_FILE", schema("rules:\n  - drop: {fields: {level: debug}}\n"), `line 2: the fields of a rule: "level" is unknown: use one of`)
	f("SCHEMA_FILE", schema("fields:\n  - {name: level, type: keyword, paths: [level]}\nrules:\n  - drop: {}\n"), "line 4: the rule has no condition")
	f("CONSTANT_FIELDS", "env:prod", `"env:prod" does not have the form NAME=VALUE,NAME=VALUE: use for example env=prod,service=shop`)
	f("CONSTANT_FIELDS", "=x", `"=x" does not have the form`)
	f("CONSTANT_FIELDS", "env=prod;service=shop", `"env=prod;service=shop" separates pairs with something other than a comma`)
	f("CONSTANT_FIELDS", "env=prod service=shop", "separates pairs with something other than a comma")
	f("CONSTANT_FIELDS", "env=prod,env=dev", `has the name "env" twice`)
	f("CONSTANT_FIELDS", "env=prod,,", "does not have the form")
	f("CONSTANT_FIELDS", "env=", `has no value for "env"`)
	f("CONSTANT_FIELDS", `env="prod"`, `has quotes around "prod": remove them`)
	f("CONSTANT_FIELDS", "my env=prod", `has the name "my env": use only letters, digits`)
	f("CONSTANT_FIELDS", `{"env":"prod"}`, "does not have the form")
	check([]string{"run", "--constant-fields=env:prod", "--constant-fields=a=b"}, nil, `"env:prod" does not have the form`)
	f("CONSTANT_FIELDS", "message=x", "message")

	// OpenSearch.
	const https = "OPENSEARCH_URL=https://host"
	f("OPENSEARCH_URL", "ftp://host", `"ftp://host" does not begin with http:// or https://`)
	f("OPENSEARCH_URL", "https://host/_dashboards", `"https://host/_dashboards" is the address of OpenSearch Dashboards: leave out /_dashboards`)
	f("OPENSEARCH_URL", "https://a:9200,https://b:9200", `"https://a:9200,https://b:9200" has more than one URL`)
	f("OPENSEARCH_URL", "https://a b", `"https://a b" has spaces`)
	f("OPENSEARCH_URL", "https://host:port", `"https://host:port" has a port that is not a number from 1 to 65535: use a URL such as https://host:9200`)
	f("OPENSEARCH_URL", "https://", "has no host")
	f("OPENSEARCH_URL", "https://user:"+plantedSecret+"/@host:0", `"https://***@host:0" has a port`)
	check([]string{"run"}, []string{"OPENSEARCH_URL=https://user:" + plantedSecret + "@host", "OPENSEARCH_USERNAME=u", "OPENSEARCH_PASSWORD=" + plantedSecret}, "OPENSEARCH_URL (--opensearch-url) has a user", "remove the user from the URL")
	check([]string{"run"}, []string{"OPENSEARCH_URL=https://user@host"}, "OPENSEARCH_URL (--opensearch-url) has a user without a password, or the reverse")
	check([]string{"run"}, []string{"OPENSEARCH_USERNAME=admin"}, `OPENSEARCH_USERNAME (--opensearch-username) is "admin" without a password`, "OPENSEARCH_PASSWORD_FILE")
	check([]string{"run"}, []string{"OPENSEARCH_USERNAME=admin", "OPENSEARCH_PASSWORD="}, `OPENSEARCH_USERNAME (--opensearch-username) is "admin" without a password`)
	check([]string{"run"}, []string{"OPENSEARCH_PASSWORD=" + plantedSecret}, "OPENSEARCH_PASSWORD (--opensearch-password) is set without a user: set OPENSEARCH_USERNAME")
	check([]string{"run"}, []string{"OPENSEARCH_PASSWORD_FILE=" + empty}, "OPENSEARCH_PASSWORD_FILE (--opensearch-password-file) is ", empty, "set OPENSEARCH_USERNAME")
	check([]string{"run"}, []string{"OPENSEARCH_USERNAME=u", "OPENSEARCH_PASSWORD=" + plantedSecret, "OPENSEARCH_PASSWORD_FILE=" + empty}, "are both set")
	check([]string{"run"}, []string{"OPENSEARCH_USERNAME=u", "OPENSEARCH_PASSWORD=" + plantedSecret, "OPENSEARCH_SIGV4=es"}, `OPENSEARCH_SIGV4 (--opensearch-sigv4) is "es"`, "use either OPENSEARCH_SIGV4 or a user, not both")
	f("OPENSEARCH_PASSWORD_FILE", "/nowhere", `"/nowhere" cannot be read: no such file or directory: use a file with the password`, "OPENSEARCH_USERNAME=u")
	f("OPENSEARCH_PASSWORD_FILE", empty, strconv.Quote(empty)+" has no password", "OPENSEARCH_USERNAME=u")
	check([]string{"run"}, []string{https, "OPENSEARCH_CA_FILE=/nowhere"}, "logsluice: OPENSEARCH_CA_FILE (--opensearch-ca-file): ", `"/nowhere" cannot be read: no such file or directory: use a file with PEM certificates`)
	check([]string{"run"}, []string{https, "OPENSEARCH_CA_FILE=" + noPEM}, "logsluice: OPENSEARCH_CA_FILE (--opensearch-ca-file): ", strconv.Quote(noPEM)+" has no PEM certificate")
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

	// Invalid secrets are not quoted.
	inJSON := `{"username":"u","password":"` + plantedSecret + `"}`
	user := "OPENSEARCH_USERNAME=u"
	for value, want := range map[string]string{
		inJSON: "the value is a JSON document: in the ECS task definition, append :password:: (the key of the password) to the secret's ARN",
		"arn:aws:secretsmanager:us-east-1:111111111111:secret:" + plantedSecret: "the value is the ARN of a secret",
		"arn:aws-cn:ssm:cn-north-1:111111111111:parameter/" + plantedSecret:     "the value is the ARN of a secret",
		"   ":                       "the value is blank",
		"'" + plantedSecret + "'":   "the value has quotes around it: remove them",
		plantedSecret + "\nanother": "the value has line breaks or control characters",
	} {
		f("OPENSEARCH_PASSWORD", value, want, user)
		if value != "   " {
			f("OPENSEARCH_PASSWORD_FILE", file("password", value), strings.TrimPrefix(want, "the value "), user)
		}
	}
	f("OPENSEARCH_USERNAME", "u:"+plantedSecret, `"u:***" has a colon`)
	f("OPENSEARCH_URL", server.URL+"?password="+plantedSecret, `?***" has a query or a fragment`)
	for _, variable := range secretVariables {
		check([]string{"run"}, []string{variable + "=" + plantedSecret + "\n"}, "logsluice: "+variable+" ends in a newline: remove it")
		check([]string{"run"}, []string{variable + "=" + plantedSecret + " " + plantedSecret}, "logsluice: "+variable+" has whitespace in it")
		check([]string{"setup"}, []string{"OPENSEARCH_SIGV4=es", variable + "='" + plantedSecret + "'"}, "logsluice: "+variable+" has quotes around it")
	}
	check([]string{"run", "OPENSEARCH_PASSWORD=" + plantedSecret}, nil, "OPENSEARCH_PASSWORD=***: set variables before the program's name, not after it")
	check([]string{"run", "https://u:" + plantedSecret + "@h"}, nil, "unexpected argument, not shown because it can be a secret")
	check([]string{"run", "--opensearch-username", "u", plantedSecret}, nil, "unexpected argument, not shown")
	check([]string{"run", "more"}, nil, `unexpected argument "more": run --help shows what the command takes`)

	// Files.
	f("SCHEMA_FILE", folder, " is a folder: use a YAML file")
	f("SCHEMA_FILE", "/dev/zero", `"/dev/zero" is a device and not a file: use a YAML file`)
	f("SCHEMA_FILE", file("large", strings.Repeat("#", 1<<20+1)), " has more than 1 MiB: use a YAML file")
	f("OPENSEARCH_PASSWORD_FILE", "/dev/zero", `"/dev/zero" is a device and not a file: use a file with the password`, user)
	f("OPENSEARCH_PASSWORD_FILE", folder, " is a folder: use a file with the password", user)
	check([]string{"run"}, []string{https, "OPENSEARCH_CA_FILE=" + folder}, "logsluice: OPENSEARCH_CA_FILE (--opensearch-ca-file): ", " is a folder: use a file with PEM")
	check([]string{"run"}, []string{https, "OPENSEARCH_CA_FILE=/dev/zero"}, `"/dev/zero" is a device and not a file`)

	// Limits of sizes and times.
	f("BULK_BYTES", "2GiB", `"2GiB" is too large: use 8KiB to 1GiB, such as 8MiB`)
	f("LEASE_DURATION", "1h", `"1h" is too long: use 1s to 10m`)
	f("BULK_LINGER", "2m", `"2m" is too long: use 0s to 1m`)
	f("SHARD_SYNC_INTERVAL", "1ms", `"1ms" is too short: use at least 10ms`)
	f("WAIT_FOR_INDEX", "1ms", `"1ms" is too short: use at least 1s, or 0 to wait indefinitely`)
	f("SCHEMA_FILE", schema("rules:\n  - drop: {message: \".*\"}\n"), `line 2: ".*" matches every text`)
	f("SCHEMA_FILE", schema("rules:\n  - keep: {message: x}\n"), "line 2: keep has no effect as the last rule", "drop: {log_group: .}")
	f("SCHEMA_FILE", schema("rules:\n  - drop: {log_group: /ecs/*}\n"), `line 2: "/ecs/*" is a regular expression`, `use "^/ecs/"`)

	// Examples are within the limits, and errors name quotes, whitespace and line breaks.
	f("POLL_INTERVAL", "1", `such as 250ms`)
	f("LEASE_DURATION", "15000", `"15000" has no unit: add ms, s, m, h or d, such as 15s`)
	f("LEASE_DURATION", "20", `such as 20s`)
	f("EVENT_MAX_AGE", "7", "such as 30d")
	f("INDEX_REFRESH", "-1", `"-1" is negative: use a time such as 1s`)
	f("WAIT_FOR_INDEX", "-1", `"-1" is negative: use a time such as 30m, or 0 to wait indefinitely`)
	for _, variable := range []string{"STREAM_NAME", "APPLICATION_NAME", "WORKER_ID", "BULK_BYTES", "BULK_DOCUMENTS", "BULK_GZIP", "LEASE_DURATION", "EVENT_MAX_AGE", "LOG_LEVEL", "INDEX_PREFIX", "INDEX_TIMEZONE", "CONSTANT_FIELDS", "INDEX_SORT"} {
		f(variable, `"1"`, `"\"1\"" has quotes around it: remove them`)
	}
	for _, variable := range []string{"STREAM_NAME", "APPLICATION_NAME", "WORKER_ID"} {
		f(variable, "logs\n", `"logs\n" ends in a newline: remove it`)
		f(variable, "logs\r", `"logs\r" ends in a carriage return: remove it`)
		f(variable, " logs", `" logs" has leading or trailing whitespace: remove it`)
	}
	check([]string{"run"}, []string{"AWS_REGION='us-east-1'"}, `AWS_REGION: "'us-east-1'" has quotes around it`)
	check([]string{"run"}, []string{"AWS_REGION=us-east-1\n"}, `AWS_REGION: "us-east-1\n" ends in a newline: remove it`)
	check([]string{"run"}, []string{"AWS_ENDPOINT_URL=http://127.0.0.1:1 "}, `AWS_ENDPOINT_URL: "http://127.0.0.1:1 " has leading or trailing whitespace: remove it`)

	// A setting with an invalid value is not reported as missing as well.
	for _, wrong := range [][]string{{"run", "OPENSEARCH_URL='https://h'"}, {"run", "INDEX_PREFIX='logs'"}} {
		check(wrong[:1], append(wrong[1:], "APPLICATION_NAME="), "has quotes around it: remove them; APPLICATION_NAME (--application-name) is missing")
	}
	check([]string{"run", "--stream-name"}, []string{"APPLICATION_NAME="}, "the flag has no value: use --stream-name=VALUE; APPLICATION_NAME (--application-name) is missing")
	check([]string{"leases", "reset", "--to"}, []string{"APPLICATION_NAME="}, "--to: the flag has no value: use --to=VALUE; APPLICATION_NAME (--application-name) is missing")
	check([]string{"run", "--index-refresh", "-1"}, nil, `INDEX_REFRESH (--index-refresh): "-1" is negative: use a time such as 1s`)

	// Dates of index names, in the prefix and in other spellings.
	f("INDEX_PREFIX", "logs-%Y", `"logs-%Y" has a date pattern, which belongs in INDEX_DATE: use "logs"`)
	f("INDEX_PREFIX", "logs-%m", "belongs in INDEX_DATE")
	f("INDEX_PREFIX", "logstash-%{+YYYY.MM.dd}", `belongs in INDEX_DATE: use "logstash"`)
	f("INDEX_PREFIX", "%Y", `use "logs"`)

	// The command line.
	check([]string{"run", "-stream-name", "logs"}, nil, "unknown flag -stream-name: use --stream-name, with two hyphens")
	check([]string{"run", "-stream-name=logs"}, nil, "use --stream-name, with two hyphens")
	check([]string{"-v"}, nil, "unknown flag -v: use --version")
	check([]string{"-V"}, nil, "unknown flag -V: use --version")
	check([]string{"-version"}, nil, "--version")
	check([]string{"run", "--bulk-gzip", "false"}, nil, "unexpected argument false: use --bulk-gzip=false")
	check([]string{"run", "--constant-fields", "a=b", "c=" + plantedSecret}, nil, "CONSTANT_FIELDS (--constant-fields) takes one value: separate pairs with commas")

	// Empty values, and placeholders that were not replaced.
	check([]string{"leases", "reset", "--to=latest", "--yes", "--shard="}, nil, "--shard: \"\" is empty, or has an empty part: set a value, or leave the flag out")
	check([]string{"leases", "reset", "--to=latest", "--yes", "--shard=shardId-000000000000,"}, nil, "--shard: ", "has an empty part")
	check([]string{"leases", "reset", "--to=latest", "--shard=3"}, nil, `--shard: "3" is not the id of a shard: use one that leases shows, such as shardId-000000000003`)
	check([]string{"setup", "--skip="}, nil, "--skip: ", "is empty")
	check([]string{"doctor", "--log-group="}, nil, "--log-group: ", "is empty")
	check([]string{"doctor", "--log-group=/ecs/*"}, nil, `--log-group: "/ecs/*" is not the name of a log group`)
	check([]string{"doctor", "--log-group=arn:aws:logs:us-east-1:123456789012:log-group:/ecs/api:*"}, nil, "is not the name of a log group: use the full name, such as /ecs/api")
	for _, text := range []string{"$(hostname)", "${HOST}", "$HOST", "{{resolve:ssm:name}}", "<worker>"} {
		f("WORKER_ID", text, "has a variable or placeholder that was not replaced: replace it with its value")
	}
	f("INDEX_PREFIX", "${ENV}-logs", "has a variable or placeholder that was not replaced")
	f("OPENSEARCH_URL", "https://<domain>:9200", "has a variable or placeholder that was not replaced")
	check([]string{"run"}, []string{"OPENSEARCH_USERNAME=u", "OPENSEARCH_PASSWORD=${OS_PASSWORD}"}, "OPENSEARCH_PASSWORD (--opensearch-password)", "was not replaced")
	check([]string{"run"}, []string{"OPENSEARCH_USERNAME=u", "OPENSEARCH_PASSWORD={{resolve:secretsmanager:" + plantedSecret + "}}"}, "was not replaced")

	// Flags without a value, of other commands, and others.
	check([]string{"run", "--stream-name", "--application-name", "x"}, nil, "STREAM_NAME (--stream-name): the flag has no value: use --stream-name=VALUE")
	check([]string{"run", "--bulk-documents", "-5"}, nil, `BULK_DOCUMENTS (--bulk-documents): "-5" is too small`)
	check([]string{"leases", "reset", "--to=latest", "-y"}, nil, "unknown flag -y: flags have two hyphens and a name, and leases reset --help lists those of the command")
	check([]string{"--log-level=debug", "run"}, nil, "the flag --log-level comes before the command: put it after run")
	check([]string{"run", "–-stream-name", "logs"}, nil, "begins with a dash instead of a hyphen")
	check([]string{"leases", "rest"}, nil, `unknown command "leases rest": use leases, or leases reset`)
	f("BULK_TIMEOUT", "30000", `"30000" has no unit: add ms, s, m, h or d, such as 60s`)
	f("SCHEMA", "/etc/schema.yaml", `"/etc/schema.yaml" is a file: set SCHEMA_FILE (--schema-file) to it`)
	f("DATA_STREAM", "logs-ecs", `"logs-ecs" is neither true nor false: set it to true, and INDEX_PREFIX to the name of the data stream`)
	f("STREAM_NAME", "arn:aws:kinesis:us-east-1:123456789012:stream", "is not the ARN of a stream")

	// Addresses that are not a domain's.
	f("OPENSEARCH_URL", "https://us-east-1.console.aws.amazon.com/aos/home?region=us-east-1#opensearch", "is a page of the AWS console: use the domain endpoint that it shows")
	f("OPENSEARCH_URL", "OPENSEARCH_URL=https://host:9200", "begins with the name of a variable: use what follows the first =")
	f("OPENSEARCH_URL", "jdbc:opensearch://host", "does not begin with http:// or https://")
	f("OPENSEARCH_URL", "http://host:9200/ecs-*/_search", "is a request to OpenSearch (_search): use http://host:9200")
	f("OPENSEARCH_URL", "https://search-logs-abc.us-east-1.es.amazonaws.com:9200", "has port 9200, and Amazon OpenSearch Service listens on 443: leave the port out")
	f("OPENSEARCH_URL", "https://host/_bulk", `"https://host/_bulk" is a request to OpenSearch (_bulk): use https://host`)
	f("OPENSEARCH_URL", "https://host/proxy/_cat/indices", "is a request to OpenSearch (_cat/indices): use https://host")
	f("OPENSEARCH_URL", "https://host:5601", "has the port of OpenSearch Dashboards: use that of OpenSearch, such as 9200")
	f("OPENSEARCH_URL", "https://host:9300", "has the port for the transport between nodes")
	f("OPENSEARCH_URL", "null", `"null" has a host that cannot exist`)
	f("OPENSEARCH_URL", "<https://host>", `"<https://host>" has angle brackets around it: remove them`)
	f("OPENSEARCH_URL", "arn:aws:es:us-east-1:111111111111:domain/logs", "is an ARN: use the domain's endpoint")
	check([]string{"doctor"}, []string{"DASHBOARDS_URL=https://host/_dashboards/app/home#/"}, `DASHBOARDS_URL (--dashboards-url): "https://host/_dashboards/app/home" is a page of Dashboards: use "https://host/_dashboards"`)
	check([]string{"setup"}, []string{"DASHBOARDS_URL=https://host/app/discover"}, `use "https://host"`)
	check([]string{"setup"}, []string{"DASHBOARDS_URL=https://host:9200"}, "has a port of OpenSearch: use that of Dashboards, such as 5601")

	// Variables of the AWS SDK.
	check([]string{"run"}, []string{"AWS_MAX_ATTEMPTS=many"}, `AWS_MAX_ATTEMPTS: "many" is not a whole number: use one such as 3`)
	check([]string{"run"}, []string{"AWS_RETRY_MODE=fast"}, `AWS_RETRY_MODE: "fast" is invalid: use standard or adaptive`)
	check([]string{"run"}, []string{"AWS_CA_BUNDLE=/nope"}, `AWS_CA_BUNDLE: "/nope" cannot be read: no such file or directory: use a file with PEM certificates`)
	check([]string{"run"}, []string{"AWS_ACCESS_KEY_ID="}, "AWS_SECRET_ACCESS_KEY is set, and AWS_ACCESS_KEY_ID is not: set both or neither")
	check([]string{"run"}, []string{"AWS_SECRET_ACCESS_KEY="}, "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not: set both or neither")

	// Regions, and settings that contradict each other.
	check([]string{"run"}, []string{"AWS_REGION=us-east-1a"}, `AWS_REGION: "us-east-1a" is an availability zone: use its region, us-east-1`)
	check([]string{"run"}, []string{"AWS_REGION=useast1"}, `AWS_REGION: "useast1" is not the name of a region`)
	f("OPENSEARCH_REGION", "us-east-1a", "is an availability zone: use its region, us-east-1")
	const esHost, aossHost = "https://search-logs-abc.eu-west-1.es.amazonaws.com", "https://abc.eu-west-1.aoss.amazonaws.com"
	f("OPENSEARCH_SIGV4", "aoss", `"aoss" is not the service of `+esHost+": use es", "OPENSEARCH_URL="+esHost)
	f("OPENSEARCH_SIGV4", "es", `"es" is not the service of `+aossHost+": use aoss", "OPENSEARCH_URL="+aossHost)
	check([]string{"run"}, []string{"OPENSEARCH_URL=" + aossHost}, "OPENSEARCH_SIGV4 (--opensearch-sigv4) is not set, and "+aossHost+" is a collection of OpenSearch Serverless: set it to aoss")
	f("OPENSEARCH_REGION", "us-east-1", `"us-east-1" is not the region of `+esHost+": use eu-west-1", "OPENSEARCH_URL="+esHost, "OPENSEARCH_SIGV4=es")
	check([]string{"run"}, []string{"OPENSEARCH_CA_FILE=" + noPEM}, "has no effect with "+server.URL+", which is not encrypted: remove it")

	// Remedies.
	f("EMF_NAMESPACE", "AWS/Kinesis", `"AWS/Kinesis" is reserved, as are all that begin with AWS/: use one such as logsluice`)
	f("CONSTANT_FIELDS", "level=x", "another field has that name: use another name")
	f("CONSTANT_FIELDS", "a..b=c", "the name has an empty part: use one such as a.b")
	f("BULK_BYTES", "9223372036854775807", "is too large: use a size such as 8MiB")
	f("SCHEMA_FILE", schema("- a\n"), "line 1: the schema: this is not a mapping: write names and values")
	f("SCHEMA_FILE", schema("fields:\n  - {name: at, type: date, paths: [at], formats: ['%Q']}\n"), "use a pattern such as %d/%b/%Y:%H:%M:%S %z")

	// Settings that exclude each other.
	f("SCHEMA", "ecs", `"ecs" and SCHEMA_FILE (`, "SCHEMA_FILE="+empty, "are both set: remove one")
	f("INDEX_DATE", "%Y-%m", `"%Y-%m" has no effect with DATA_STREAM`, "DATA_STREAM=true")
	check([]string{"run"}, []string{"ES_DOMAIN_URL=https://another"}, "OPENSEARCH_URL and ES_DOMAIN_URL are both set, and differ: remove one")
	check([]string{"run"}, []string{"ES_INDEX_PREFIX=another"}, "INDEX_PREFIX and ES_INDEX_PREFIX are both set, and differ: remove one")
	f("OPENSEARCH_REGION", "us-east-1", `"us-east-1" has no effect, as requests are not signed: set OPENSEARCH_SIGV4`)
	for _, address := range []string{"*:9100", "256.1.1.1:9100", "a..b:9100"} {
		f("METRICS_ADDRESS", address, strconv.Quote(address)+" is not an address: use host:port, such as :9100")
	}
	f("CONSTANT_FIELDS", "a=\x1b[31m", `has control characters in the value of "a"`)
	check([]string{"doctor"}, []string{"ARCHIVE_URL=s3://Bucket/x"}, `ARCHIVE_URL (--archive-url): "Bucket" cannot be the name of a bucket`)
	check([]string{"doctor"}, []string{"ARCHIVE_URL=S3://bucket/x"}, `ARCHIVE_URL (--archive-url): "S3://bucket/x" does not begin with s3://`)
	f("SCHEMA_FILE", file("utf16", "\xff\xfef\x00"), "the file is not UTF-8 text: save it as UTF-8")
	f("SCHEMA_FILE", schema("name: own\n"), "line 1: the schema has neither fields nor rules")

	// Operation.
	f("EMF_NAMESPACE", "AWS/logs", `"AWS/logs"`)
	f("METRICS_ADDRESS", "nowhere", `"nowhere" is not an address: use host:port, such as :9100`)
	f("METRICS_ADDRESS", "9100", `"9100" is not an address`)
	f("METRICS_ADDRESS", ":99999", `":99999" is not an address`)
	f("METRICS_ADDRESS", ":abc", `":abc" is not an address`)
	f("METRICS_ADDRESS", "http://:9100", `"http://:9100" is not an address`)
	check([]string{"run"}, []string{"AWS_ENDPOINT_URL_KINESIS=localhost:4566"}, `AWS_ENDPOINT_URL_KINESIS: "localhost:4566" is not an endpoint`)
	check([]string{"run"}, []string{"AWS_PROFILE=nope"}, `AWS_PROFILE: "nope" is not a profile of ~/.aws/config or ~/.aws/credentials`)
	f("WORKER_ID", strings.Repeat("x", 300), "x")
	check([]string{"setup"}, []string{"DELETE_AFTER=30"}, `DELETE_AFTER (--delete-after): "30" has no unit`)
	check([]string{"setup"}, []string{"DELETE_AFTER=0"}, `DELETE_AFTER (--delete-after): "0" is too short: use at least 1h, or leave the policy out`)
	check([]string{"setup"}, []string{"DELETE_AFTER=-1d"}, `DELETE_AFTER (--delete-after): "-1d" is too short`)
	check([]string{"setup"}, []string{"MERGE_AFTER=1m"}, `MERGE_AFTER (--merge-after): "1m" is too short: use at least 1h`)
	check([]string{"setup"}, []string{"DELETE_AFTER=7d", "MERGE_AFTER=8d"}, `MERGE_AFTER (--merge-after): "8d" is not shorter than DELETE_AFTER (7d)`)
	check([]string{"setup"}, []string{"DELETE_AFTER=7d", "MERGE_AFTER=7d"}, `MERGE_AFTER (--merge-after): "7d" is not shorter than DELETE_AFTER (7d)`)

	// Variables of the usual Lambda.
	check([]string{"run"}, []string{"OPENSEARCH_URL=", "ES_DOMAIN_URL=ftp://host"}, `ES_DOMAIN_URL (--opensearch-url): "ftp://host" does not begin with`)
	check([]string{"run"}, []string{"INDEX_PREFIX=", "ES_INDEX_PREFIX=Logs"}, `ES_INDEX_PREFIX (--index-prefix): "Logs" has uppercase letters: use lowercase`)
	check([]string{"run"}, []string{"INDEX_PREFIX=", `ES_INDEX_PREFIX="logs"`}, `ES_INDEX_PREFIX (--index-prefix): "\"logs\"" has quotes around it`)
}

// Choices are accepted in any case, and a flag overrides its variable.
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
	for _, refresh := range []string{"15 s", "15S", "1d", "1.5h", "2w", "1d12h", "1m 30s"} {
		f(map[string]string{"INDEX_REFRESH": refresh})
	}
	f(map[string]string{"INDEX_TIMEZONE": "utc", "INDEX_CODEC": "best-compression", "INDEX_SORT": "@timestamp : desc", "DATA_STREAM": "n"})
	f(map[string]string{"INDEX_TIMEZONE": "asia/tokyo", "DATA_STREAM": "disabled"})
	f(map[string]string{"INDEX_TIMEZONE": "america/new_york"})
	f(map[string]string{"INDEX_TIMEZONE": "Z"})
	f(map[string]string{"CONSTANT_FIELDS": `env = prod , team=a\,b`, "INDEX_SORT": "@timestamp:DESC"})
	f(map[string]string{"LOG_LEVEL": "loud", "BULK_BYTES": "many"}) // of another command
}

// Requests are signed for the configured region, otherwise for the region in the host name,
// otherwise for the SDK's region.
func TestSigningRegion(t *testing.T) {
	f := func(set, url, want string) {
		t.Helper()
		address, err := opensearch.ParseAddress(url)
		if err != nil {
			t.Fatal(err)
		}
		s := opensearchSettings{OpensearchURL: address, OpensearchRegion: set}
		if got := s.signingRegion("us-west-2"); got != want {
			t.Errorf("%s, %s: %s", set, url, got)
		}
	}
	f("", "https://search.example.com", "us-west-2")
	f("", "https://search-logs-abc.eu-west-1.es.amazonaws.com", "eu-west-1")
	f("ap-northeast-1", "https://search-logs-abc.eu-west-1.es.amazonaws.com", "ap-northeast-1")
}

// A host that does not exist usually belongs to a region that does not exist.
func TestExplain(t *testing.T) {
	none := fmt.Errorf("dial: %w", &net.DNSError{Name: "kinesis.xx-nowhere-1.amazonaws.com", IsNotFound: true})
	err := streamSettings{StreamName: "logs"}.explain(none, "xx-nowhere-1")
	if got := fmt.Sprint(err); got != `host kinesis.xx-nowhere-1.amazonaws.com does not exist: correct AWS_REGION ("xx-nowhere-1") or the variables AWS_ENDPOINT_URL*, or check the DNS` {
		t.Error(got)
	}
}
