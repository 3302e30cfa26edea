package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// jdk is an installed JDK.
type jdk struct {
	home    string
	version int // 21 for Java 21
}

func (j jdk) java() string { return filepath.Join(j.home, "bin", "java") }

// Java versions: OpenSearch 3.x runs on wantedJava or later. OpenSearch 2.x and older run on
// leastJava to lastManagerJava, because they need the security manager, which Java 24 removed.
const (
	wantedJava      = 21
	leastJava       = 17
	lastManagerJava = 23
	anyJava         = math.MaxInt
)

// usualFolders are the folders in which systems and version managers install Java.
var usualFolders = []string{
	"/usr/lib/jvm/*",
	"/usr/lib64/jvm/*",
	"/usr/java/*",
	"/usr/local/openjdk-*",
	"/opt/java/*",
	"/opt/jdk*",
	"/Library/Java/JavaVirtualMachines/*/Contents/Home",
	"~/Library/Java/JavaVirtualMachines/*/Contents/Home",
	"/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
	"/usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
	"/home/linuxbrew/.linuxbrew/opt/openjdk*/libexec",
	"~/.sdkman/candidates/java/*",
	"~/.asdf/installs/java/*",
	"~/.local/share/mise/installs/java/*",
	"~/.jdks/*",
}

// findJDK returns the first Java in JAVA_HOME, on the PATH or in folders that runs OpenSearch 3,
// otherwise the first that runs OpenSearch 2. It skips versions after latest.
func findJDK(ctx context.Context, folders []string, latest int) (jdk, error) {
	var homes []string
	if home := os.Getenv("JAVA_HOME"); home != "" {
		homes = append(homes, home)
	}
	if onPath, err := exec.LookPath("java"); err == nil {
		if real, err := filepath.EvalSymlinks(onPath); err == nil {
			homes = append(homes, filepath.Dir(filepath.Dir(real)))
		}
	}
	user, err := os.UserHomeDir()
	for _, pattern := range folders {
		if strings.HasPrefix(pattern, "~/") {
			if err != nil {
				continue
			}
			pattern = filepath.Join(user, pattern[2:])
		}
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return jdk{}, fmt.Errorf("look for Java in %s: %w", pattern, err)
		}
		homes = append(homes, matches...)
	}

	var second jdk
	for _, home := range homes {
		version := javaVersion(ctx, home)
		if version > latest {
			continue
		}
		if version >= wantedJava {
			return jdk{home: home, version: version}, nil
		}
		if version >= leastJava && second.home == "" {
			second = jdk{home: home, version: version}
		}
	}
	if second.home == "" {
		return jdk{}, errors.New("no Java found for OpenSearch and DynamoDB Local: install a JDK 21 or later, or set JAVA_HOME to one")
	}
	return second, nil
}

var (
	releaseVersion = regexp.MustCompile(`(?m)^JAVA_VERSION="(?:1\.)?(\d+)`)
	printedVersion = regexp.MustCompile(`(?m) version "(?:1\.)?(\d+)`)
)

// javaVersion returns the version of the Java in a folder, or 0. It reads the release file, or
// runs java -version if the file does not exist.
func javaVersion(ctx context.Context, home string) int {
	java := jdk{home: home}.java()
	if info, err := os.Stat(java); err != nil || info.IsDir() {
		return 0
	}
	var match [][]byte
	if release, err := os.ReadFile(filepath.Join(home, "release")); err == nil { //nolint:gosec // the folders of Java are ours to choose
		match = releaseVersion.FindSubmatch(release)
	}
	if match == nil {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		printed, err := exec.CommandContext(ctx, java, "-version").CombinedOutput() //nolint:gosec // as above
		if err != nil {
			return 0
		}
		match = printedVersion.FindSubmatch(printed)
	}
	if match == nil {
		return 0
	}
	version, err := strconv.Atoi(string(match[1]))
	if err != nil {
		return 0
	}
	return version
}
