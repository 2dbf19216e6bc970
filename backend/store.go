package backend

import (
	"context"
	"io"
	"os"
	"time"
)

// Run identifies a run that changes a store.
type Run struct {
	ID      string // letters, digits and dashes; the same for all changes of the run
	Keep    bool   // keep what is removed or replaced, for Restore
	UndoPut bool   // don't remove a directory with its last file: for undoing a Put

	// Began is when the run began, even if it is being continued or undone, for drivers
	// that recognise its changes by time; zero if unknown.
	Began time.Time
}

// Receipt is the result of a change of one key.
type Receipt struct {
	Key   string
	Freed int64  // bytes freed now; 0 for what is kept
	Kept  int64  // bytes that a purge of what is kept would free
	Undo  string // the driver's reference to what it kept; "" for nothing
	Err   error  // nothing was changed, or that is unknown until the key is looked at

	// Was is for Restore: what is known of the removed file; nil for nothing.
	Was *Original
}

// Store is a Reader that can change its store. Only the packages that apply plans get
// one. Each driver has all of its roles.
type Store interface {
	Reader
	Writer
	Undoer
	Locker
	Syncer
	Claimer
}

// Writer changes files. Several goroutines may change different keys at once.
type Writer interface {
	// Put writes a file atomically, and makes missing directories. A file that it replaces
	// is kept like a removed one. Owner, group and mode are those of the nearest sibling,
	// else of the directory above. modified is the file's time in nanoseconds since 1970,
	// if the driver can set it; 0 means now.
	Put(ctx context.Context, run Run, key string, body []byte, modified int64) Receipt

	// Copy writes a file like Put. It hashes the bytes while copying, and gives them the
	// file's name only when all of them are there, right and synced. If they aren't right
	// the error is a *ContentError, and nothing was changed. What an interrupted Copy
	// leaves has a name that later runs and checks recognise: the next Lock removes it, or
	// it is garbage of the store.
	Copy(ctx context.Context, run Run, key string, c Content, modified int64) Receipt

	// Remove removes files, and directories, whose keys end in a slash, if they are empty.
	// It removes a directory with its last file, unless Run.UndoPut is set. It removes files
	// before directories, and directories in the order of keys. There is a receipt for each
	// key, in the order of keys. A key that doesn't exist is fs.ErrNotExist, a directory
	// that isn't empty ErrNotEmpty, a link or a mount ErrFollowed. A run keeps a key's file
	// once: while it does, it can't remove another file of that key, which is an error
	// unless the driver keeps versions.
	Remove(ctx context.Context, run Run, keys []string) []Receipt

	// Abort aborts a multipart upload and frees its parts. One that doesn't exist is
	// fs.ErrNotExist; a store that isn't a Multipart returns ErrNoMultipart. Parts that are
	// being sent at that moment may remain.
	Abort(ctx context.Context, u Upload) error
}

// Undoer keeps what runs remove, until it is restored or purged. A driver whose store keeps
// nothing returns that from CanUndo, and its other methods find nothing.
type Undoer interface {
	// CanUndo returns why a run's removals could not be undone, or nil. It may try that
	// with an object of its own, which it removes again.
	CanUndo(ctx context.Context) error

	// Restore restores what the run's Remove or Put kept, byte for byte, with times, owner,
	// group and mode. It never replaces anything: if the key exists the error is
	// fs.ErrExist. Receipts may have any order; removed directories are restored with
	// their first file, with a new time if they were emptied first. A receipt needs only a
	// Key, as after a crash. A file that was never removed, or was restored before, is no
	// error. Only a file that neither exists nor is kept is fs.ErrNotExist; one that can't be
	// looked at may be kept, and is another error. A kept file that isn't what it Was is
	// ErrAltered, and remains kept. What was restored is synced. There is an error or nil for
	// each receipt, in their order.
	Restore(ctx context.Context, run Run, receipts []Receipt) []error

	// Kept returns how many bytes the store keeps for the run. Only drivers whose store
	// doesn't record what a run removed call receipts.
	Kept(ctx context.Context, run Run, receipts Receipts) (int64, error)
	// Purge removes these for good, and returns the bytes freed, with an error too.
	Purge(ctx context.Context, run Run, receipts Receipts) (int64, error)

	// Quarantined returns everything that the run keeps, in any order. What can't be looked
	// at is an error, and never left out. If the store doesn't record what a run removed
	// the error is errors.ErrUnsupported.
	Quarantined(ctx context.Context, run Run) ([]Quarantined, error)
	// OpenQuarantined returns the content of a file that Quarantined returned.
	OpenQuarantined(ctx context.Context, run Run, key string) (io.ReadCloser, error)

	// Earlier returns the kept versions of a file besides the current one, newest first:
	// those that runs removed or replaced and didn't purge, and those that the store itself
	// keeps, also those that other programs removed. What can't be looked at is an error, beside everything
	// that can. It changes nothing.
	Earlier(ctx context.Context, key string) ([]Earlier, error)
}

