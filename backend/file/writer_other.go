//go:build !unix

package file

import (
	"context"
	"errors"
	"fmt"

	"regfsck/backend"
)

// Writer changes a store in a folder. There is none on this system.
type Writer struct {
	*Store
	changes
}

// changes is what a Writer has beyond a Store.
type changes interface {
	Put(ctx context.Context, run backend.Run, key string, body []byte, modified int64) backend.Receipt
	Remove(ctx context.Context, run backend.Run, keys []string) []backend.Receipt
	Restore(ctx context.Context, run backend.Run, receipts []backend.Receipt) []error
	backend.Quarantiner
	backend.Locker
	CanKeep(ctx context.Context) error
	Claimed() error
	backend.Claimer
	backend.Marked
	Folder(run backend.Run) (string, error)
}

// OpenWriter fails: without the calls that work relative to an open folder, no
// change could be kept inside the store.
func OpenWriter(root string, _ Options, _ string) (*Writer, error) {
	return nil, fmt.Errorf("change store %s: %w on this system", root, errors.ErrUnsupported)
}
