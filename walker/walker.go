// Package walker reads a registry's store as typed streams: first blobs, links and all
// other entries of the listing, then the contents of manifests, then the bytes of blobs.
//
// The work is parallel, but results are delivered one at a time, so a caller
// needs no locks. A callback ends its stream by returning an error: the stream's workers
// have ended when the method returns.
//
// List blobs before links: a blob that is pushed in between is not in the first listing, so it
// is never taken for an orphan.
package walker

import (
	"context"
	"crypto/md5"
	"errors"
	"io/fs"
	"path"
	"runtime"
	"strings"

	"regfsck/backend"
	"regfsck/walker/cache"
	"regfsck/walker/layout"
	"regfsck/walker/ledger"
)

// Walker reads one store.
type Walker struct {
	Reader   backend.Reader
	Workers  int  // files read at once; 0 is max(8, 4 × cores)
	Thorough bool // open every directory, to find foreign files beside blobs and links
	Unread   bool // don't read links whose path names their target: their State is LinkInvalid, their Size is right

	Stamps bool // set Blob.Stamp

	// Removed reports whether a key that a listing shows has to be confirmed by Stat: some
	// stores list a removed object for a while. nil confirms none.
	Removed func(key string) bool

	// Cache has manifests and configs of earlier runs, and stores what is read now. A
	// cached manifest is used only if the ETag of the listing proves that the store's
	// object has the same bytes. nil for no cache.
	Cache *cache.Cache
	etags map[layout.Digest][md5.Size]byte // set by ListBlobs, for digests that the cache has
}

// Blob is one file blobs/<alg>/<hex[:2]>/<hex>/data.
type Blob struct {
	layout.AnyDigest
	Size     int64        // bytes
	Modified int64        // nanoseconds since 1970
	Archived bool         // by its storage class it must be restored before it can be read
	Stamp    ledger.Stamp // identifies this version of the file; set only with Walker.Stamps
}

// LinkState is whether a link's content is valid.
type LinkState uint8

// The states of a link.
const (
	LinkGood     LinkState = iota // the content is a digest: that of the path if the path has one, or an alias's target
	LinkMismatch                  // the content is a digest, but not that of the path
	LinkInvalid                   // the content is not a digest
	LinkArchived                  // it is in an archive storage class and must be restored before it can be read
)

// Link is one link file, with its parsed path and content.
type Link struct {
	Kind     layout.Kind      // Revision, TagCurrent, TagHistory, LayerLink or Tarsum
	Tag      string           // of TagCurrent and TagHistory
	Alias    string           // the path's digest if it isn't a sha256: "sha512:…", "tarsum.v1+sha256:…"
	Version  string           // of a Tarsum: "v1"
	Path     layout.Digest    // the path's digest; zero for TagCurrent and if Alias is set
	Target   layout.AnyDigest // the content's digest; zero if State is LinkInvalid or LinkArchived
	State    LinkState
	Why      string // why it is invalid or archived, as a clause
	Body     []byte // the first MaxLink bytes of the content
	Size     int64  // of the content, bytes
	Modified int64  // nanoseconds since 1970
}

// EntryKind is the kind of an Entry.
type EntryKind uint8

// The kinds of entries.
const (
	EntryForeign   EntryKind = iota // a file that is not part of the layout
	EntryReserved                   // a file below an unknown directory whose name begins with "_"
	EntryTemp                       // *.<uuid>.tmp, left by an interrupted write
	EntryUpload                     // a file or an empty directory of an upload; Upload names it
	EntrySignature                  // a schema 1 signature link
	EntryEmpty                      // an empty directory
	EntryMarker                     // an empty object by which a console shows a directory
	EntryMultipart                  // an unfinished multipart upload; Upload is its id
	EntryFault                      // something that exists and can't be read; Err is why
)

// Entry is anything below blobs and repositories that is neither a blob nor a link.
type Entry struct {
	Kind       EntryKind
	Dir        layout.DirKind // of the directory that it is in; of a directory or a marker, its own
	Key        string
	Repository string // the repository that it is in; "" for none
	Tag        string // the tag that it is part of; "" for none
	Upload     string // the id of the upload that it is part of, or of the multipart upload
	Empty      bool   // it is an empty directory
	Size       int64
	Modified   int64 // nanoseconds since 1970
	Err        error // of EntryFault
}

// Sink receives what a listing finds. Calls are made one at a time. Strings and slices are
// valid only during the call: clone what you keep. An error ends the listing, which returns
// it.
type Sink interface {
	Blobs([]Blob) error
	Links(repository string, links []Link) error
	Entry(Entry) error
}

// MaxLink is how many bytes of a link are read: more than any digest has, so that bytes
// after a digest are noticed.
const MaxLink = 256

