package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeJava creates a Java in a folder. Its version is in a release file, or printed by java
// -version.
func fakeJava(t *testing.T, home, release, printed string) {
	t.Helper()
	script := "#!/bin/sh\nexit 1\n"
	if printed != "" {
		script = "#!/bin/sh\necho '" + printed + "' >&2\n"
	}
	writeFile(t, filepath.Join(home, "bin", "java"), script, 0o755)
	if release != "" {
		writeFile(t, filepath.Join(home, "release"), release, 0o644)
	}
}

func writeFile(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func release(version string) string {
	return "IMPLEMENTOR=\"Debian\"\nJAVA_VERSION=\"" + version + "\"\nOS_NAME=\"Linux\"\n"
}

func TestFindJDK_Success(t *testing.T) {
	// Java of the versions in JAVA_HOME, on the PATH and in folders; "" for none.
	f := func(inHome, onPath string, inFolders []string, want string, wantVersion int) {
		t.Helper()
		root := t.TempDir()
		t.Setenv("JAVA_HOME", "")
		t.Setenv("PATH", filepath.Join(root, "bin"))
		t.Setenv("HOME", root)
		if inHome != "" {
			fakeJava(t, filepath.Join(root, "java-home"), release(inHome), "")
			t.Setenv("JAVA_HOME", filepath.Join(root, "java-home"))
		}
		if onPath != "" {
			fakeJava(t, filepath.Join(root, "on-path"), release(onPath), "")
			if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(root, "on-path", "bin", "java"), filepath.Join(root, "bin", "java")); err != nil {
				t.Fatal(err)
			}
		}
		for _, version := range inFolders {
			fakeJava(t, filepath.Join(root, ".sdkman/candidates/java", version), release(version), "")
		}
		got, err := findJDK(t.Context(), []string{"/no/such/folder/*", "~/.sdkman/candidates/java/*"}, anyJava)
		if err != nil {
			t.Errorf("%s: %v", want, err)
			return
		}
		if path, _ := filepath.Rel(root, got.home); path != want || got.version != wantVersion {
			t.Errorf("got Java %d in %s, want %d in %s", got.version, path, wantVersion, want)
		}
	}
	f("25.0.1", "21.0.1", []string{"22"}, "java-home", 25)
	f("", "21.0.1", []string{"22"}, "on-path", 21)
	f("", "", []string{"22"}, ".sdkman/candidates/java/22", 22)
	// A newer Java is preferred to an old one that is found first.
	f("17.0.15", "11.0.2", []string{"1.8.0_402", "21.0.3"}, ".sdkman/candidates/java/21.0.3", 21)
	f("11", "20", []string{"25"}, ".sdkman/candidates/java/25", 25)
	// An old one is used if there is nothing better.
	f("17.0.15", "", []string{"11.0.2"}, "java-home", 17)
	f("", "20.0.2", []string{"17"}, "on-path", 20)
}

func TestFindJDK_Failure(t *testing.T) {
	f := func(versions ...string) {
		t.Helper()
		root := t.TempDir()
		t.Setenv("JAVA_HOME", filepath.Join(root, "gone"))
		t.Setenv("PATH", root)
		for _, version := range versions {
			fakeJava(t, filepath.Join(root, "jvm", version), release(version), "")
		}
		got, err := findJDK(t.Context(), []string{filepath.Join(root, "jvm", "*")}, anyJava)
		if err == nil || !strings.Contains(err.Error(), "install a JDK 21") {
			t.Errorf("Java %v: got %v, %v; want an error with what to install", versions, got, err)
		}
	}
	f()
	f("11.0.2", "1.8.0_402", "16")
}

func TestJavaVersion(t *testing.T) {
	f := func(release, printed string, want int) {
		t.Helper()
		home := t.TempDir()
		fakeJava(t, home, release, printed)
		if got := javaVersion(t.Context(), home); got != want {
			t.Errorf("release %q, printed %q: got %d, want %d", release, printed, got, want)
		}
	}
	f(release("21.0.4"), "", 21)
	f(release("25"), "", 25)
	f(release("1.8.0_402"), "", 8)
	f("", `openjdk version "17.0.15" 2025-04-15`, 17)
	f("", "Picked up JAVA_TOOL_OPTIONS: -Dx=y\nopenjdk version \"21\" 2023-09-19", 21)
	f("", `java version "1.8.0_402"`, 8)
	f("SOURCE=\".\"\n", `openjdk version "22.0.1"`, 22)
	// The stub that macOS has if Java is not installed.
	f("", "The operation couldn't be completed. Unable to locate a Java Runtime.", 0)
	f("", "", 0)
	if got := javaVersion(t.Context(), t.TempDir()); got != 0 {
		t.Errorf("an empty folder: got %d, want 0", got)
	}
}
