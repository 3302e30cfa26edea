package local

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// How archives of fetched servers are unpacked.

// maxUnpacked bounds the unpacked size of an archive in bytes. OpenSearch has 200 MB.
const maxUnpacked = 2 << 30

// unzip unpacks an archive into a folder. It strips the outermost folder and skips the folders
// in without. It fails for a path outside the folder, and if the files have more than limit
// bytes.
func unzip(archive, folder string, limit int64, without ...string) error {
	reader, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("open %s: %w", archive, err)
	}
	defer func() { _ = reader.Close() }()
	for _, f := range reader.File {
		_, path, _ := strings.Cut(f.Name, "/")
		if path == "" || below(path, without) {
			continue
		}
		if !filepath.IsLocal(path) {
			return fmt.Errorf("%s has the unsafe path %q", archive, f.Name)
		}
		n, err := unzipFile(f, filepath.Join(folder, path), limit)
		if err != nil {
			return fmt.Errorf("unpack %s of %s: %w", f.Name, archive, err)
		}
		limit -= n
	}
	return nil
}

func below(path string, folders []string) bool {
	for _, folder := range folders {
		if strings.HasPrefix(path, folder+"/") {
			return true
		}
	}
	return false
}

// unzipFile unpacks a file and returns the number of bytes written.
func unzipFile(f *zip.File, path string, limit int64) (int64, error) {
	if f.FileInfo().IsDir() {
		return 0, os.MkdirAll(path, 0o750)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return 0, err
	}
	in, err := f.Open()
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600) //nolint:gosec // unzip has checked the path
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(out, io.LimitReader(in, limit+1))
	if err == nil && n > limit {
		err = errors.New("the archive is larger than the limit")
	}
	return n, errors.Join(err, out.Close())
}
