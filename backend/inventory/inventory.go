// Package inventory lists a store from a listing that exists already: an inventory that a
// cloud delivers each night, or the output of a tool.
//
// To list a large store takes long and is billed. Over returns a Reader that lists a store
// from a Table. Contents are still read from the store, and so are single keys and
// directories: a recheck reads the store itself. A listing doesn't show what was
// written or removed after it was made, so nothing may be removed because of it alone.
//
// The content of a link is derived from its ETag if that is the MD5 of the expected
// content, and the listing doesn't say that the link is encrypted in a way by which ETags
// are no MD5; else the link is read.
package inventory

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/backend/lister"
	"regfsck/walker/layout"
)

// Table is a listing in memory. It uses about 60 bytes for each key, besides the key
// itself.
type Table struct {
	// Made is when the listing was made; of several, the oldest. If Dated, the listing
	// itself says so; else it is the file's modification time, which a copy changes.
	Made  time.Time
	Dated bool

	keys []byte // of all rows, one after the other
	rows []row  // by key
}

// row is one key of a listing.
type row struct {
	at       int // offset of its key in keys
	length   uint32
	parts    uint16 // of the multipart upload that made it, by the ETag; 0 for none
	kind     kind
	sumKind  sumKind
	sum      [md5.Size]byte
	size     int64
	modified int64 // nanoseconds since 1970
}

// kind is what a key names.
type kind uint8

const (
	file         kind = iota
	archivedFile      // must be restored before it can be read
	directory
	symlink
	irregular
	replaced // below a directory that is listed from the store
)

// sumKind is the kind of sum that a row has.
type sumKind uint8

const (
	noSum  sumKind = iota
	anETag         // which may not be the content's MD5
	anMD5          // of the content; the ETag too if there is one
)

func (t *Table) bytes(r *row) []byte { return t.keys[r.at : r.at+int(r.length)] }

func (t *Table) key(r *row) string { return string(t.bytes(r)) }

// appendETag appends the ETag as a store returns it; nothing if the listing has none.
func (r *row) appendETag(to []byte) []byte {
	if r.sumKind == noSum {
		return to
	}
	to = hex.AppendEncode(to, r.sum[:])
	if r.parts > 0 {
		to = strconv.AppendUint(append(to, '-'), uint64(r.parts), 10)
	}
	return to
}

// add adds a row.
func (t *Table) add(key string, r row) {
	r.at, r.length = len(t.keys), uint32(len(key))
	t.keys = append(t.keys, key...)
	t.rows = append(t.rows, r)
}

// sort sorts the rows by key. Of a key that occurs several times, as when listings overlap,
// it keeps the row with the latest modification time.
func (t *Table) sort() {
	slices.SortFunc(t.rows, func(a, b row) int {
		return cmp.Or(bytes.Compare(t.bytes(&a), t.bytes(&b)), cmp.Compare(b.modified, a.modified))
	})
	t.rows = slices.CompactFunc(t.rows, func(a, b row) bool { return bytes.Equal(t.bytes(&a), t.bytes(&b)) })
}

// below returns the rows of keys below a directory.
func (t *Table) below(prefix string) []row {
	from := func(key string) int {
		return sort.Search(len(t.rows), func(i int) bool { return string(t.bytes(&t.rows[i])) >= key })
	}
	return t.rows[from(prefix+"/"):from(prefix+"0")] // '0' follows '/'
}

// Over returns a Reader that lists blobs and repositories from a table. Everything else
// is read from r, at most workers files in parallel; 0 means 16. A request to list the store
// itself returns perRequest keys.
func Over(r backend.OpenedReader, t *Table, workers, perRequest int) *Reader {
	return &Reader{OpenedReader: r, table: t, workers: cmp.Or(workers, defaultWorkers), perRequest: perRequest}
}

// defaultWorkers is how many files are read at once by default.
const defaultWorkers = 16

// Reader lists a store from a table.
type Reader struct {
	backend.OpenedReader
	// Comparison is set by List of all repositories, once for the Reader; nil before.
	Comparison *Comparison

	faults              []backend.Fault // for Comparison.Lacking
	table               *Table
	workers, perRequest int
}

// Stats implements backend.Stater.
func (r *Reader) Stats(ctx context.Context, keys []string) ([]backend.Item, []error) {
	return backend.Stats(ctx, r.OpenedReader, keys)
}

// Uploads implements backend.Multipart. A store without multipart uploads has none.
func (r *Reader) Uploads(ctx context.Context, each func(backend.Upload) error) error {
	if m, ok := r.OpenedReader.(backend.Multipart); ok {
		return m.Uploads(ctx, each)
	}
	return nil
}

