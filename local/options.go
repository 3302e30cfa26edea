package local

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Options configure the servers.
type Options struct {
	// Cache is the folder for fetched servers. The default is LOGSLUICE_CACHE, or .cache in the
	// root folder of this module.
	Cache string
	// Log gets a line of text for each step that takes long.
	Log io.Writer
	// Version of OpenSearch to start instead of the default: 3.8.0, 2.19.4, 1.3.20, or 7.10.2
	// for Elasticsearch.
	Version string
	// Secured starts OpenSearch 3.4.0 with the security plugin: with TLS, authentication and
	// the user Admin.
	Secured bool
	// Heap size of OpenSearch in Java's syntax. The default is 1g.
	Heap string
	// FastStart makes OpenSearch start some seconds sooner and run slower afterwards: for tests,
	// not for benchmarks.
	FastStart bool
	// Settings of the OpenSearch node, which override those of this package.
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
			return o, fmt.Errorf("find the cache folder: %w: set %s to a folder", err, cacheVariable)
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

// moduleRoot returns the folder, or the nearest one above it, that has this module's go.mod,
// because tests run in the folders of their packages. Otherwise it returns the folder itself.
func moduleRoot(folder string) string {
	for at := folder; ; at = filepath.Dir(at) {
		mod, err := os.ReadFile(filepath.Join(at, "go.mod")) //nolint:gosec // folders above the working directory
		if err == nil && bytes.HasPrefix(mod, []byte("module logsluice\n")) {
			return at
		}
		if at == filepath.Dir(at) {
			return folder
		}
	}
}
