//go:build !unix

package file

import (
	"errors"
	"fmt"
	"io/fs"

	"regfsck/backend"
)

// Store changes a store in a directory. On this system OpenStore returns none.
type Store struct {
	*Reader
	changes
}

// changes are the methods of a Store that a Reader doesn't have.
type changes interface {
	backend.Writer
	backend.Undoer
	backend.Locker
	backend.Syncer
	backend.Claimer
	Claimed() error
}

// OpenStore fails: without system calls relative to an open directory, a change could
// be redirected out of the store.
func OpenStore(root string, _ Options, _ string) (*Store, error) {
	return nil, fmt.Errorf("change store %s: %w on this system", root, errors.ErrUnsupported)
}

// device is not known here. A mount appears as a link or as irregular.
func device(fs.FileInfo) (uint64, bool) { return 0, false }

// newSystem returns the portable system.
func newSystem(c config, counts *counters) (system, error) { return newPortable(c, counts) }
