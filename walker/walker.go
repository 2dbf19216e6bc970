// Package walker reads a registry's store as typed, serial streams: blobs,
// links and whatever else lies about, then manifests, then the bytes of blobs.
//
// The work behind a stream is parallel; what comes out of it comes one call at
// a time, so that whoever builds something from it needs no locks. A stream
// can be left early by returning an error: nothing goes on behind it.
//
// Blobs are to be listed before links: then a blob that no link names was
// there before anything that was pushed meanwhile, and what is pushed in
// between is never mistaken for an orphan.
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
	Thorough bool // open every directory, to see what stands beside blobs and links
	Unread   bool // leave links unread whose path says what they hold: they look invalid, but for their Size

	Stamps bool // fill in Blob.Stamp

	// Removed tells which keys are to be looked at before a listing is believed that
	// they are there: some stores list for a while what was removed. nil for none.
	Removed func(key string) bool

	// Cache has manifests and configs that were read before, and keeps those that are read. One
	// stands for the store's object only where the listing proves that this holds
	// the same bytes. nil for none.
	Cache *cache.Cache
	etags map[layout.Digest][md5.Size]byte // by ListBlobs, of what the cache holds
}

// Blob is one file blobs/<alg>/<hex[:2]>/<hex>/data.
type Blob struct {
	layout.AnyDigest
	Size     int64        // bytes
	Modified int64        // nanoseconds since 1970
	Archived bool         // its storage class says that it has to be restored before it can be read
	Stamp    ledger.Stamp // of what the listing shows; only with Walker.Stamps
}

// LinkState is what a link's content is worth.
type LinkState uint8

// The states of a link.
const (
	LinkGood     LinkState = iota // the content is a digest: that of the path, where the path has one, or what an alias stands for
	LinkMismatch                  // the content is another digest than that of the path
	LinkInvalid                   // the content is no digest
	LinkArchived                  // it lies in an archive class, and has to be restored before anybody can read it
)

// Link is one link file: what its path says, and what its content says.
type Link struct {
	Kind     layout.Kind      // Revision, TagCurrent, TagHistory, LayerLink or Tarsum
	Tag      string           // of TagCurrent and TagHistory
	Alias    string           // the path's digest where it isn't a sha256: "sha512:…", "tarsum.v1+sha256:…"
	Version  string           // of a Tarsum: "v1"
	Path     layout.Digest    // the path's digest; zero for TagCurrent and where Alias is set
	Target   layout.AnyDigest // the content's digest; zero if State is LinkInvalid or LinkArchived
	State    LinkState
	Why      string // what is wrong with an invalid or archived link, in words
	Body     []byte // the content, its first 256 bytes
	Size     int64  // of the content, bytes
	Modified int64  // nanoseconds since 1970
}

// EntryKind says what an Entry is.
type EntryKind uint8

// The kinds of entries.
const (
	EntryForeign   EntryKind = iota // a file that is no part of the layout
	EntryReserved                   // a file in a directory whose name begins with "_" and that nobody knows
	EntryTemp                       // *.<uuid>.tmp, left by a crashed write
	EntryUpload                     // a file or an empty directory of an upload; Upload names it
	EntrySignature                  // a schema 1 signature link
	EntryEmpty                      // a directory with nothing in it
	EntryMarker                     // an empty object that stands for a directory
	EntryMultipart                  // a multipart upload that was begun and isn't finished; Upload is its id
	EntryFault                      // something that is there and could not be read; Err says why
)

// Entry is anything below blobs and repositories that is neither blob nor link.
type Entry struct {
	Kind       EntryKind
	Dir        layout.DirKind // of the directory it lies in; of itself if it is one, or stands for it
	Key        string
	Repository string // the repository it lies in, "" if in none
	Tag        string // the tag it lies in, if any
	Upload     string // of EntryMultipart; of others the upload, or what looks like one, in which it lies
	Empty      bool   // it is a directory with nothing in it
	Size       int64
	Modified   int64 // nanoseconds since 1970
	Err        error // of EntryFault
}

// Sink takes in what a listing finds. Calls come one at a time. Strings and
// slices may be used only during the call: clone what you keep. An error ends
// the listing, which returns it.
type Sink interface {
	Blobs([]Blob) error
	Links(repository string, links []Link) error
	Entry(Entry) error
}

// MaxLink is how many bytes of a link are looked at: more than any digest has,
// so that what follows a digest is seen.
const MaxLink = 256

// ListBlobs hands every blob to sink.Blobs and all else below blobs/ to
// sink.Entry. A store without that directory has no blobs.
func (w *Walker) ListBlobs(ctx context.Context, sink Sink) error {
	s := sorter{sink: sink, proof: w.proofs(), stamps: w.Stamps}
	return w.list(ctx, layout.Blobs, s.blobs)
}

// ListLinks hands every link to sink.Links, by repository, and all else below
// repositories/ to sink.Entry. A store without that directory has no links.
func (w *Walker) ListLinks(ctx context.Context, sink Sink) error {
	s := sorter{sink: sink}
	return w.list(ctx, layout.Repositories, s.links)
}

// ListAbove hands what stands beside blobs/ and repositories/, and beside the
// directories above them, to sink.Entry, as far as no registry puts it there; of a
// directory not what is in it. What stands beside docker/ is the user's own.
func (w *Walker) ListAbove(ctx context.Context, sink Sink) error {
	for _, dir := range [...]string{"docker", path.Dir(layout.Root), layout.Root} {
		items, err := w.Reader.Names(ctx, dir)
		if errors.Is(err, fs.ErrNotExist) { // a store may begin below it
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

// lostAndFound is a file system's own, where one is mounted.
const lostAndFound = "lost+found"

// ListMultiparts hands every unfinished multipart upload to sink.Entry. Where the
// store has none of that kind there are none.
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

// expect tells a listing where blobs and links stand, so that their directories
// need not be opened. A revision's directory is opened all the same: legacy
// signatures and what forks keep there lie beside its link.
func (w *Walker) expect(dir string) backend.Hint {
	of := layout.ParseDirectory(dir)
	content := "" // of a link is its path's digest, unless it is an alias
	if layout.KnownAlgorithm(of.Algorithm) {
		content = of.Algorithm + ":"
	}
	switch of.Kind {
	case layout.DirBlobPrefix:
		return backend.Hint{Name: "data", Siblings: w.Thorough}
	case layout.DirRevisionAlg:
		return backend.Hint{Name: "link", Read: w.read(of), Siblings: true, Content: content, Repeated: true}
	case layout.DirHistoryAlg:
		return backend.Hint{Name: "link", Read: w.read(of), Siblings: w.Thorough, Content: content, Repeated: true}
	case layout.DirLayerAlg:
		return backend.Hint{Name: "link", Read: w.read(of), Siblings: w.Thorough, Content: content}
	case layout.DirTag, layout.DirNoTag, layout.DirTarsumAlg:
		return backend.Hint{Name: "link", Read: w.read(of), Siblings: w.Thorough}
	}
	return backend.Hint{}
}

// read is how much is read of the links in a directory.
func (w *Walker) read(dir layout.Directory) int {
	if w.Unread && dir.Algorithm == "sha256" && dir.Kind != layout.DirTarsumAlg {
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
