package cli

import (
	"strings"
	"time"
	// Timezones must be there in an image without a zoneinfo folder.
	_ "time/tzdata"

	"logsluice/mapping"
)

// documentSettings are the settings that decide what documents look like.
type documentSettings struct {
	IndexPrefix   string `group:"documents" env:"INDEX_PREFIX,ES_INDEX_PREFIX" placeholder:"PREFIX" help:"Index names are PREFIX-YYYY-MM-DD."`
	IndexTimezone string `group:"documents" env:"INDEX_TIMEZONE" default:"UTC" placeholder:"ZONE" help:"IANA timezone of an event's day and timestamp, such as Asia/Tokyo (default ${default})."`
}

func (s documentSettings) mapper() (*mapping.Mapper, error) {
	if s.IndexPrefix == "" {
		return nil, missing("INDEX_PREFIX", "--index-prefix", "the beginning of the index names")
	}
	zone, err := time.LoadLocation(s.IndexTimezone)
	if err != nil {
		return nil, settingf("INDEX_TIMEZONE (--index-timezone): %q is not a timezone: give an IANA name such as UTC or Asia/Tokyo", s.IndexTimezone)
	}
	m, err := mapping.New(mapping.Config{Prefix: s.IndexPrefix, Zone: zone, Schema: mapping.DefaultSchema()})
	if err != nil {
		return nil, settingf("INDEX_PREFIX (--index-prefix): %w", err)
	}
	return m, nil
}

// missing is the error for a setting without which nothing works.
func missing(variable, flag, what string) error {
	return settingf("%s (%s) is missing: set it to %s", variable, flag, what)
}

// address completes the address of an OpenSearch domain: people who come from
// the usual Lambda have set a bare host name.
func address(url string) string {
	if url == "" || strings.Contains(url, "://") {
		return url
	}
	return "https://" + url
}
