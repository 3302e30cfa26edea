package local

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Options say where servers are kept and how they run.
type Options struct {
	// Cache is the folder for what is fetched. Empty: LOGSLUICE_CACHE, or else
	// .cache in the root folder of this module.
	Cache string
	// Log gets a line for each thing that takes a while, for a person to read.
	Log io.Writer
	// Version of OpenSearch to start in place of the usual one: 3.8.0, 2.19.4,
	// 1.3.20, or 7.10.2 for Elasticsearch.
	Version string
	// Secured starts OpenSearch 3.4.0 with the security plugin: it has TLS, the
	// user Admin, and asks who sends a request.
	Secured bool
	// Heap of OpenSearch, as Java spells sizes; 1g if empty.
	Heap string
	// FastStart starts OpenSearch some seconds sooner and makes it slower after:
	// for tests, not for benchmarks.
	FastStart bool
	// Settings of the OpenSearch node beside ours, or in place of them.
	Settings map[string]string
}

// cacheVariable names the cache folder in the environment.
const cacheVariable = "LOGSLUICE_CACHE"

func (o Options) complete() (Options, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Heap == "" {
		o.Heap = "1g"
	}
	if o.Cache == "" {
		o.Cache = os.Getenv(cacheVariable)
	}
	if o.Cache == "" {
		here, err := os.Getwd()
		if err != nil {
			return o, fmt.Errorf("find the cache folder, which %s can name: %w", cacheVariable, err)
		}
		o.Cache = filepath.Join(moduleRoot(here), ".cache")
	}
	cache, err := filepath.Abs(o.Cache)
	if err != nil {
		return o, fmt.Errorf("find the cache folder %s: %w", o.Cache, err)
	}
	o.Cache = cache
	return o, nil
}

// moduleRoot is the folder at or above one that has our go.mod, because tests
// run in the folders of their packages; the folder itself if there is none.
func moduleRoot(folder string) string {
	for at := folder; ; at = filepath.Dir(at) {
		mod, err := os.ReadFile(filepath.Join(at, "go.mod")) //nolint:gosec // of folders we are in
		if err == nil && bytes.HasPrefix(mod, []byte("module logsluice\n")) {
			return at
		}
		if at == filepath.Dir(at) {
			return folder
		}
	}
}
