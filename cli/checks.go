package cli

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	// Timezones, for images without a zoneinfo folder.
	_ "time/tzdata"

	"github.com/alecthomas/kong"

	"logsluice/checkpoint"
	"logsluice/consumer"
	"logsluice/indexer/deadletter"
	"logsluice/mapping/schema"
	"logsluice/opensearch"
	"logsluice/telemetry"
)

// Checks and parsers of settings with a special syntax.

// checks maps the tag check of a setting to a function. Like a parser's,
// their errors continue a sentence that begins with the value.
var checks = map[string]func(string) error{
	"stream":    consumer.CheckStream,
	"table":     checkpoint.CheckTable,
	"worker":    checkpoint.CheckWorker,
	"prefix":    schema.CheckPrefix,
	"date":      schema.CheckDate,
	"namespace": telemetry.CheckNamespace,
	"region":    checkRegion,
	"listen":    checkListen,
	"copies":    checkCopies,
	"log group": checkLogGroup,
	"shard":     checkShard,
}

// regionName matches a region or an availability zone in it.
var regionName = regexp.MustCompile(`^([a-z]+(?:-[a-z]+)+-\d+)([a-z]?)$`)

// checkRegion returns an error if region is not the name of a region, in upper or lower case.
func checkRegion(region string) error {
	switch parts := regionName.FindStringSubmatch(strings.ToLower(region)); {
	case parts == nil:
		return errors.New("is not the name of a region: use one such as us-east-1")
	case parts[2] != "":
		return fmt.Errorf("is an availability zone: use its region, %s", parts[1])
	}
	return nil
}

func checkListen(address string) error {
	host, port, err := net.SplitHostPort(address)
	const most = 65535
	if n, notNumber := strconv.Atoi(port); err != nil || notNumber != nil || n < 0 || n > most || host != "" && !opensearch.IsHost(host) {
		return fmt.Errorf("is not an address: use host:port, such as :9100, with a port up to %d", most)
	}
	return nil
}

func checkCopies(text string) error {
	if n, err := strconv.Atoi(text); err != nil || n < 0 {
		return errors.New("is not a number of copies: use 0 or more")
	}
	return nil
}

// logGroupName follows https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html.
var logGroupName = regexp.MustCompile(`^[\w./#-]{1,512}$`)

func checkLogGroup(name string) error {
	if !logGroupName.MatchString(name) {
		return errors.New("is not the name of a log group: use the full name, such as /ecs/api")
	}
	return nil
}

// shardIDPattern matches Kinesis' shard ids.
var shardIDPattern = regexp.MustCompile(`^shardId-\d{12}$`)

func checkShard(id string) error {
	if !shardIDPattern.MatchString(id) {
		return errors.New("is not the id of a shard: use one that leases shows, such as shardId-000000000003")
	}
	return nil
}

// parsePosition parses where reading begins. An empty text is the zero Position.
func parsePosition(_ *kong.Value, text string) (any, error) {
	if text = strings.TrimSpace(text); text == "" {
		return checkpoint.Position{}, nil
	}
	position, err := checkpoint.ParsePosition(text)
	if t, isTime := position.Timestamp(); isTime && t.After(time.Now()) {
		err = errors.New("is in the future: use a time in the past, or LATEST")
	}
	return position, err
}

// parseZone parses the name of a timezone, in upper or lower case.
func parseZone(_ *kong.Value, text string) (any, error) {
	zone, err := time.LoadLocation(zoneName(strings.TrimSpace(text)))
	if err != nil || zone == time.Local { // which differs from machine to machine
		return nil, errors.New("is not a timezone: use an IANA name such as UTC or Asia/Tokyo")
	}
	return zone, nil
}

// zoneName returns a timezone in IANA's spelling: UTC for Z and utc, Asia/Tokyo for asia/tokyo.
func zoneName(text string) string {
	if _, err := time.LoadLocation(text); err == nil && text != "" {
		return text
	}
	if strings.EqualFold(text, "UTC") || strings.EqualFold(text, "Z") {
		return "UTC"
	}
	return wordStart.ReplaceAllStringFunc(strings.ToLower(text), strings.ToUpper)
}

var wordStart = regexp.MustCompile(`\b[a-z]|_[a-z]`)

// parseAddress parses the URL of OpenSearch or Dashboards. A blank text is the zero Address.
func parseAddress(_ *kong.Value, text string) (any, error) {
	if strings.TrimSpace(text) == "" {
		return opensearch.Address{}, nil
	}
	return opensearch.ParseAddress(text)
}

// parseFolder parses the URL of a folder in S3. A blank text is the zero URL.
func parseFolder(_ *kong.Value, text string) (any, error) {
	if text = strings.TrimSpace(text); text == "" {
		return deadletter.URL{}, nil
	}
	return deadletter.ParseURL(text)
}
