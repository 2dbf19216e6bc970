package main

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/gzip"
)

// file is a file of an archive or an image.
type file struct {
	name string // with slashes, relative
	mode int64
	body []byte
}

// archives writes one archive for each platform: the program, its licence, its
// documentation, manual pages and completions, manifests for Kubernetes, and for Linux the
// units.
func archives(_ context.Context, r *release) error {
	for _, b := range r.programs {
		top := fmt.Sprintf("regfsck_%s_%s_%s", r.version, b.os, b.arch)
		files, err := r.archived(b)
		if err != nil {
			return err
		}
		for i := range files {
			files[i].name = path.Join(top, files[i].name)
		}
		ending, write := ".tar.gz", r.tarball
		if b.os == "windows" {
			ending, write = ".zip", r.zip
		}
		if err := written(filepath.Join(r.out, top+ending), files, write); err != nil {
			return err
		}
	}
	return nil
}

// archived returns the files of a platform's archive.
func (r *release) archived(b program) (files []file, err error) {
	add := func(name, from string, mode int64) {
		body, readErr := os.ReadFile(from)
		if err == nil {
			err = readErr
		}
		files = append(files, file{name, mode, body})
	}
	add(filepath.Base(b.path), b.path, 0o755)
	for _, name := range []string{"LICENSE", "README.md"} {
		add(name, filepath.Join(r.source, name), 0o644)
	}
	for _, m := range r.manifests {
		files = append(files, file{"kubernetes/" + m.name, m.mode, m.body})
	}
	if b.os == "linux" {
		for _, name := range units {
			add("systemd/"+name, r.beside("systemd", name), 0o644)
		}
	}
	if b.os != "windows" {
		for _, page := range r.pages {
			files = append(files, file{"share/" + page.name, page.mode, page.body})
		}
	}
	return files, err
}

// beside returns the path of a file in this program's source directory.
func (r *release) beside(names ...string) string {
	return filepath.Join(append([]string{r.source, "cmd", "dist"}, names...)...)
}

// written makes an archive of files, sorted by name.
func written(path string, files []file, write func(io.Writer, []file) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	err = write(f, files)
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// tarball writes a compressed tar.
func (r *release) tarball(w io.Writer, files []file) error {
	z := gzip.NewWriter(w)
	if err := r.tar(z, files); err != nil {
		return err
	}
	return z.Close()
}

// tar writes files, owned by root, with the time of the release.
func (r *release) tar(w io.Writer, files []file) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.body)), ModTime: r.time, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(f.body); err != nil {
			return err
		}
	}
	return t.Close()
}

// zip writes a zip archive, which Windows can unpack.
func (r *release) zip(w io.Writer, files []file) error {
	z := zip.NewWriter(w)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: r.time}
		h.SetMode(os.FileMode(f.mode))
		to, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := to.Write(f.body); err != nil {
			return err
		}
	}
	return z.Close()
}
