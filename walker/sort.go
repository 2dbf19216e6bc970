package walker

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"strings"

	"regfsck/backend"
	"regfsck/walker/layout"
	"regfsck/walker/ledger"
)

// sorter turns the batches of a listing into blobs, links and entries. It reuses its slices
// for each batch.
type sorter struct {
	sink    Sink
	proof   func(d layout.Digest, it *backend.Item) // called for each blob
	stamps  bool
	blobBuf []Blob
	linkBuf []Link
}

func (s *sorter) blobs(b backend.Batch) error {
	dir := layout.ParseDirectory(b.Dir)
	s.blobBuf = s.blobBuf[:0]
	for i := range b.Items {
		it := &b.Items[i]
		if d, ok := blobOf(dir, it.Name); ok {
			blob := Blob{AnyDigest: d, Size: it.Size, Modified: it.Modified, Archived: it.Archived}
			if s.stamps {
				blob.Stamp = ledger.StampOf(it.ETag, it.Inode, it.Changed)
			}
			s.blobBuf = append(s.blobBuf, blob)
			if d.Other == "" {
				s.proof(d.Digest, it)
			}
		} else if err := s.entry(b.Dir, it); err != nil {
			return err
		}
	}
	if len(s.blobBuf) > 0 {
		if err := s.sink.Blobs(s.blobBuf); err != nil {
			return err
		}
	}
	return s.faults(b)
}

// blobOf returns the digest of the blob called name in directory; ok is false if the layout
// has no such blob.
func blobOf(dir layout.Directory, name string) (d layout.AnyDigest, ok bool) {
	var hex string
	switch dir.Kind {
	case layout.DirBlobPrefix:
		if hex, ok = strings.CutSuffix(name, "/data"); !ok || !strings.HasPrefix(hex, dir.Prefix) {
			return d, false
		}
	case layout.DirBlob:
		if hex = dir.Hex; name != "data" {
			return d, false
		}
	default:
		return d, false
	}
	if dir.Algorithm == "sha256" {
		d.Digest, ok = layout.ParseHex(hex)
		return d, ok
	}
	return layout.ParseAnyDigest(dir.Algorithm + ":" + hex)
}

func (s *sorter) links(b backend.Batch) error {
	dir := layout.ParseDirectory(b.Dir)
	s.linkBuf = s.linkBuf[:0]
	for i := range b.Items {
		it := &b.Items[i]
		if l, ok := linkOf(dir, it); ok {
			l.check(it)
			s.linkBuf = append(s.linkBuf, l)
		} else if err := s.entry(b.Dir, it); err != nil {
			return err
		}
	}
	if len(s.linkBuf) > 0 {
		if err := s.sink.Links(dir.Repository, s.linkBuf); err != nil {
			return err
		}
	}
	return s.faults(b)
}

// linkOf returns the link that an item is; false if regfsck doesn't use it. A listing lists a
// link with the directory above its own or, if it opened that, with its own.
func linkOf(dir layout.Directory, it *backend.Item) (Link, bool) {
	l := Link{Tag: cmp.Or(dir.Tag, dir.NoTag), Modified: it.Modified, Size: it.Size}
	hex := dir.Hex
	switch dir.Kind {
	case layout.DirRevisionAlg, layout.DirHistoryAlg, layout.DirLayerAlg, layout.DirTarsumAlg:
		var ok bool
		if hex, ok = strings.CutSuffix(it.Name, "/link"); !ok {
			return l, false
		}
	case layout.DirTag, layout.DirNoTag:
		if it.Name != "current/link" {
			return l, false
		}
	default:
		if it.Name != "link" {
			return l, false
		}
	}
	switch dir.Kind {
	case layout.DirRevisionAlg, layout.DirRevision:
		l.Kind = layout.Revision
	case layout.DirHistoryAlg, layout.DirHistoryEntry:
		l.Kind = layout.TagHistory
	case layout.DirTag, layout.DirNoTag, layout.DirTagCurrent:
		l.Kind = layout.TagCurrent
	case layout.DirLayerAlg, layout.DirLayer:
		l.Kind = layout.LayerLink
	case layout.DirTarsumAlg, layout.DirTarsumEntry:
		l.Kind = layout.Tarsum
	default:
		return l, false
	}
	if !l.path(dir, hex) {
		return l, false
	}
	return l, true
}

// path sets what the link's path says, and reports whether the layout has such a link.
func (l *Link) path(dir layout.Directory, hex string) bool {
	switch {
	case l.Kind == layout.TagCurrent:
		return true
	case l.Kind == layout.Tarsum:
		l.alias(dir.Version, dir.Algorithm, hex)
		_, _, ok := layout.SplitDigest(dir.Algorithm + ":" + hex)
		return ok
	case dir.Algorithm == "sha256":
		d, ok := layout.ParseHex(hex)
		l.Path = d
		return ok
	}
	l.alias("", dir.Algorithm, hex)
	_, _, ok := layout.SplitDigest(l.Alias)
	return ok
}

// alias sets the digest of a path that names no sha256 of bytes; version is that of a
// tarsum.
func (l *Link) alias(version, algorithm, hex string) {
	l.Alias, l.Version = algorithm+":"+hex, version
	if version != "" {
		l.Alias = "tarsum." + version + "+" + l.Alias
	}
}

// IsAlias reports whether the link's path names another digest than its content: that of a
// layer by another algorithm than sha256, which registries write beside the layer's own
// link, or a tarsum.
func (l *Link) IsAlias() bool {
	return l.Alias != "" && (l.Kind == layout.LayerLink || l.Kind == layout.Tarsum) && l.Target.Other != l.Alias
}

