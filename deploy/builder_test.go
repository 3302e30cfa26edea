//go:build linux

package deploy

import (
	"bytes"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// builder builds images with buildah in its own storage.
type builder struct {
	t      *testing.T
	folder string
	env    []string
}

// newBuilder skips the test without buildah, even if other tests must not be skipped: machines
// with Go and Java often lack it. .ci/run installs it if possible, and otherwise reports that.
func newBuilder(t *testing.T) *builder {
	t.Helper()
	if _, err := exec.LookPath("buildah"); err != nil {
		t.Skip("needs buildah: apt-get install buildah")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, for buildah --isolation chroot")
	}
	folder, err := os.MkdirTemp("", "logsluice-image-")
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{t: t, folder: folder}
	t.Cleanup(b.remove)
	conf := filepath.Join(folder, "storage.conf")
	b.env = append(os.Environ(), "CONTAINERS_STORAGE_CONF="+conf, "BUILDAH_ISOLATION=chroot", "TMPDIR="+folder)
	// Not all file systems support overlays.
	for _, driver := range []string{"overlay", "vfs"} {
		b.write("storage.conf", "[storage]\ndriver = \""+driver+"\"\ngraphroot = \""+folder+"/"+driver+"\"\nrunroot = \""+folder+"/run-"+driver+"\"\n")
		probe := exec.CommandContext(t.Context(), "buildah", "from", "--name", "probe", "scratch")
		probe.Env = b.env
		if out, err := probe.CombinedOutput(); err != nil {
			t.Logf("no %s here: %v: %s", driver, err, out)
			continue
		}
		b.buildah("mount", "probe")
		b.buildah("rm", "probe")
		return b
	}
	t.Fatal("buildah has no storage here")
	return nil
}

func (b *builder) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.folder, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// run runs a command in the repository's root and returns its output.
func (b *builder) run(name string, args ...string) string {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), name, args...)
	cmd.Dir, cmd.Env = "..", b.env
	var out, all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &all
	if err := cmd.Run(); err != nil {
		b.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.Bytes(), all.Bytes())
	}
	return strings.TrimSpace(out.String())
}

func (b *builder) buildah(args ...string) string {
	b.t.Helper()
	return b.run("buildah", args...)
}

// makeGolang builds an image with the name of the base image, because the test uses no registry.
// It has a shell, settings for this machine's Go, and certificates, including that of httptest's
// TLS servers.
func (b *builder) makeGolang() {
	b.t.Helper()
	b.buildah("from", "--name", "golang", "scratch")
	root := b.buildah("mount", "golang")
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		b.t.Fatal(err)
	}
	files := map[string]string{"/bin/sh": shell}
	for _, word := range strings.Fields(b.run("ldd", shell)) {
		if filepath.IsAbs(word) {
			files[word] = word
		}
	}
	for to, from := range files {
		b.run("install", "-D", from, root+to)
	}
	b.run("mkdir", "-p", root+"/usr/local/go", root+"/tmp", root+"/etc/ssl/certs")

	bundle, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		b.t.Fatal(err)
	}
	server := httptest.NewTLSServer(nil)
	server.Close()
	bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})...)
	if err := os.WriteFile(root+"/etc/ssl/certs/ca-certificates.crt", bundle, 0o644); err != nil {
		b.t.Fatal(err)
	}

	b.buildah("umount", "golang")
	config := []string{"config", "--env", "PATH=/usr/local/go/bin:/bin", "--env", "GOMODCACHE=/machine/modules", "--env", "GOCACHE=/machine/cache"}
	for _, name := range []string{"GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOFLAGS"} {
		config = append(config, "--env", name+"="+b.run("go", "env", name))
	}
	b.buildah(append(config, "golang")...)
	b.buildah("commit", "--quiet", "--format", "docker", "--rm", "golang", "docker.io/library/golang:1.26")
}

// makeImage runs `make image` with the base image, this machine's Go and caches, and additional
// flags for the builder. It returns a folder with the layout that it would push.
func (b *builder) makeImage(name, flags string, variables ...string) string {
	b.t.Helper()
	flags += " --pull-never"
	for name, at := range map[string]string{"GOROOT": "/usr/local/go", "GOMODCACHE": "/machine/modules", "GOCACHE": "/machine/cache"} {
		flags += " --volume " + b.run("go", "env", name) + ":" + at
	}
	args := append([]string{"image", "BUILDER=buildah", "IMAGE=" + name, "IMAGE_FLAGS=" + flags}, variables...)
	b.run("make", args...)
	layout := filepath.Join(b.folder, "layout-"+name)
	b.buildah("manifest", "push", "--quiet", "--all", "--format", "v2s2", name, "oci:"+layout)
	return layout
}

// remove removes everything. It first unmounts all mounts in the folder, so that files of this
// machine are not removed through them.
func (b *builder) remove() {
	for _, mount := range b.mounts() {
		if err := syscall.Unmount(mount, syscall.MNT_DETACH); err != nil {
			b.t.Errorf("unmount %s: %v", mount, err)
		}
	}
	if left := b.mounts(); len(left) > 0 {
		b.t.Errorf("still mounted, and so not removed: %v", left)
		return
	}
	if err := os.RemoveAll(b.folder); err != nil {
		b.t.Error(err)
	}
}

// mounts returns the mount points in the folder, the innermost first.
func (b *builder) mounts() []string {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		b.t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], b.folder+"/") {
			found = append([]string{fields[4]}, found...)
		}
	}
	return found
}

// platform is the platform of this machine.
const platform = "linux/" + runtime.GOARCH
