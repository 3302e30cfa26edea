package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// jdk is an installed Java.
type jdk struct {
	home    string
	version int // 21 for Java 21
}

func (j jdk) java() string { return filepath.Join(j.home, "bin", "java") }

// Java versions that OpenSearch runs on: 3.x, and 2.x.
const (
	wantedJava = 21
	leastJava  = 17
)

// usualFolders are where systems and version managers put Java.
var usualFolders = []string{
	"/usr/lib/jvm/*",
	"/usr/java/*",
	"/usr/local/openjdk-*",
	"/opt/java/*",
	"/opt/jdk*",
	"/Library/Java/JavaVirtualMachines/*/Contents/Home",
	"/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
	"/usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
	"~/.sdkman/candidates/java/*",
	"~/.asdf/installs/java/*",
	"~/.local/share/mise/installs/java/*",
	"~/.jdks/*",
}

// findJDK looks in JAVA_HOME, on the PATH and in the folders, in this order,
// for a Java that runs OpenSearch 3; where there is none, for one that runs
// OpenSearch 2.
func findJDK(javaHome string, folders []string) (jdk, error) {
	var found []jdk
	add := func(home string) {
		if version := javaVersion(home); version > 0 {
			found = append(found, jdk{home: home, version: version})
		}
	}
	if javaHome != "" {
		add(javaHome)
	}
	if onPath, err := exec.LookPath("java"); err == nil {
		if real, err := filepath.EvalSymlinks(onPath); err == nil {
			add(filepath.Dir(filepath.Dir(real)))
		}
	}
	user, _ := os.UserHomeDir()
	for _, pattern := range folders {
		if pattern[0] == '~' {
			pattern = filepath.Join(user, pattern[1:])
		}
		homes, err := filepath.Glob(pattern)
		if err != nil {
			return jdk{}, fmt.Errorf("look for Java: %w", err)
		}
		for _, home := range homes {
			add(home)
		}
	}
	for _, least := range []int{wantedJava, leastJava} {
		for _, j := range found {
			if j.version >= least {
				return j, nil
			}
		}
	}
	return jdk{}, errors.New("no Java found for OpenSearch: install a JDK 21 or later, or set JAVA_HOME to one")
}

var releaseVersion = regexp.MustCompile(`(?m)^JAVA_VERSION="(?:1\.)?(\d+)`)

// javaVersion reads the version of an installed Java from its release file, 0
// if there is none.
func javaVersion(home string) int {
	if info, err := os.Stat(filepath.Join(home, "bin", "java")); err != nil || info.IsDir() {
		return 0
	}
	release, err := os.ReadFile(filepath.Join(home, "release"))
	if err != nil {
		return 0
	}
	match := releaseVersion.FindSubmatch(release)
	if match == nil {
		return 0
	}
	version, _ := strconv.Atoi(string(match[1]))
	return version
}
