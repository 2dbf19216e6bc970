// Package tables writes the content of a store and the findings as Parquet files, one a
// table, for query engines.
//
// Columns have types that every engine supports: strings, integers, UTC times and booleans,
// without nesting. Unknown values are null. Digests are complete, "sha256:…". The help topic
// tables describes the columns, with queries in SQL.
//
// Rows are written as they are computed, by repository, in groups of limited size. So the
// memory besides the graph depends on the largest repository, and not on the number of rows.
package tables

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"regfsck/backend"
)

// blob is a row of the table blobs.
type blob struct {
	Digest   string    `parquet:"digest"`
	Bytes    int64     `parquet:"bytes"`
	Modified time.Time `parquet:"modified,optional,timestamp(microsecond)"`
	InGrace  bool      `parquet:"in_grace"`
	Provable bool      `parquet:"provable"`
}

// repository is a row of the table repositories.
type repository struct {
	Repository string    `parquet:"repository"`
	Pushed     time.Time `parquet:"pushed,optional,timestamp(microsecond)"`
	Pinned     bool      `parquet:"pinned"`
	PinnedBy   string    `parquet:"pinned_by,optional"`
}

// link is a row of the table links.
type link struct {
	Repository string    `parquet:"repository,dict"`
	Kind       string    `parquet:"kind,dict"`
	Tag        string    `parquet:"tag,optional"`
	Digest     string    `parquet:"digest,optional"`
	Names      string    `parquet:"names,optional"`
	Modified   time.Time `parquet:"modified,optional,timestamp(microsecond)"`
	InGrace    bool      `parquet:"in_grace"`
}

// tag is a row of the table tags.
type tag struct {
	Repository string    `parquet:"repository,dict"`
	Tag        string    `parquet:"tag"`
	Digest     string    `parquet:"digest,optional"`
	Pushed     time.Time `parquet:"pushed,optional,timestamp(microsecond)"`
	State      string    `parquet:"state,dict"`
	Because    string    `parquet:"because,optional"`
}

// held is a row of the table manifests: a manifest in a repository.
type held struct {
	Repository string `parquet:"repository,dict"`
	Digest     string `parquet:"digest"`
	Form       string `parquet:"form,optional,dict"`
	State      string `parquet:"state,dict"`
	Linked     bool   `parquet:"linked"`
}

// reference is a row of the table refs: a reference of a manifest.
type reference struct {
	Manifest string `parquet:"manifest"`
	Role     string `parquet:"role,dict"`
	Digest   string `parquet:"digest"`
	Read     bool   `parquet:"read"`
}

// use is a row of the table uses: a repository keeps a blob.
type use struct {
	Repository string `parquet:"repository,dict"`
	Digest     string `parquet:"digest"`
}

// found is a row of the table findings.
type found struct {
	Finding    string    `parquet:"finding,dict"`
	Severity   string    `parquet:"severity,dict"`
	Path       string    `parquet:"path"`
	Repository string    `parquet:"repository,optional"`
	Tag        string    `parquet:"tag,optional"`
	Digest     string    `parquet:"digest,optional"`
	Bytes      int64     `parquet:"bytes"`
	Modified   time.Time `parquet:"modified,optional,timestamp(microsecond)"`
	Detail     string    `parquet:"detail,optional"`
	InGrace    bool      `parquet:"in_grace"`
}

// Table is a table that was written.
type Table struct {
	Name  string // "blobs"
	Path  string
	Rows  int64
	Bytes int64
}

// Directory is the directory of the tables. They have temporary names until all are complete.
type Directory struct {
	path   string
	made   bool // created by Create
	files  []string
	tables []closer
	err    error // the first error; nothing is written after it
}

// closer is a table with any type of rows.
type closer interface {
	close() error
	keep() (Table, error)
}

// ErrNotEmpty is the error of Create for a directory that isn't empty.
var ErrNotEmpty = errors.New("it is not empty")

// Create creates a directory for tables, unless an empty one exists. Write or Discard must
// follow.
func Create(path string) (*Directory, error) {
	err := os.Mkdir(path, 0o777)
	if !errors.Is(err, fs.ErrExist) {
		return &Directory{path: path, made: true}, err
	}
	entries, err := os.ReadDir(path)
	if err == nil && len(entries) > 0 {
		err = ErrNotEmpty
	}
	return &Directory{path: path}, err
}

// Discard removes the tables, and the directory if Create made it. After a successful Write
// it does nothing.
func (d *Directory) Discard() {
	for _, name := range d.files {
		os.Remove(name)
	}
	if d.made {
		os.Remove(d.path) // fails if it isn't empty
	}
}

// maxRows is the most rows in memory.
const maxRows = 1 << 16

// table writes one table. It keeps the first error in its directory.
type table[T any] struct {
	dir  *Directory
	name string
	temp string
	file *os.File
	rows *parquet.GenericWriter[T]
	n    int64
	one  [1]T
}

// newTable creates the table of that name.
func newTable[T any](d *Directory, name string) *table[T] {
	t := &table[T]{dir: d, name: name, temp: filepath.Join(d.path, "."+name+".tmp")}
	if d.err != nil {
		return t
	}
	if t.file, d.err = os.OpenFile(t.temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666); d.err == nil {
		d.files, d.tables = append(d.files, t.temp), append(d.tables, t)
		t.rows = parquet.NewGenericWriter[T](t.file, parquet.Compression(&zstd.Codec{}), parquet.MaxRowsPerRowGroup(maxRows), parquet.CreatedBy("regfsck", "", ""))
	}
	return t
}

// add writes a row.
func (t *table[T]) add(row T) {
	if t.dir.err != nil {
		return
	}
	t.one[0] = row
	t.n++
	if _, err := t.rows.Write(t.one[:]); err != nil {
		t.dir.err = fmt.Errorf("table %s: %w", t.name, err)
	}
}

// close completes and syncs the table.
func (t *table[T]) close() error {
	err := t.rows.Close()
	if err == nil {
		err = t.file.Sync()
	}
	if err = backend.Join(err, t.file.Close()); err != nil {
		return fmt.Errorf("table %s: %w", t.name, err)
	}
	return nil
}

// keep renames the table to its name, once all are complete.
func (t *table[T]) keep() (Table, error) {
	to := filepath.Join(t.dir.path, t.name+".parquet")
	if err := os.Rename(t.temp, to); err != nil {
		return Table{}, err
	}
	t.dir.files = append(t.dir.files, to)
	info, err := os.Stat(to)
	if err != nil {
		return Table{}, err
	}
	return Table{t.name, to, t.n, info.Size()}, nil
}
