// Package backend is the contract between regfsck and the place where a
// registry's files stand: a directory, an object store, or a map in a test.
//
// A key is a path below the registry's root with slashes and without a leading
// one: docker/registry/v2/blobs/sha256/4f/4f…/data. A store holds files under
// keys; directories exist only on filesystems, and here only as far as somebody
// could want an empty one removed.
//
// The interfaces are split by danger: whoever holds a Reader can't change
// anything. Every driver passes the conformance suite in package storetest.
package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Hint says what a listing may expect below one directory, so that it can ask for
// it directly instead of opening every child. The zero Hint expects nothing.
type Hint struct {
	Name     string // the file expected in each child directory ("link", "data"); "" for none
	Read     int    // hand over this many bytes of it at most, in Item.Body; 0 for none
	Siblings bool   // hand over what stands beside the leaf too; else it may be left out

	// Content says what a sound leaf holds: this and then the child's name
	// ("sha256:"). A driver that can prove it fills in Item.Body without reading;
	// one that can't reads. "" where the path doesn't tell.
	Content string
	// Repeated says that leaves without Content are likely to hold what one of
	// these holds, so that a driver may try that first.
	Repeated bool
}

// HintFunc returns the Hint for the children of dir, a key without a trailing
// slash. It is called once for each directory that is listed (and again only where
// another took its place meanwhile), from any goroutine.
type HintFunc func(dir string) Hint

// Item is one file of a directory, or of one of its children.
type Item struct {
	// Name is the item's key relative to Batch.Dir: "link", "<hex>/link" when
	// the leaf was found there, or "<hex>/" for a directory that has nothing in it,
	// and for a Marker.
	Name     string
	Size     int64  // bytes; 0 for a directory
	Modified int64  // nanoseconds since 1970, UTC
	ETag     string // as the store gives it, without quotes; "" where there is none
	// Inode is the number of the file in its file system, and Changed when that last
	// changed anything of it but its name, in nanoseconds since 1970. Both are 0 where the
	// store doesn't tell.
	Inode   uint64
	Changed int64
	Body    []byte // the first Hint.Read bytes of a leaf, else nil

	// Marker says that this is an empty object of a store whose key ends in a
	// slash: consoles write it to show a directory, whatever there is in that.
	Marker bool
	// Archived says that it can't be read until somebody restores it. Of a listing
	// it is what the storage class tells, and of a leaf that was to be read what the
	// attempt told: it has no Body then. A look at the key knows whether it was
	// restored.
	Archived bool
}

// Batch is some of the items of one directory. A directory may come in several
// batches, in no promised order. A Batch and all it holds, strings included,
// may be used only during the call that brings it: clone what you keep.
type Batch struct {
	Dir    string // key of the directory, without a trailing slash
	Items  []Item
	Faults []Fault
}

// Fault is one thing that is there and could not be listed or read. What a
// Fault hides is unknown, never absent.
type Fault struct {
	Key string // of the file or directory; everything below it is unknown too
	Err error
}

// The reasons for a Fault that are no errors of the system.
var (
	// ErrSymlink: a symbolic link that nobody allowed to follow.
	ErrSymlink = errors.New("is a symbolic link (name it with --follow if it belongs to the registry)")
	// ErrMount: another filesystem begins here and nobody allowed to enter it.
	ErrMount = errors.New("another filesystem is mounted here (name it with --follow if it belongs to the registry)")
	// ErrTwice: a directory that has another name in the store, which was named
	// with --follow or leads to it.
	ErrTwice = errors.New("is seen in the store under another name too (unmount one of the two, or remove the link)")
	// ErrIrregular: neither a file nor a directory: a socket, a pipe, a device.
	ErrIrregular = errors.New("is neither a file nor a directory")
	// ErrNotEmpty: a directory that was to be removed has something in it.
	ErrNotEmpty = errors.New("has something in it")
	// ErrLocked: another run is changing the store.
	ErrLocked = errors.New("another run of regfsck is at work on it")
	// ErrOther: what runs keep belongs to another store.
	ErrOther = errors.New("belongs to another store")
	// ErrRetained: what is written can't be removed before some time has passed.
	ErrRetained = errors.New("locks what is written")
	// ErrStays: what was written to try the store can't be removed again.
	ErrStays = errors.New("the test object stays, since it can't be removed for good")
	// ErrUnavailable: who keeps the store can't be reached, or has given up answering.
	ErrUnavailable = errors.New("can't be reached")
	// ErrArchived: it has to be restored before it can be read.
	ErrArchived = errors.New("lies in an archive class and can't be read until it is restored")
	// ErrNoMultipart: a store that knows nothing of multipart uploads.
	ErrNoMultipart = errors.New("this store has no multipart uploads that could be given up")
	// ErrListed: the listing names it again and again, and it can't be found.
	ErrListed = errors.New("is listed but can't be found")
)

