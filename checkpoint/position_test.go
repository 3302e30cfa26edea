package checkpoint

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/rs/zerolog"
)

// A later start with a different position logs that the position is ignored.
func TestOtherInitialPosition(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		f := func(first string, later map[string]bool) {
			t.Helper()
			name := tableName()
			openAt(t, db, name, "first", first, Shard{ID: shard0})
			for setting, warns := range later {
				var position Position
				if setting != "" {
					var err error
					if position, err = ParsePosition(setting); err != nil {
						t.Fatal(err)
					}
				}
				var log bytes.Buffer
				table, err := New(Config{Table: name, Worker: "later", LeaseDuration: leaseDuration, InitialPosition: position, Log: zerolog.New(&log)}, db)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(table.Close)
				if err := table.Open(t.Context(), Stream{Name: "logs"}, lists(Shard{ID: shard0})); err != nil {
					t.Fatal(err)
				}
				if got := strings.Contains(log.String(), "INITIAL_POSITION is ignored"); got != warns {
					t.Errorf("first %s, later %q: warned %t: %s", first, setting, got, &log)
				}
			}
		}
		past := time.Now().Add(-time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
		f("TRIM_HORIZON", map[string]bool{"": false, "TRIM_HORIZON": false, "LATEST": true, past: true})
		f("LATEST", map[string]bool{"": false, "TRIM_HORIZON": true, "LATEST": false, past: true})
		f(past, map[string]bool{"": false, "TRIM_HORIZON": true, past: false, "2020-01-01T00:00:00Z": true})
	})
}
