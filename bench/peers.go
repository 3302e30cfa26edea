package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// The peers, which are built from a module of their own (bench/peers), so that their
// dependencies are not ours.

// telegrafTags are the plugins that Telegraf is built with.
const telegrafTags = "custom,inputs.kinesis_consumer,outputs.opensearch,parsers.json_v2"

// buildPeers builds what is in the module of the peers, which is one of its own so
// that its dependencies are not ours.
func buildPeers(ctx context.Context, cache string) (telegraf, decoder string, err error) {
	if cache, err = filepath.Abs(cache); err != nil {
		return "", "", err
	}
	telegraf, decoder = filepath.Join(cache, "telegraf"), filepath.Join(cache, "peers-decode")
	for _, arguments := range [][]string{
		{"-tags", telegrafTags, "-o", telegraf, "github.com/influxdata/telegraf/cmd/telegraf"},
		{"-o", decoder, "./decode"},
	} {
		build := exec.CommandContext(ctx, "go", append([]string{"build", "-C", "bench/peers"}, arguments...)...)
		if out, err := build.CombinedOutput(); err != nil {
			return "", "", fmt.Errorf("build %s: %w\n%s", arguments[len(arguments)-1], err, out)
		}
	}
	return telegraf, decoder, nil
}
