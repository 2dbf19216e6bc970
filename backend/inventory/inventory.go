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
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
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
	emptyDirectory
	symlink
	irregular
)

// sumKind is the kind of sum that a row has.
type sumKind uint8

const (
	noSum  sumKind = iota
	anETag         // which may not be the content's MD5
	anMD5          // of the content; the ETag too if there is one
)

func (t *Table) key(r *row) string { return string(t.keys[r.at : r.at+int(r.length)]) }

// etag returns the ETag as a store returns it; "" if the listing has none.
func (r *row) etag() string {
	switch {
	case r.sumKind == noSum:
		return ""
	case r.parts > 0:
		return fmt.Sprintf("%x-%d", r.sum, r.parts)
	}
	return hex.EncodeToString(r.sum[:])
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
	of := func(r *row) []byte { return t.keys[r.at : r.at+int(r.length)] }
	slices.SortFunc(t.rows, func(a, b row) int {
		return cmp.Or(bytes.Compare(of(&a), of(&b)), cmp.Compare(b.modified, a.modified))
	})
	t.rows = slices.CompactFunc(t.rows, func(a, b row) bool { return bytes.Equal(of(&a), of(&b)) })
}

// below returns the rows of keys below a directory.
func (t *Table) below(prefix string) []row {
	from := sort.Search(len(t.rows), func(i int) bool { return t.key(&t.rows[i]) >= prefix+"/" })
	until := sort.Search(len(t.rows), func(i int) bool { return t.key(&t.rows[i]) >= prefix+"0" }) // '0' follows '/'
	return t.rows[from:until]
}

// Over returns a Reader that lists blobs and repositories from a table. Everything else
// is read from r, at most workers files in parallel; 0 means 16.
func Over(r backend.OpenedReader, t *Table, workers int) backend.OpenedReader {
	return &reader{OpenedReader: r, table: t, workers: cmp.Or(workers, defaultWorkers)}
}

// defaultWorkers is how many files are read at once by default.
const defaultWorkers = 16

// reader lists a store from a table.
type reader struct {
	backend.OpenedReader
	table   *Table
	workers int
}

// Stats implements backend.Stater.
func (r *reader) Stats(ctx context.Context, keys []string) ([]backend.Item, []error) {
	return backend.Stats(ctx, r.OpenedReader, keys)
}

// Uploads implements backend.Multipart. A store without multipart uploads has none.
func (r *reader) Uploads(ctx context.Context, each func(backend.Upload) error) error {
	if m, ok := r.OpenedReader.(backend.Multipart); ok {
		return m.Uploads(ctx, each)
	}
	return nil
}

// Rules implements backend.Describer. A store that isn't a Describer has none.
func (r *reader) Rules(ctx context.Context) ([]backend.Rule, error) {
	if d, ok := r.OpenedReader.(backend.Describer); ok {
		return d.Rules(ctx)
	}
	return nil, nil
}

// List implements backend.Reader. Only listings of all blobs or all repositories use
// the table: any other is a recheck, which needs the store itself.
func (r *reader) List(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
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
	p := pass{reader: r, prefix: prefix, expect: expect, each: each, targets: map[[md5.Size]byte]string{}}
	for i := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.add(ctx, &rows[i]); err != nil {
			return err
		}
	}
	return p.flush(ctx)
}

// pass is one listing of the table.
type pass struct {
	*reader
	prefix string
	expect backend.HintFunc
	each   func(backend.Batch) error

	outer string // the last argument of expect, its result, and whether there is one
	leaf  backend.Hint
	asked bool

	repository string
	targets    map[[md5.Size]byte]string // contents of the repository's links, by their MD5

	batches []backend.Batch
	items   int
	todo    []todo
}

// todo is an item whose content must be read.
type todo struct {
	batch, item int
	key         string
	read        int
}

// maxItems is how many items are collected before they are passed to each. Their contents
// are read in parallel.
const maxItems = 4096

// maxInBatch is how many items a batch has at most.
const maxInBatch = 512

