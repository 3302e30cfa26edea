package deploy

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// image is one image of an OCI layout on disk.
// See https://github.com/opencontainers/image-spec/blob/main/image-layout.md.
type image struct {
	config imageConfig
	size   int64           // total of its compressed layers
	files  map[string]file // by name, without folders
}

type file struct {
	mode os.FileMode
	data []byte
}

// imageConfig is the configuration of an image in Docker's format.
type imageConfig struct {
	Architecture string
	OS           string
	Config       struct {
		User         string
		Env          []string
		Entrypoint   []string
		Cmd          []string
		ExposedPorts map[string]struct{}
		Labels       map[string]string
		Healthcheck  struct {
			Test                           []string
			Interval, Timeout, StartPeriod time.Duration
			Retries                        int
		}
	}
}

// descriptor refers to a blob of a layout.
type descriptor struct {
	MediaType string
	Digest    string
	Size      int64
}

// readLayout returns the images of a layout by platform.
func readLayout(t *testing.T, folder string) map[string]*image {
	t.Helper()
	read := func(d descriptor, into any) {
		t.Helper()
		data, err := os.ReadFile(blob(folder, d))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	var index, list struct{ Manifests []descriptor }
	data, err := os.ReadFile(filepath.Join(folder, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &index); err != nil || len(index.Manifests) != 1 {
		t.Fatalf("%v: %s", err, data)
	}
	read(index.Manifests[0], &list)
	images := make(map[string]*image)
	for _, d := range list.Manifests {
		var manifest struct {
			Config descriptor
			Layers []descriptor
		}
		read(d, &manifest)
		one := &image{files: make(map[string]file)}
		read(manifest.Config, &one.config)
		for _, layer := range manifest.Layers {
			one.size += layer.Size
			one.addLayer(t, blob(folder, layer))
		}
		images[one.config.OS+"/"+one.config.Architecture] = one
	}
	return images
}

func blob(folder string, d descriptor) string {
	return filepath.Join(folder, "blobs", filepath.FromSlash(strings.Replace(d.Digest, ":", "/", 1)))
}

func (i *image) addLayer(t *testing.T, path string) {
	t.Helper()
	packed, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	plain, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatalf("layer %s: %v", path, err)
	}
	for entries := tar.NewReader(plain); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		data, err := io.ReadAll(entries)
		if err != nil {
			t.Fatal(err)
		}
		i.files[header.Name] = file{header.FileInfo().Mode(), data}
	}
}

// unpack writes the image's files into a folder.
func (i *image) unpack(t *testing.T, folder string) {
	t.Helper()
	for name, f := range i.files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.data, f.mode.Perm()); err != nil {
			t.Fatal(err)
		}
	}
}
