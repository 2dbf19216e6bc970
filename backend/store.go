package backend

import (
	"context"
	"io"
	"os"
	"time"
)

// Run names one run that changes a store.
type Run struct {
	ID   string // letters, digits and dashes; the same for all that the run does
	Keep bool   // keep what is removed or written over, so that Restore can bring it back
	Stay bool   // directories stay, even where their last file is removed: for taking back a Put

	// Began is when the run began, also where it is taken up again or undone, for
	// drivers that tell by time what the run did; zero where nobody knows.
	Began time.Time
}

// Receipt says what became of one key.
type Receipt struct {
	Key   string
	Freed int64  // bytes that the store has back now; 0 for what is kept
	Kept  int64  // bytes that it would have back if what is kept were given up
	Undo  string // the driver's own word for what it kept, "" for nothing
	Err   error  // nothing was changed, or nobody can tell: a look does

	// Was is for Restore: what is known of what was taken away; nil for nothing.
	Was *Original
}

// Store is a Reader that can be changed. Only the room that carries out plans
// is handed one. Each driver has all of its roles.
type Store interface {
	Reader
	Writer
	Undoer
	Locker
	Syncer
	Claimer
}

// Writer changes files. Changes of different keys may come from several goroutines
// at once.
type Writer interface {
	// Put writes a file, whole or not at all, over what stands there, which is
	// kept as Remove keeps it. Directories on its way are made. Owner, group and
	// mode are those of the nearest sibling, else of the directory above. modified
	// is the file's time in nanoseconds since 1970, where the driver can set
	// it; 0 means now.
	Put(ctx context.Context, run Run, key string, body []byte, modified int64) Receipt

	// Copy writes a file as Put does, of bytes that are hashed on their way and take the
	// file's name only once all of them are there, are right and last. Where they aren't
	// right the error is a *ContentError, and nothing was changed. What an interruption
	// leaves of it has a name by which a later run or a check knows it: it is removed when
	// the store is locked again, or is garbage of the store.
	Copy(ctx context.Context, run Run, key string, c Content, modified int64) Receipt

	// Remove takes files away, and directories whose keys end in a slash if there
	// is nothing in them. A file that is alone in its directory takes the directory
	// along, unless Run.Stay says otherwise. Files go before directories, and directories
	// in the order of keys. There is a receipt for each key, in the order of keys.
	// A key that isn't there is fs.ErrNotExist; a directory with something in it is
	// ErrNotEmpty; a link or a mount is refused. A run keeps a key once: while it
	// does, it takes away no other file of that key, which is an error unless the
	// driver keeps versions.
	Remove(ctx context.Context, run Run, keys []string) []Receipt

	// Abort gives up a multipart upload and frees its parts. One that isn't there is
	// fs.ErrNotExist; a store that is no Multipart has none, which is ErrNoMultipart.
	// Parts that are being sent at this moment may survive it.
	Abort(ctx context.Context, u Upload) error
}

// Undoer keeps what runs take away, until it is brought back or given up. A driver
// whose store keeps nothing says so in CanUndo, and has nothing to tell of in the others.
type Undoer interface {
	// CanUndo returns why what a run removes could not be brought back, or nil. It may
	// try that with an object of its own, which is gone afterwards.
	CanUndo(ctx context.Context) error

	// Restore brings back what the run's Remove or Put kept, byte for byte, with
	// times, owner, group and mode. It never writes over anything: where
	// something stands, the error is fs.ErrExist. Receipts may come in any order:
	// directories on the way that the run took away come back with the first. Of a
	// receipt only Key need be known, as after a crash; what stands there because
	// it was never taken away, or was brought back before, is no error; what is
	// neither there nor kept is fs.ErrNotExist, and nothing else is: what can't be
	// looked at may be kept. What is kept and isn't what it Was is ErrAltered, and
	// stays kept. What came back is durable. There is an error or nil for each
	// receipt, in their order.
	Restore(ctx context.Context, run Run, receipts []Receipt) []error

	// Kept returns how many bytes the store has to keep for the run. Only drivers
	// whose stores can't tell by themselves what a run took away ask for its receipts.
	Kept(ctx context.Context, run Run, receipts Receipts) (int64, error)
	// Purge gives that up, for good, and returns the bytes freed, with an error too.
	Purge(ctx context.Context, run Run, receipts Receipts) (int64, error)

	// Quarantined returns all that the run keeps, in no promised order. What can't be
	// looked at is an error, and never left out. Where the store can't tell by itself
	// what a run took away the error is errors.ErrUnsupported.
	Quarantined(ctx context.Context, run Run) ([]Quarantined, error)
	// OpenQuarantined returns the bytes of a file that Quarantined named.
	OpenQuarantined(ctx context.Context, run Run, key string) (io.ReadCloser, error)

	// Earlier returns what is kept of a file besides what stands under its key: what runs
	// removed or wrote over and didn't purge, and what the store itself keeps of that,
	// whoever did it; the newest first. What can't be looked at is an error, beside all
	// that can. It changes nothing.
	Earlier(ctx context.Context, key string) ([]Earlier, error)
}

