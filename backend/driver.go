package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// Driver is the code for one kind of storage: how operators and registry configurations
// name its stores, which options it has, and how it opens a store. Package drivers lists
// all drivers; no other package depends on one of them.
type Driver struct {
	// Scheme is the scheme of its stores' addresses, without "://". It is "" for the one
	// driver whose stores are directories of this machine, named by their paths.
	Scheme string
	// Form is the form of an address, for people; "" if Scheme is.
	Form string
	// ConfigNames are the driver's names in the storage section of a registry's
	// configuration, the usual one first.
	ConfigNames []string
	// Traits are common to all its stores. Location.Traits adds what is known of one store.
	Traits Traits
	// Options become flags of every command that opens a store.
	Options []Option

	// Parse returns the store at an address, or at a path if Scheme is "". Errors are
	// sentences for the operator, without secrets.
	Parse func(store string, v Values) (Location, error)
	// FromConfig returns the store of a registry's configuration. Errors are like those of
	// Parse, and say which part of the configuration is wrong.
	FromConfig func(c Config, v Values) (Location, error)
	// At returns the store that contains a directory of this machine, decided by that
	// directory alone; nil for none. The function is nil for a driver whose stores are not
	// on this machine.
	At func(dir string) Location
}

// Option is an option for the stores of one driver.
type Option struct {
	Name    string                   // the flag's, without dashes; it begins with the driver's name
	Usage   string                   // one line of help, with the value's name in backquotes
	Default string                   // the default that the help shows; "" for none
	Switch  bool                     // the flag has no value
	Check   func(value string) error // returns why a value is invalid, to be printed after the flag's name; nil accepts any
}

// Values are the operator's settings for reaching a store.
type Values struct {
	// Option returns the value of an Option: "" if it isn't set, "true" for a Switch that
	// is.
	Option func(name string) string
	// Getenv returns an environment variable.
	Getenv func(name string) string
}

// Config is the storage section of a registry's configuration.
type Config struct {
	File       string         // its path
	Where      string         // its path, and the line that names the driver
	Name       string         // the driver's name in it
	Parameters map[string]any // the driver's parameters
}

// Traits are the properties of a store that other packages need, so that none depends on
// which driver it has.
type Traits struct {
	// Noun is the word for such a store, in the singular.
	Noun string
	// Root is the directory on this machine that contains the store, absolute; "" if the store
	// isn't on this machine. Base is the key of Root: "" for the store's own root.
	Root, Base string
	// Label is a name of the store for people, valid in a file name: it is part of
	// the name of the state directory of a store without Root. NamedBy is what it is made
	// from, for people.
	Label, NamedBy string
	// Prefix is the part before the store's keys in a listing made by another program: the
	// path in an object store, with a slash at the end. It is "" for none, and if Root is
	// known.
	Prefix string
	// KeptAs is the word for removed files that the store itself keeps; "" if runs move
	// them into the state directory.
	KeptAs string
	// RequestsCost: each request is slow and billed: what was read is cached, and
	// reports contain the number of requests.
	RequestsCost bool
	// TimesFixed: a file's time can't be set: a written file is always new.
	TimesFixed bool
	// ListsRemoved: a listing may show files that were removed some days ago.
	ListsRemoved bool
	// Leased: the store's lock outlives the process that holds it, so that
	// Lease.BreakLock may be needed.
	Leased bool
	// Parallel is the best number of files to read at once; 0 derives it from the cores.
	Parallel int
}

// Access has the settings for reading a store.
type Access struct {
	Workers int               // directories or pages listed at once; 0 for the default
	Follow  []string          // symbolic links and mounts that are part of the store
	Any     bool              // accept a store that doesn't look like a registry's storage
	Say     func(line string) // called from any goroutine with the reason for a long wait; may be nil
}

// Location is where a store is, parsed and not opened yet.
type Location interface {
	// String returns the store's address without secrets. Used as STORE with the same
	// options, it names the same store.
	String() string
	// Identity returns the name that no other store has: for one on this machine, its
	// directory; for another one its address, AtServer, and its server, which can have
	// several names.
	Identity() string
	// Traits returns the store's properties, as far as known before it is opened.
	Traits() Traits
	// Open opens the store for reading. Errors are sentences for the operator.
	Open(ctx context.Context, a Access) (OpenedReader, error)
	// Near returns the location of an address that is reached like this store: by the same
	// server, keys and options. Errors are those of Driver.Parse.
	Near(address string) (Location, error)
	// OpenStore opens the store for changes, with the run's state directory, an absolute
	// path. It writes nothing. If this system can't change such a store safely the error is
	// errors.ErrUnsupported; other errors are sentences for the operator.
	OpenStore(ctx context.Context, a Access, state string) (OpenedStore, error)
}

// AtServer precedes the server in a Location's Identity.
const AtServer = " at "

// OpenedReader is a store that was opened for reading.
type OpenedReader interface {
	Reader
	io.Closer
}

// OpenedStore is a store that was opened for changes.
type OpenedStore interface {
	Store
	io.Closer
	Lease
	// Claimed returns, without a change, why the state directory can't be used for this
	// store.
	Claimed() error
	// MayUndo returns, without a change, why a run's removals could not be undone; nil if
	// they can.
	MayUndo(ctx context.Context) error
	// CanUndo is like MayUndo, but also tries it if only that gives certainty: with an
	// object that it removes again. The error is ErrTestObject if that object can't be removed.
	CanUndo(ctx context.Context) error
	// Describe returns properties of the store for a plan, besides its content. What can't
	// be found out is a note.
	Describe(ctx context.Context) Description
}

// Lease is the part of an OpenedStore for a lock that outlives its process.
type Lease interface {
	// Retained returns ErrRetained, without a change, if a written lock could not be
	// removed again; else nil.
	Retained(ctx context.Context) error
	// BreakLock removes the lock of a run that is dead. If the run has no lock the error is
	// fs.ErrNotExist; if locks end with their process (Traits.Leased) it is
	// errors.ErrUnsupported.
	BreakLock(ctx context.Context, run string) error
}

// Description is what a store does with removed files, and what it contains that no listing
// shows.
type Description struct {
	Versioned bool `json:"kept"` // a removed file remains as a version, and frees no space
	Days      int  `json:"expire_days,omitempty"`

	Noncurrent      int   `json:"noncurrent_blob_versions"` // versions of blobs that were replaced or removed
	NoncurrentBytes int64 `json:"noncurrent_bytes"`
	Uploads         int   `json:"unfinished_uploads"` // unfinished multipart uploads
	UploadBytes     int64 `json:"unfinished_bytes"`

	Keeping string   `json:"keeping"` // how removed files are kept until a purge, as the start of a sentence
	Expire  bool     `json:"expires"` // a rule of the store removes versions after Days
	Notes   []string `json:"notes"`   // what could not be found out, and why
}

// Unusable returns a sentence for the operator: why a file or directory of this machine
// can't be used.
func Unusable(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no such file or directory", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: no permission to read it: run regfsck as the registry's user, or as root", path)
	}
	return fmt.Errorf("%s: %w", path, Cause(err))
}

// HideUser removes the user part, which may contain a password, from an address.
func HideUser(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	host, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	return strings.TrimSuffix(scheme+"://"+host+"/"+path, "/")
}