func (p *pass) add(ctx context.Context, r *row) error {
	if p.items >= maxItems {
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	key := p.table.key(r)
	item := backend.Item{Size: r.size, Modified: r.modified, Archived: r.kind == archivedFile}
	item.ETag = r.etag()
	rel := key[len(p.prefix)+1:]
	dir, name := backend.SplitKey(key)
	switch bad := backend.BadComponent(rel); {
	case bad >= 0 && strings.HasSuffix(rel, "/") && bad == len(rel) && r.size == 0 && r.kind <= archivedFile:
		item.Marker = true
		fallthrough
	case r.kind == emptyDirectory:
		dir, name = backend.SplitKey(strings.TrimSuffix(key, "/"))
		item.Name, item.Size = name+"/", 0
		p.put(dir, item)
		return nil
	case bad >= 0 && strings.HasSuffix(rel, "/"):
		p.fault(strings.TrimSuffix(key[:len(key)-len(rel)+bad], "/"), key, backend.ErrIrregular)
		return nil
	case bad >= 0:
		item.Name = rel[bad:]
		p.put(strings.TrimSuffix(key[:len(key)-len(rel)+bad], "/"), item)
		return nil
	case r.kind == symlink:
		p.fault(dir, key, backend.ErrSymlink)
		return nil
	case r.kind == irregular:
		p.fault(dir, key, backend.ErrIrregular)
		return nil
	}
	outer, child := backend.SplitKey(dir)
	if leaf := p.expected(outer); len(dir) > len(p.prefix) && name == leaf.Name {
		item.Name = child + "/" + name
		if leaf.Read > 0 && !item.Archived {
			item.Body = p.proven(r, dir, leaf, child)
		}
		at := p.put(outer, item)
		if leaf.Read > 0 && !item.Archived && item.Body == nil {
			at.key, at.read = key, leaf.Read
			p.todo = append(p.todo, at)
		}
		return nil
	}
	item.Name = name
	p.put(dir, item)
	return nil
}

// expected returns the Hint for a directory.
func (p *pass) expected(outer string) backend.Hint {
	if !p.asked || p.outer != outer {
		p.outer, p.leaf, p.asked = outer, p.expect(outer), true
	}
	return p.leaf
}

// proven returns the content of an expected file if its MD5 proves it, else nil. A tag's
// link holds the same as one of its repository's revision links, whose keys sort before it.
func (p *pass) proven(r *row, dir string, leaf backend.Hint, child string) []byte {
	if r.sumKind != anMD5 {
		return nil
	}
	if repository, _, ok := strings.Cut(dir, "/_manifests/"); ok && repository != p.repository {
		p.repository = repository
		clear(p.targets)
	}
	if leaf.Content == "" {
		if content := p.targets[r.sum]; len(content) > 0 && int64(len(content)) == r.size {
			return []byte(content)
		}
		return nil
	}
	content := leaf.Content + child
	if int64(len(content)) != r.size || md5.Sum([]byte(content)) != r.sum {
		return nil
	}
	if leaf.Repeated {
		p.targets[r.sum] = content
	}
	return []byte(content)
}

func (p *pass) put(dir string, item backend.Item) todo {
	b := p.batch(dir)
	b.Items = append(b.Items, item)
	p.items++
	return todo{batch: len(p.batches) - 1, item: len(b.Items) - 1}
}

func (p *pass) fault(dir, key string, err error) {
	b := p.batch(dir)
	b.Faults = append(b.Faults, backend.Fault{Key: key, Err: err})
	p.items++
}

// batch returns the last batch if it is the directory's and isn't full, else a new one.
func (p *pass) batch(dir string) *backend.Batch {
	if n := len(p.batches); n == 0 || p.batches[n-1].Dir != dir || len(p.batches[n-1].Items)+len(p.batches[n-1].Faults) >= maxInBatch {
		p.batches = append(p.batches, backend.Batch{Dir: dir})
	}
	return &p.batches[len(p.batches)-1]
}

// flush reads the contents of todo and passes all batches to each.
func (p *pass) flush(ctx context.Context) error {
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(p.workers)
	failed := make([]error, len(p.todo))
	for i := range p.todo {
		group.Go(func() error {
			t := &p.todo[i]
			item := &p.batches[t.batch].Items[t.item]
			item.Body, failed[i] = p.head(reading, t.key, t.read)
			if errors.Is(failed[i], backend.ErrArchived) {
				item.Archived, failed[i] = true, nil
			}
			return reading.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i := len(p.todo) - 1; i >= 0; i-- { // from the end, so that earlier indexes remain valid
		if t := &p.todo[i]; failed[i] != nil {
			b := &p.batches[t.batch]
			b.Items = slices.Delete(b.Items, t.item, t.item+1)
			if !errors.Is(failed[i], fs.ErrNotExist) { // else it was removed since
				b.Faults = append(b.Faults, backend.Fault{Key: t.key, Err: backend.Cause(failed[i])})
			}
		}
	}
	for _, b := range p.batches {
		if len(b.Items)+len(b.Faults) == 0 {
			continue
		}
		if err := p.each(b); err != nil {
			return err
		}
	}
	p.batches, p.todo, p.items = p.batches[:0], p.todo[:0], 0
	return nil
}

// head returns the first bytes of a file.
func (p *pass) head(ctx context.Context, key string, most int) ([]byte, error) {
	f, err := p.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(most)))
}
