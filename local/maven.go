package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// How Maven fetches OpenSearch and DynamoDB Local.

// dependencyPlugin fetches artifacts from Maven's repository.
const dependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:"

// maven runs a goal of the dependency plugin. If it fails, the error has Maven's reason.
func maven(ctx context.Context, java jdk, folder, goal string, args ...string) error {
	path, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("mvn was not found: install Maven, which fetches the servers")
	}
	//nolint:gosec // our own arguments
	mvn := exec.CommandContext(ctx, path, append([]string{"-q", "-B", "-Dstyle.color=never", dependencyPlugin + goal}, args...)...)
	mvn.Dir = folder
	mvn.WaitDelay = 5 * time.Second
	mvn.Env = os.Environ()
	if os.Getenv("JAVA_HOME") == "" {
		mvn.Env = append(mvn.Env, "JAVA_HOME="+java.home)
	}
	out, err := mvn.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("mvn: %w: %s", err, mavenReason(string(out)))
	}
	return nil
}

// mavenReason extracts why Maven failed from its output, which also has warnings and advice.
func mavenReason(out string) string {
	reason, _, _ := strings.Cut(out, "-> [Help 1]")
	if _, after, ok := strings.Cut(reason, "[ERROR] "); ok {
		reason = after
	}
	return lastLines(reason, 5)
}

// lastLines joins the last n lines of a text to one line.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], " | ")
}
