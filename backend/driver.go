package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// Driver is the code for one kind of storage: how an operator and a registry's
// configuration name its stores, which options it has, and how it opens a store.
// Package drivers lists all drivers; nothing else knows one by name.
type Driver struct {
	// Scheme begins the addresses of its stores, without "://". It is "" for the one
	// driver whose stores are directories of this machine and are named by their paths.
	Scheme string
	// Form shows such an address to people; "" where Scheme is.
	Form string
	// ConfigNames are the names under which the storage section of a registry's
	// configuration calls the driver, the usual one first.
	ConfigNames []string
	// Traits are those that all its stores share. A Location's own say more.
	Traits Traits
	// Options become flags of every command that opens a store.
	Options []Option

	// Parse finds the store of an address, or of a path where Scheme is "". Errors are
	// sentences for the operator, and hold no secret.
	Parse func(store string, v Values) (Location, error)
	// FromConfig finds the store that a registry's configuration names. Errors are as
	// those of Parse, and say where in the configuration the reason stands.
	FromConfig func(c Config, v Values) (Location, error)
	// At returns the store to which a directory of this machine belongs, by looking at
	// that directory alone; nil where it is none. The function is nil for a driver whose
	// stores stand elsewhere.
	At func(dir string) Location
}

// Option is something that an operator may say about the stores of one driver.
type Option struct {
	Name    string                   // of the flag, without dashes; it begins with the driver's name
	Usage   string                   // one line of help; the value's name stands in backquotes
	Default string                   // what the help says that holds where it isn't given; "" for nothing
	Switch  bool                     // it is given or not, and has no value
	Check   func(value string) error // refuses a value; the error goes on behind the flag's name. nil takes any
}

// Values are what an operator said about how to reach a store.
type Values struct {
	// Option returns the value of an Option: "" where it wasn't given, "true" for a
	// Switch that was.
	Option func(name string) string
	// Getenv returns an environment variable.
	Getenv func(name string) string
}

// Config is the storage section of a registry's configuration.
type Config struct {
	File       string         // its path
	Where      string         // the path, and the line in which the driver is named
	Name       string         // the name that it calls the driver by
	Parameters map[string]any // what it tells the driver
}

// Traits are what others have to know of a store without asking which driver it has.
type Traits struct {
	// Noun is what people call such a store, in the singular.
	Noun string
	// Root is the directory on this machine that holds the store, absolute; "" where it
	// doesn't stand on this machine. Base is the key of Root: "" for the store's own root.
	Root, Base string
	// Label is a word, fit for a file's name, by which people know the store: it is a part
	// of the name of the state directory of a store without Root. NamedBy says, for people,
	// what that name comes from.
	Label, NamedBy string
	// Prefix is what stands before the store's keys where somebody else lists them: in an
	// object store the path there, with a slash at the end. It is "" for none, and where Root is
	// known.
	Prefix string
	// KeptAs is what people call what runs remove where the store itself keeps it;
	// "" where it is moved into the state directory.
	KeptAs string
	// RequestsCost says that each request takes long and is paid for: what was read is
	// remembered, and reports tell how much was asked.
	RequestsCost bool
	// TimesFixed says that a file's time can't be set: what is written anew is new.
	TimesFixed bool
	// ListsRemoved says that a listing may name what was removed some days ago.
	ListsRemoved bool
	// Leased says that its lock outlives the process that has it, so that Lease.BreakLock
	// may be needed.
	Leased bool
	// Parallel is how many files are best read at once; 0 leaves it to the cores.
	Parallel int
}

// Access is how a store is to be read.
type Access struct {
	Workers int               // directories or pages listed at once; 0 for the default
	Follow  []string          // links and mounts that belong to the store
	Any     bool              // there may be something else than a registry's storage
	Say     func(line string) // is told, from any goroutine, why a server lets one wait; nil for nobody
}

// Location is where a store is, understood and not opened yet.
type Location interface {
	// String names the store for people, without secrets. Said for STORE, with the same
	// options, it is the same store again.
	String() string
	// Identity is the name that the store has among all others: of one on this machine
	// its directory.
	Identity() string
	// Traits returns what is known of the store before it is opened.
	Traits() Traits
	// Open opens the store to be read. Errors are sentences for the operator.
	Open(ctx context.Context, a Access) (OpenedReader, error)
	// Near returns the place of an address that is reached as the store is: by the same
	// server, with the same keys and options. Errors are those of Driver.Parse.
	Near(address string) (Location, error)
	// OpenStore opens the store to be changed, with the state directory that the run
	// uses, an absolute path. Nothing is written by it. Where the system can't change such
	// a store safely the error is errors.ErrUnsupported; else errors are sentences for the
	// operator.
	OpenStore(ctx context.Context, a Access, state string) (OpenedStore, error)
}

// OpenedReader is a store that a Location has opened to be read.
type OpenedReader interface {
	Reader
	io.Closer
}

// OpenedStore is a store that a Location has opened to be changed.
type OpenedStore interface {
	Store
	io.Closer
	Lease
	// Claimed tells, without a change, why the state directory can't be used for this
	// store.
	Claimed() error
	// MayUndo tells, without a change, why what a run removes could not be brought back;
	// nil where it can.
	MayUndo(ctx context.Context) error
	// CanUndo is MayUndo, and tries it where only that shows: with an object of its own,
	// which is gone afterwards. ErrStays is one that isn't.
	CanUndo(ctx context.Context) error
	// Describe finds out what a plan should tell of the store besides what is in it. What
	// can't be found out is a note.
	Describe(ctx context.Context) Description
}

// Lease is what an OpenedStore says of a lock that outlives its process.
type Lease interface {
	// Retained tells, without a change, why a lock that is written could not be removed
	// again, which is ErrRetained; nil where it can.
	Retained(ctx context.Context) error
	// BreakLock gives back the lock of a run that is dead. Where the run has no lock the
	// error is fs.ErrNotExist; where a lock goes with its process (Traits.Leased) it is
	// errors.ErrUnsupported.
	BreakLock(ctx context.Context, run string) error
}

// Description is what a store does with what is removed, and what it holds today
// that no listing shows.
type Description struct {
	Versioned bool   `json:"kept"` // a removal alone leaves a version, and frees nothing
	Keeping   string `json:"-"`    // how what is removed is kept until it is purged, as the beginning of a sentence
	Expire    bool   `json:"-"`    // a rule of the store's own gives up versions after Days
	Days      int    `json:"expire_days,omitempty"`

	Noncurrent      int   `json:"noncurrent_blob_versions"` // versions of blobs that something newer or a removal hides
	NoncurrentBytes int64 `json:"noncurrent_bytes"`
	Uploads         int   `json:"unfinished_uploads"` // multipart uploads that were begun and aren't finished
	UploadBytes     int64 `json:"unfinished_bytes"`

	Notes []string `json:"notes"` // what could not be found out, and why
}

// Unusable says, as a sentence for the operator, why a file or directory of this
// machine can't be used.
func Unusable(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no such file or directory", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: no permission to read it: run regfsck as the registry's user, or as root", path)
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// HideUser cuts the user part, which may hold a password, out of an address.
func HideUser(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	host, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	return strings.TrimSuffix(scheme+"://"+host+"/"+path, "/")
}