// Earlier is a file as it was before it was removed or replaced.
type Earlier struct {
	Where string // where it is kept, for people: a run, or a version
	Size  int64
	Open  func(ctx context.Context) (io.ReadCloser, error) // errors are those of Reader.Open
}

// Receipts returns the receipts of what a run changed. A receipt needs only a Key, as after
// a crash; such receipts are left out for keys that a later run changed too, or that didn't
// exist.
type Receipts func() ([]Receipt, error)

// Quarantined is one file or directory that a run keeps.
type Quarantined struct {
	Key  string // its original key, with a slash for an empty directory; "" if its name doesn't show it
	Path string // where it is kept, for people
}

// Locker lets only one run at a time change a store.
type Locker interface {
	// Lock doesn't wait. While another run holds the lock the error is ErrLocked, and names
	// it; if what runs keep belongs to another store it is ErrOther; if a written lock
	// could not be removed again it is ErrRetained. Call unlock once; a crash also unlocks.
	Lock(ctx context.Context, run Run) (unlock func() error, err error)
	// Held returns nil while the lock of Lock is still held. A lease is lost if the process
	// was stopped, or its machine slept, for longer than the lease lasts. Held is called
	// before each batch of changes and each write of a journal; it returns nil for a store
	// without a lock.
	Held(ctx context.Context) error
}

// Claimer has the state directory with which a store was opened: a directory of this
// machine where runs record what they do, and may keep what they remove.
type Claimer interface {
	// Identity returns the name that no other store has; "" for a store without one.
	Identity() string
	// Recorded returns nil if store, the identity in a run's record, is this store's, else
	// ErrOther.
	Recorded(store string) error
	// SetOwner sets the owner of a new file or directory of the state directory to the store's
	// owner, as far as this user may, so that the owner can continue there.
	SetOwner(f *os.File) error
	// States returns the other state directories that were used with the store, and still
	// exist as far as this machine can see. The store has a record of them, which runs
	// write when they begin, if they can.
	States(ctx context.Context) ([]StateDir, error)
}

// StateDir is a state directory on some machine.
type StateDir struct {
	Host string `json:"host"`
	Path string `json:"path"`
	Here bool   `json:"on_this_machine"` // it is on this machine
	Gone bool   `json:"gone"`            // on this machine it has nothing of the store, or can't be read: its disk may not be mounted

	Unread string `json:"unread,omitempty"` // why it can't be read, though it exists; "" if it can, or isn't there
}

// Reachable reports whether the directory can be read from this machine.
func (d StateDir) Reachable() bool { return d.Here && !d.Gone }

// String returns the directory for people.
func (d StateDir) String() string {
	switch {
	case d.Gone:
		return d.Path + " (nothing of this store is there now)"
	case d.Here:
		return d.Path
	}
	return d.Path + " on " + d.Host
}

// Syncer makes changes durable; without it a power failure may bring back what was removed.
type Syncer interface {
	// Sync returns when all earlier changes are durable, on every filesystem of the store.
	Sync(ctx context.Context) error
}
