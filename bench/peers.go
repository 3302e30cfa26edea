package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// The peers are built from their own module (bench/peers), so that logsluice does not get their
// dependencies.

// telegrafTags are the plugins that Telegraf is built with.
const telegrafTags = "custom,inputs.kinesis_consumer,outputs.opensearch,parsers.json_v2"

// buildPeers builds Telegraf and bench/peers/decode, and returns the paths of the programs.
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
