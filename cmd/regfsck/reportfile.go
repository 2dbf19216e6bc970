package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regfsck/backend"
	"regfsck/cmd/regfsck/target"
)

// reportFile is a file of --report. It stands under another name beside its
// place until it is whole.
type reportFile struct {
	path string
	temp *os.File
}

// formsOf returns the endings of the reports that a command can write.
func formsOf(command string) []string {
	if command == "ls" {
		return []string{".json", ".csv"}
	}
	return []string{".json"}
}

// checkForms refuses files whose ending names no form of a report.
func checkForms(paths, forms []string) error {
	for _, path := range paths {
		if slices.Contains(forms, filepath.Ext(path)) {
			continue
		}
		are := "is the one there is"
		if len(forms) > 1 {
			are = "are those there are"
		}
		return misuse("", "--report %s: the ending says in which form a report is written, and %s %s", path, strings.Join(forms, " and "), are)
	}
	return nil
}

// createReport begins a report that is to stand at path. It refuses a place in
// the store, or in a followed part of it.
func createReport(path string, t target.Target, follow []string) (*reportFile, error) {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, unwritable(path, err)
	}
	parts := []string{t.Root}
	if t.Bucket != nil { // no place for files
		parts = nil
	}
	for _, part := range append(parts, follow...) {
		if !filepath.IsAbs(part) {
			part = t.Path(part)
		}
		if within(dir, part) {
			return nil, fmt.Errorf("%s: this is inside the store; name a place outside of it", path)
		}
	}
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: there is something that is no file", path)
	}
	name := fmt.Sprintf(".%s.%d.tmp", filepath.Base(path), os.Getpid())
	temp, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, unwritable(path, err)
	}
	return &reportFile{filepath.Join(dir, filepath.Base(path)), temp}, nil
}

// within reports whether path is a directory or stands inside it.
func within(path, dir string) bool {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(real, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// keep lets the report be written and puts it in its place.
func (f *reportFile) keep(write func(io.Writer) error) error {
	err := write(f.temp)
	if err == nil {
		err = f.temp.Sync()
	}
	err = backend.Join(err, f.temp.Close())
	if err == nil {
		err = os.Rename(f.temp.Name(), f.path)
	}
	if err != nil {
		return unwritable(f.path, err)
	}
	return nil
}

// discard removes a report that was not kept; one that was is not touched.
func (f *reportFile) discard() {
	f.temp.Close()
	os.Remove(f.temp.Name())
}

// unwritable says why a report can't be written.
func unwritable(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("%s can't be written: %w", path, err)
}

// unreadable says why a file can't be read.
func unreadable(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("%s can't be read: %w", path, err)
}
