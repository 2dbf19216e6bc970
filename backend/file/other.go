//go:build !unix

package file

import (
	"errors"
	"fmt"
	"io/fs"

	"regfsck/backend"
)

// Store changes a store in a directory. There is none on this system.
type Store struct {
	*Reader
	changes
}

// changes is what a Store has beyond a Reader.
type changes interface {
	backend.Writer
	backend.Undoer
	backend.Locker
	backend.Syncer
	backend.Claimer
	Claimed() error
}

// OpenStore fails: without the calls that work relative to an open directory, no
// change could be kept inside the store.
func OpenStore(root string, _ Options, _ string) (*Store, error) {
	return nil, fmt.Errorf("change store %s: %w on this system", root, errors.ErrUnsupported)
}

// device is not known here: what is mounted in a directory shows as a link or as
// irregular.
func device(fs.FileInfo) (uint64, bool) { return 0, false }

// newSystem makes the one lister that there is here.
func newSystem(c config, counts *counters) (system, error) { return newPortable(c, counts) }