// ListBlobs passes every blob to sink.Blobs and everything else below blobs/ to sink.Entry.
// A store without that directory has no blobs.
func (w *Walker) ListBlobs(ctx context.Context, sink Sink) error {
	s := sorter{sink: sink, proof: w.proofs(), stamps: w.Stamps}
	return w.list(ctx, layout.Blobs, s.blobs)
}

// ListLinks passes every link to sink.Links, by repository, and everything else below
// repositories/ to sink.Entry. A store without that directory has no links.
func (w *Walker) ListLinks(ctx context.Context, sink Sink) error {
	s := sorter{sink: sink}
	return w.list(ctx, layout.Repositories, s.links)
}

// ListAbove passes foreign files and directories beside blobs/ and repositories/, and
// beside the directories above them up to docker/, to sink.Entry. It doesn't list what such
// a directory contains, nor what is beside docker/: these files are the user's.
func (w *Walker) ListAbove(ctx context.Context, sink Sink) error {
	for _, dir := range [...]string{"docker", path.Dir(layout.Root), layout.Root} {
		items, err := w.Reader.Names(ctx, dir)
		if errors.Is(err, fs.ErrNotExist) { // the store's root may be below it
			continue
		}
		if err != nil {
			return err
		}
		for _, it := range items {
			name, isDir := strings.CutSuffix(it.Name, "/")
			key := dir + "/" + name
			if name == "" || name == backend.Own || name == lostAndFound || isDir && layout.ParseDirectory(key).Known() {
				continue
			}
			e := Entry{Kind: EntryForeign, Dir: layout.DirAbove, Key: key, Size: it.Size, Modified: it.Modified}
			if err := sink.Entry(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// lostAndFound is a directory that file systems make in their root.
const lostAndFound = "lost+found"

// ListMultiparts passes every unfinished multipart upload to sink.Entry. A Reader that is
// no backend.Multipart has none.
func (w *Walker) ListMultiparts(ctx context.Context, sink Sink) error {
	m, ok := w.Reader.(backend.Multipart)
	if !ok {
		return nil
	}
	return m.Uploads(ctx, func(u backend.Upload) error {
		return sink.Entry(Entry{Kind: EntryMultipart, Key: u.Key, Upload: u.ID, Modified: u.Started})
	})
}

func (w *Walker) list(ctx context.Context, prefix string, each func(backend.Batch) error) error {
	err := w.Reader.List(ctx, prefix, w.expect, w.current(ctx, each))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// expect is the hint for blobs and links, so that the listing need not open their
// directories. Beside a revision's link are directories of legacy signatures, and of forks.
func (w *Walker) expect(dir string) backend.Hint {
	of := layout.ParseDirectory(dir)
	content := "" // of a link that is no alias: the digest of its path
	if layout.KnownAlgorithm(of.Algorithm) {
		content = of.Algorithm + ":"
	}
	siblings, directories := backend.SiblingsOptional, backend.SiblingDirectories
	tag := backend.Usual{File: "current/link", Directory: "index/sha256"}
	if !w.Unread {
		tag.Entry = "link"
	}
	if w.Thorough {
		siblings, directories, tag = backend.SiblingsAll, backend.SiblingsAll, backend.Usual{}
	}
	switch of.Kind {
	case layout.DirBlobPrefix:
		return backend.Hint{Name: "data", Siblings: siblings}
	case layout.DirRevisionAlg:
		return backend.Hint{Name: "link", Read: w.read(of), Siblings: directories, Content: content, Repeated: true}
	case layout.DirHistoryAlg:
		return backend.Hint{Name: "link", Read: w.read(of), Siblings: siblings, Content: content, Repeated: true}
	case layout.DirLayerAlg:
		return backend.Hint{Name: "link", Read: w.read(of), Siblings: siblings, Content: content}
	case layout.DirTags:
		return backend.Hint{Usual: tag, Content: "sha256:", Read: MaxLink}
	case layout.DirTag, layout.DirNoTag: // a foreign index/link hides no history
		return backend.Hint{Name: "link", Child: "current", Read: MaxLink, Siblings: siblings}
	case layout.DirTarsumAlg:
		return backend.Hint{Name: "link", Read: MaxLink, Siblings: siblings}
	}
	return backend.Hint{}
}

// read returns how many bytes are read of each link in a directory.
func (w *Walker) read(dir layout.Directory) int {
	if w.Unread && dir.Algorithm == "sha256" {
		return 0
	}
	return MaxLink
}

func (w *Walker) workers() int {
	if w.Workers > 0 {
		return w.Workers
	}
	return max(8, 4*runtime.NumCPU())
}