// Error says which key could not be handled, and why.
func (f Fault) Error() string { return fmt.Sprintf("%s: %v", f.Key, f.Err) }

// Unwrap returns the reason alone.
func (f Fault) Unwrap() error { return f.Err }

// Reader reads a store. It can't change anything.
type Reader interface {
	// List calls each with every file below the directory prefix ("" is the whole
	// store), and with every directory below it that holds nothing. Calls come one at a
	// time, from any goroutine, in no promised order; none comes after List has
	// returned. An item that vanishes while the listing runs is left out. What
	// can't be read comes as a Fault and doesn't end the listing.
	//
	// A prefix that isn't there is fs.ErrNotExist, never an empty listing; one
	// that is there and can't be entered (denied, a link, a mount) is a Fault of
	// the component that is in the way; one that is a file is an error. When
	// each or ctx ends it early, List returns that error. Any other error means
	// that the listing as a whole can't be trusted.
	List(ctx context.Context, prefix string, expect HintFunc, each func(Batch) error) error

	// Open returns the bytes of one file. A missing key is fs.ErrNotExist, and
	// nothing else is: neither a directory nor a file that can't be read.
	Open(ctx context.Context, key string) (io.ReadCloser, error)

	// Stat looks at one file itself, past any cache of a listing; Item.Name is
	// key. Errors are those of Open; a directory is ErrIrregular.
	Stat(ctx context.Context, key string) (Item, error)

	// Names returns what stands in one directory without what is below it, in no
	// promised order; of a great many names perhaps only the first thousand. Item.Name
	// is the name, of a directory with a slash at the end. A directory that isn't
	// there is fs.ErrNotExist.
	Names(ctx context.Context, dir string) ([]Item, error)

	// Cost returns what was asked of the store so far. It may be called at any time.
	Cost() Cost
}

// Own is the name of regfsck's own directory in a store's root.
const Own = ".regfsck"

// Stater is a Reader that looks at many files at a smaller cost than one Stat
// for each.
type Stater interface {
	// Stats returns an item or an error for each key, in their order, as Stat
	// does; but a link on the way to the file itself may have been followed.
	Stats(ctx context.Context, keys []string) ([]Item, []error)
}

// Stats looks at many files, in the cheapest way that the Reader has.
func Stats(ctx context.Context, r Reader, keys []string) ([]Item, []error) {
	if s, ok := r.(Stater); ok {
		return s.Stats(ctx, keys)
	}
	items, errs := make([]Item, len(keys)), make([]error, len(keys))
	for i, key := range keys {
		items[i], errs[i] = r.Stat(ctx, key)
	}
	return items, errs
}

// Upload is a multipart upload that was begun and isn't finished. Its parts take
// up space, and no listing shows them.
type Upload struct {
	Key     string
	ID      string
	Started int64 // nanoseconds since 1970
}

// Multipart is a Reader of a store that has multipart uploads.
type Multipart interface {
	// Uploads calls each with every unfinished upload of the store, one at a time,
	// in the order of keys. When each or ctx ends it early it returns that error;
	// with any other, there may be more, and fs.ErrPermission is one of them.
	Uploads(ctx context.Context, each func(Upload) error) error
}

// Rule is one by which a store itself takes files out of a registry's reach.
type Rule struct {
	Prefix string // keys that begin so, below the root; "" for all
	Detail string // a clause: which rule does what, and when
}

// Describer is a Reader of a store that may do something to files by itself.
type Describer interface {
	// Rules returns those in force for keys below the root. Where they may not be
	// known the error is fs.ErrPermission.
	Rules(ctx context.Context) ([]Rule, error)
}

// Cost is what a driver asked of its store so far.
type Cost struct {
	List   int64 `json:"list"`   // requests; on a filesystem, directories opened
	Get    int64 `json:"get"`    // requests; on a filesystem, files read
	Head   int64 `json:"head"`   // requests; on a filesystem, files looked at
	Put    int64 `json:"put"`    // requests that write
	Delete int64 `json:"delete"` // requests that delete or abort

	Calls       int64 `json:"-"` // system calls of the listing, where the driver counts them; else 0
	BytesRead   int64 `json:"-"` // bytes of content read, handed over by Open and in Item.Body
	LinksProven int64 `json:"-"` // leaves whose Item.Body was proven instead of read
}

// Plus returns the sum of two costs.
func (c Cost) Plus(d Cost) Cost {
	return Cost{
		List: c.List + d.List, Get: c.Get + d.Get, Head: c.Head + d.Head, Put: c.Put + d.Put, Delete: c.Delete + d.Delete,
		Calls: c.Calls + d.Calls, BytesRead: c.BytesRead + d.BytesRead, LinksProven: c.LinksProven + d.LinksProven,
	}
}