// Rules implements backend.Describer. A store that isn't a Describer has none.
func (r *Reader) Rules(ctx context.Context) ([]backend.Rule, error) {
	if d, ok := r.OpenedReader.(backend.Describer); ok {
		return d.Rules(ctx)
	}
	return nil, nil
}

// List implements backend.Reader. Only listings of all blobs or all repositories use
// the table: any other is a recheck, which needs the store itself.
func (r *Reader) List(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	if prefix != layout.Blobs && prefix != layout.Repositories {
		return r.OpenedReader.List(ctx, prefix, expect, each)
	}
	rows := r.table.below(prefix)
	if len(rows) == 0 {
		if there, err := r.Names(ctx, prefix); err == nil && len(there) > 0 {
			return fmt.Errorf("the listing names nothing below %s, but the store has files there: the listing was cut, or is of another store", prefix)
		}
		return &fs.PathError{Op: "list", Path: prefix, Err: fmt.Errorf("%w: the listing has no such keys", fs.ErrNotExist)}
	}
	if prefix == layout.Repositories {
		if err := r.listLacking(ctx, rows, expect, each); err != nil {
			return err
		}
	}
	files := false
	for i := range rows {
		files = files || rows[i].kind <= archivedFile
		err := ctx.Err()
		if b := r.table.other(&rows[i]); err == nil && len(b.Items)+len(b.Faults) > 0 {
			err = each(b)
		}
		if err != nil {
			return err
		}
	}
	if !files {
		return nil
	}
	l := lister.Lister{
		Page: func(_ context.Context, q lister.Request, p *lister.Page) error {
			r.table.page(rows, q, p)
			return nil
		},
		Read: r.read, Old: true, Proven: func(int) {}, Marker: func(string) {},
		Name: "the listing", Workers: 1, Readers: r.workers, PageSize: pageSize,
	}
	return l.List(ctx, prefix, expect, each)
}

// listLacking compares the table with the store, lists from the store what the table lacks,
// and passes faults for what would take too many requests.
func (r *Reader) listLacking(ctx context.Context, rows []row, expect backend.HintFunc, each func(backend.Batch) error) error {
	if r.Comparison == nil {
		faults, err := r.compare(ctx, rows)
		if err != nil {
			return err
		}
		r.faults = faults
	}
	for _, dir := range r.Comparison.Listed {
		err := r.OpenedReader.List(ctx, dir, expect, each)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(r.faults) == 0 {
		return nil
	}
	return each(backend.Batch{Dir: layout.Repositories, Faults: r.faults})
}

// pageSize is how many rows are in a page. What a page doesn't prove is read in parallel.
const pageSize = 4096

// other returns the batch of a row that is neither a file nor a directory of others.
func (t *Table) other(r *row) (b backend.Batch) {
	key := t.key(r)
	dir, name := backend.SplitKey(key)
	b.Dir = dir
	switch {
	case r.kind == directory && len(t.below(key)) == 0:
		b.Items = []backend.Item{{Name: name + "/", Modified: r.modified}}
	case r.kind == symlink:
		b.Faults = []backend.Fault{{Key: key, Err: backend.ErrSymlink}}
	case r.kind == irregular:
		b.Faults = []backend.Fault{{Key: key, Err: backend.ErrIrregular}}
	}
	return b
}

// page sets p to the files in rows after q.After.
func (t *Table) page(rows []row, q lister.Request, p *lister.Page) {
	p.Objects, p.Body = p.Objects[:0], p.Body[:0]
	at := sort.Search(len(rows), func(i int) bool { return string(t.bytes(&rows[i])) > q.After })
	for ; at < len(rows) && len(p.Objects) < pageSize; at++ {
		r := &rows[at]
		if r.kind > archivedFile {
			continue
		}
		from := len(p.Body)
		p.Body = r.appendETag(p.Body)
		p.Objects = append(p.Objects, lister.Object{
			Key: t.bytes(r), ETag: p.Body[from:], Size: r.size, Modified: r.modified,
			Archived: r.kind == archivedFile, NoMD5: r.sumKind != anMD5,
		})
	}
	p.Truncated = at < len(rows)
}

// read opens a file, unless it is archived, and returns the item of its row.
func (r *Reader) read(ctx context.Context, key string, _ int) (io.ReadCloser, backend.Item, error) {
	i, _ := slices.BinarySearchFunc(r.table.rows, key, func(at row, key string) int {
		return strings.Compare(string(r.table.bytes(&at)), key)
	})
	is := &r.table.rows[i]
	if is.kind == archivedFile {
		return nil, backend.Item{}, backend.ErrArchived
	}
	f, err := r.Open(ctx, key)
	return f, backend.Item{Size: is.size, Modified: is.modified, ETag: string(is.appendETag(nil))}, err
}