// check sets the link's State from what was read of it.
func (l *Link) check(it *backend.Item) {
	if it.Archived && it.Body == nil {
		l.State, l.Why = LinkArchived, backend.ErrArchived.Error()
		return
	}
	l.content(it.Body)
}

// content sets the link's State from its bytes, as strictly as a registry reads them: a
// digest and nothing after it.
func (l *Link) content(body []byte) {
	l.Body = body
	d, ok := layout.ParseAnyDigest(body)
	if !ok || l.Size != int64(len(body)) {
		l.State, l.Why = LinkInvalid, whyInvalid(string(body), l.Size)
		return
	}
	l.Target = d
	if l.Kind != layout.TagCurrent && !l.IsAlias() && d != (layout.AnyDigest{Digest: l.Path, Other: l.Alias}) {
		l.State = LinkMismatch
	}
}

func whyInvalid(body string, size int64) string {
	bare := strings.TrimRight(body, "\r\n")
	_, digest := layout.ParseAnyDigest(bare)
	switch {
	case size == 0:
		return "is empty"
	case digest && size == int64(len(body)):
		return "ends in a newline"
	case size == int64(len(body)) && isCut(body):
		return "is cut short"
	}
	return "holds no digest"
}

// isCut reports whether s is the beginning of a digest.
func isCut(s string) bool {
	for alg, digits := range map[string]int{"sha256": 64, "sha384": 96, "sha512": 128} {
		prefix := alg + ":"
		if len(s) < len(prefix)+digits && strings.HasPrefix(prefix, s[:min(len(s), len(prefix))]) {
			return true
		}
	}
	return false
}

func (s *sorter) faults(b backend.Batch) error {
	for _, f := range b.Faults {
		e := Entry{Kind: EntryFault, Key: f.Key, Err: f.Err}
		e.place(layout.ParseDirectory(f.Key))
		if odd := errors.Is(f.Err, backend.ErrSymlink) || errors.Is(f.Err, backend.ErrIrregular); odd && !expected(f.Key) {
			e.Kind = EntryForeign
		}
		if err := s.sink.Entry(e); err != nil {
			return err
		}
	}
	return nil
}

// expected reports whether the layout could have a file or a directory at key.
func expected(key string) bool {
	_, err := layout.Parse(key)
	dir := layout.ParseDirectory(key).Kind
	return err == nil || dir != layout.DirOther && dir != layout.DirReserved
}

// entry passes what is neither a blob nor a link to the sink.
func (s *sorter) entry(dir string, it *backend.Item) error {
	name, empty := strings.CutSuffix(it.Name, "/")
	e := Entry{Key: dir + "/" + name, Size: it.Size, Modified: it.Modified}
	if empty {
		at := layout.ParseDirectory(e.Key)
		e.place(at)
		if it.Marker {
			e.Kind, e.Tag = EntryMarker, cmp.Or(at.Tag, at.NoTag)
			return s.sink.Entry(e)
		}
		e.Kind, e.Empty = EntryEmpty, true
		switch at.Kind {
		case layout.DirOther, layout.DirNoTag, layout.DirNoUpload:
			e.Kind = EntryForeign
		case layout.DirReserved:
			e.Kind = EntryReserved
		case layout.DirUpload, layout.DirHashstates, layout.DirHashstateAlg:
			e.Kind = EntryUpload
		}
		return s.sink.Entry(e)
	}
	e.place(layout.ParseDirectory(dir))
	key, err := layout.Parse(e.Key)
	switch {
	case err == layout.ErrReserved:
		e.Kind = EntryReserved
	case err != nil:
		e.Kind = EntryForeign
	case key.Kind == layout.Temp:
		e.Kind = EntryTemp
	case key.Kind == layout.UploadData, key.Kind == layout.UploadStarted, key.Kind == layout.UploadHash:
		e.Kind = EntryUpload
	case key.Kind == layout.Signature:
		e.Kind = EntrySignature
	default:
		e.Kind = EntryForeign
	}
	return s.sink.Entry(e)
}

// place sets where in the layout the entry is.
func (e *Entry) place(f layout.Directory) {
	e.Dir, e.Repository, e.Tag, e.Upload = f.Kind, f.Repository, f.Tag, f.Upload
}

// current wraps each so that it isn't called with items that a listing still shows, but
// that were removed. Only keys for which Removed is true are looked at; one whose look
// fails is passed on.
func (w *Walker) current(ctx context.Context, each func(backend.Batch) error) func(backend.Batch) error {
	if w.Removed == nil {
		return each
	}
	return func(b backend.Batch) error {
		var keys []string
		at := map[int]int{} // from an item's index to that of its key in keys
		for i := range b.Items {
			if key := b.Dir + "/" + b.Items[i].Name; !strings.HasSuffix(key, "/") && w.Removed(key) {
				at[i] = len(keys)
				keys = append(keys, key)
			}
		}
		if len(keys) == 0 {
			return each(b)
		}
		_, errs := backend.Stats(ctx, w.Reader, keys)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var items []backend.Item
		for i, item := range b.Items {
			if n, looked := at[i]; !looked || !errors.Is(errs[n], fs.ErrNotExist) {
				items = append(items, item)
			}
		}
		if b.Items = items; len(items) == 0 && len(b.Faults) == 0 {
			return nil
		}
		return each(b)
	}
}