// Earlier is a file as it was before it was removed or written over.
type Earlier struct {
	Where string // who keeps it, for people: a run, or a version
	Size  int64
	Open  func(ctx context.Context) (io.ReadCloser, error) // errors are Reader.Open's
}

// Receipts returns the receipts of what a run changed. Of a receipt only Key need be
// known, as after a crash; left out are such ones for keys that a later run changed too,
// or under which nothing stood.
type Receipts func() ([]Receipt, error)

// Quarantined is one thing that a run keeps.
type Quarantined struct {
	Key  string // where it belongs; with a slash for a directory with nothing in it; "" where its name doesn't prove it
	Path string // where it is kept, for people
}

// Locker lets only one run change a store at a time.
type Locker interface {
	// Lock waits for nobody: while another run is at work it is ErrLocked, which
	// names it; where what runs keep is another store's it is ErrOther; where a lock
	// that is written could not be removed again it is ErrRetained. unlock is to be
	// called once; a crash does the same.
	Lock(ctx context.Context, run Run) (unlock func() error, err error)
	// Held returns nil while the lock is the one that Lock got. It may be lost while a
	// run is at work: since the process was stopped, or its machine slept, for longer
	// than a lease holds. It is asked before each batch of changes and each write of a
	// journal; a store that isn't locked is held.
	Held(ctx context.Context) error
}

// Claimer knows the state directory with which a store was opened: one of this
// machine, where its runs note what they do, and may keep what they take away.
type Claimer interface {
	// Identity is the name that the store has among all others; "" for one that has none.
	Identity() string
	// Recorded returns nil if a run that says it changed the store of that name changed
	// this one, and ErrOther if it was another.
	Recorded(store string) error
	// Give makes a new file or directory of the state directory the store's owner's, as
	// far as this user may, so that whoever owns the store can go on with it.
	Give(f *os.File) error
	// States returns the other state directories that have been used with the store, and
	// are there still as far as this machine can tell. In the store stands which: that is
	// written when a run begins, where it can be.
	States(ctx context.Context) ([]StateDir, error)
}

// StateDir is a state directory on some machine.
type StateDir struct {
	Host string `json:"host"`
	Path string `json:"path"`
	Here bool   `json:"on_this_machine"` // it is on this machine
	Gone bool   `json:"gone"`            // on this machine nothing of the store's is there, or it can't be read: its disk may not be mounted
}

// Reachable reports whether the directory can be looked into from here.
func (d StateDir) Reachable() bool { return d.Here && !d.Gone }

// String is for people.
func (d StateDir) String() string {
	switch {
	case d.Gone:
		return d.Path + " (nothing of this store is there now)"
	case d.Here:
		return d.Path
	}
	return d.Path + " on " + d.Host
}

// Syncer makes changes last: a power failure may give back what was removed.
type Syncer interface {
	// Sync returns once all that was changed before lasts, on every filesystem
	// that the store stands on.
	Sync(ctx context.Context) error
}
