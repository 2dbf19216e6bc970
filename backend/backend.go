// Package backend is the contract between regfsck and the storage of a registry: a
// directory, an object store, or a map in a test.
//
// A key is a path below the registry's root, with slashes and without a leading one:
// docker/registry/v2/blobs/sha256/4f/4f…/data. A store has files under keys. Only
// filesystems have directories; they matter here only because an empty one may have to be
// removed.
//
// The interfaces are split by danger: a Reader can't change anything. Every driver passes
// the conformance suite in package storetest.
package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Hint is the file to expect in each child of a directory, so that a listing can ask for it
// instead of opening every child. The zero Hint expects nothing.
type Hint struct {
	Name     string // the file expected in each child directory ("link", "data"); "" for none
	Read     int    // how many bytes of it to return, at most, in Item.Body; 0 for none
	Child    string // the only child directory that has the file; "" for each of them
	Siblings Siblings

	// Usual is what a child without Name usually contains: see Usual. Read is for its files.
	Usual Usual

	// Content followed by the child's name ("sha256:…") is what a valid file contains. A
	// driver that can prove that a file contains this sets Item.Body without reading it;
	// others read. "" if unknown.
	Content string
	// Repeated: files without Content often have the same content as one of these, so that
	// a driver may try that first.
	Repeated bool
}

// Siblings are the other entries of a child that are listed with the expected file.
type Siblings uint8

// The degrees of Siblings.
const (
	SiblingsOptional   Siblings = iota // any may be left out
	SiblingDirectories                 // all directories; files and symbolic links may be left out
	SiblingsAll                        // all
)

// Usual is what a child directory usually contains: one file and one directory, two levels
// below the child, in two different directories: "current/link" and "index/sha256". A driver
// that can prove that there is no other directory in the child, nor in the one above
// Directory, may read File and list Directory without listing the child, if File contains
// Content followed by the name of a directory in Directory. If that is the only one, it may
// read Entry in it instead of listing Directory. Files and symbolic links beside these, and
// everything beside File, may then be left out. The zero Usual expects nothing.
type Usual struct {
	File, Directory string
	Entry           string // the file expected in a directory in Directory; "" to list that
}

// In returns the Hint for the child of that name: the zero Hint if only another has the file.
func (h Hint) In(child string) Hint {
	if h.Child != "" && h.Child != child {
		return Hint{}
	}
	return h
}

// HintFunc returns the Hint for the children of dir, a key without a trailing slash. It is
// called once for each listed directory, and again if it was replaced meanwhile,
// from any goroutine.
type HintFunc func(dir string) Hint

// Item is one file of a directory, or of one of its children.
type Item struct {
	// Name is the item's key relative to Batch.Dir: "link"; "<hex>/link" for an expected
	// file; "<hex>/" for an empty directory and for a Marker.
	Name     string
	Size     int64  // bytes; 0 for a directory
	Modified int64  // nanoseconds since 1970, UTC
	ETag     string // from the store, without quotes; "" for none
	// Inode is the file's number in its file system, and Changed its ctime, in nanoseconds
	// since 1970. Both are 0 if the store doesn't have them.
	Inode   uint64
	Changed int64
	Body    []byte // the first Hint.Read bytes of an expected file, else nil

	// Marker: this is an empty object whose key ends in a slash. Consoles write
	// such an object to show a directory, which may be empty or not.
	Marker bool
	// Archived: the file must be restored before it can be read. A listing
	// concludes it from the storage class or, for an expected file, from an attempt to
	// read, which then leaves Body nil. Stat also reports whether the file was restored.
	Archived bool
}

// Batch is some of the items of one directory. A directory may have several batches, in
// any order. A Batch and all in it, strings included, is valid only during the call:
// clone what you keep.
type Batch struct {
	Dir    string // key of the directory, without a trailing slash
	Items  []Item
	Faults []Fault
}

// Fault is a file or directory that exists and could not be listed or read. What it hides
// is unknown, never absent.
type Fault struct {
	Key string // of the file or directory; everything below it is unknown too
	Err error
}

// The errors other than the system's: reasons for a Fault, or results of a method.
var (
	// ErrSymlink: a symbolic link that isn't named with --follow.
	ErrSymlink = errors.New("is a symbolic link (name it with --follow if it belongs to the registry)")
	// ErrMount: another filesystem is mounted here, and isn't named with --follow.
	ErrMount = errors.New("another filesystem is mounted here (name it with --follow if it belongs to the registry)")
	// ErrTwice: the directory has another name in the store too, by a link or mount of --follow.
	ErrTwice = errors.New("is seen in the store under another name too (unmount one of the two, or remove the link)")
	// ErrIrregular: neither a file nor a directory: a socket, a pipe, a device.
	ErrIrregular = errors.New("is neither a file nor a directory")
	// ErrFollowed: a link or mount that is named with --follow, which no run changes.
	ErrFollowed = errors.New("is a link or a mount named with --follow, which regfsck doesn't change")
	// ErrNotEmpty: a directory that was to be removed isn't empty.
	ErrNotEmpty = errors.New("has something in it")
	// ErrLocked: another run is changing the store.
	ErrLocked = errors.New("another run of regfsck is at work on it")
	// ErrOther: the state directory, or what runs keep, is of another store.
	ErrOther = errors.New("belongs to another store")
	// ErrRetained: what is written can't be removed for some time.
	ErrRetained = errors.New("locks what is written")
	// ErrTestObject: an object that was written as a test can't be removed.
	ErrTestObject = errors.New("the test object remains in the store, since it can't be removed")
	// ErrUnavailable: the storage server can't be reached, or no longer responds.
	ErrUnavailable = errors.New("can't be reached")
	// ErrArchived: the file must be restored before it can be read.
	ErrArchived = errors.New("is in an archive storage class and can't be read until it is restored")
	// ErrNoMultipart: the store has no multipart uploads.
	ErrNoMultipart = errors.New("this store has no multipart uploads that could be given up")
	// ErrListed: the listing repeatedly names a key that can't be found.
	ErrListed = errors.New("is listed but can't be found")
)

