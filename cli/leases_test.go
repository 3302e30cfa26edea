package cli

import (
	"strings"
	"testing"

	"logsluice/checkpoint"
)

// The table fits 100 columns with realistic names, and its cells have no control characters.
func TestLeasesTableFits(t *testing.T) {
	age, lag, owner := 754.3, 86399.2, "ip-10-0-123-45.ap-northeast-1.compute.internal-k3j4h5g6"
	number := "49671046210381745213123456789012345678901234567890123456"
	leases := []lease{
		{Shard: shardID(0), State: checkpoint.StateActive, Closed: true, Owner: owner, Age: &age, Checkpoint: number, Lag: &lag},
		{Shard: shardID(4), State: checkpoint.StateClaimed, ClaimedBy: owner, Owner: owner, Age: &age, Checkpoint: number, Lag: &lag},
		{Shard: shardID(1234), State: checkpoint.StateWaiting, Parents: []string{shardID(1000), shardID(1001)}, Start: "AT_TIMESTAMP 2026-01-31T00:00:00.123Z"},
		{Shard: shardID(5), State: checkpoint.StateFree, Checkpoint: "SHARD_END", Owner: "a\x1b[31m\tb\nc", LagError: "InternalFailure"},
	}
	var out strings.Builder
	if err := printLeases(&out, leases, true, false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 5 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%q", out.String())
	}
	for _, line := range lines[:4] {
		if n := len([]rune(line)); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, words := range []string{
		"active, closed …rnal-k3j4h5g6 12m34s 49671046210381745213… 23h59m59s", "claimed by …3j4h5g6", "waiting for 1000,1… - - 2026-01-31T00:00:00.…", `a\x1b[31m b c`,
	} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), words) {
			t.Errorf("no %q in\n%s", words, out.String())
		}
	}
	out.Reset()
	if err := printLeases(&out, leases, true, true); err != nil || !strings.Contains(out.String(), number) || !strings.Contains(out.String(), owner) {
		t.Errorf("%v\n%s", err, out.String())
	}
}