// Error names the key and the reason.
func (f Fault) Error() string { return fmt.Sprintf("%s: %v", f.Key, f.Err) }

// Unwrap returns the reason.
func (f Fault) Unwrap() error { return f.Err }

// Reader reads a store. It can't change anything.
type Reader interface {
	// List calls each with every file below the directory prefix ("" is the whole store),
	// and with every empty directory below it. Calls are made one at a time, from any
	// goroutine, in any order, and none after List has returned. An item that vanishes
	// during the listing is left out. What can't be read is a Fault, and doesn't end
	// the listing.
	//
	// A prefix that doesn't exist is fs.ErrNotExist, never an empty listing. A prefix that
	// exists but can't be entered (no permission, a link, a mount) is a Fault for the
	// component that can't be entered; one that is a file is an error. If each or ctx ends
	// the listing early, List returns that error. Any other error means that the whole
	// listing can't be trusted.
	List(ctx context.Context, prefix string, expect HintFunc, each func(Batch) error) error

	// Open returns the content of one file. Only a missing key is fs.ErrNotExist: a
	// directory, or a file that can't be read, is another error.
	Open(ctx context.Context, key string) (io.ReadCloser, error)

	// Stat returns one file's Item from the store itself, not from a cached listing;
	// Item.Name is the key. Errors are those of Open; a directory is ErrIrregular.
	Stat(ctx context.Context, key string) (Item, error)

	// Names returns the files and directories directly in one directory, in any order; of
	// very many possibly only the first thousand. Item.Name is the name; a directory's ends
	// in a slash. A directory that doesn't exist is fs.ErrNotExist.
	Names(ctx context.Context, dir string) ([]Item, error)

	// Cost returns the number of requests so far. It may be called at any time.
	Cost() Cost
}

// Own is the name of regfsck's own directory in a store's root.
const Own = ".regfsck"

// Stater is a Reader that can look at many files for less than one Stat each.
type Stater interface {
	// Stats returns an Item or an error for each key, in their order, like Stat, except
	// that it may follow links above the file.
	Stats(ctx context.Context, keys []string) ([]Item, []error)
}

// Stats looks at many files, by Stater if the Reader is one.
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

// Upload is an unfinished multipart upload. Its parts use space, and no listing shows them.
type Upload struct {
	Key     string
	ID      string
	Started int64 // nanoseconds since 1970
}

// Multipart is a Reader of a store that has multipart uploads.
type Multipart interface {
	// Uploads calls each with every unfinished upload of the store, one at a time, in the
	// order of keys. If each or ctx ends it early it returns that error; after any other,
	// such as fs.ErrPermission, there may be more uploads.
	Uploads(ctx context.Context, each func(Upload) error) error
}

// Rule is a rule of the store by which it removes or moves files by itself.
type Rule struct {
	Prefix string // of the keys below the root that it is for; "" for all
	Detail string // what it does, and when, as a clause
}

// Describer is a Reader of a store that may have rules.
type Describer interface {
	// Rules returns the rules for keys below the root. If reading them isn't allowed the
	// error is fs.ErrPermission.
	Rules(ctx context.Context) ([]Rule, error)
}

// Cost is the number of requests that a driver made so far.
type Cost struct {
	List   int64 `json:"list"`   // requests; on a filesystem, directories opened
	Get    int64 `json:"get"`    // requests; on a filesystem, files read
	Head   int64 `json:"head"`   // requests; on a filesystem, files looked at
	Put    int64 `json:"put"`    // requests that write
	Delete int64 `json:"delete"` // requests that delete or abort

	Calls       int64 `json:"-"` // system calls of the listing, where the driver counts them; else 0
	BytesRead   int64 `json:"-"` // bytes of content read, by Open and for Item.Body
	LinksProven int64 `json:"-"` // expected files whose Item.Body was proven, not read
}

// Plus returns the sum of two costs.
func (c Cost) Plus(d Cost) Cost {
	return Cost{
		List: c.List + d.List, Get: c.Get + d.Get, Head: c.Head + d.Head, Put: c.Put + d.Put, Delete: c.Delete + d.Delete,
		Calls: c.Calls + d.Calls, BytesRead: c.BytesRead + d.BytesRead, LinksProven: c.LinksProven + d.LinksProven,
	}
}
