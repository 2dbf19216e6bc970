//go:build unix

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"regfsck/backend"
)

// Claimed tells, without a change, whether the state folder belongs to another
// store, which is backend.ErrOther then: what that one's runs keep would be put
// back here, and what they wrote be taken away here. A state folder inside the
// store needs no word for that, and moves with it.
func (w *Writer) Claimed() error {
	_, err := w.claimed()
	return err
}

// claimName is the file of a state folder outside its store that names the
// store's folder.
const claimName = "store"

// claimed is Claimed, and tells whether anybody's the state folder is.
func (w *Writer) claimed() (by bool, err error) {
	if w.stateKey != "" {
		return true, nil
	}
	path := filepath.Join(w.state, claimName)
	said, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("state folder %s: %w", w.state, err)
	}
	if other := strings.TrimSuffix(string(said), "\n"); other != w.root {
		err = fmt.Errorf("state folder %s %w, %s (if that has moved to %s, remove %s)", w.state, backend.ErrOther, other, w.root, path)
	}
	return true, err
}

// claim makes the state folder this store's, or tells that it is another's. The
// name is written whole or not at all.
func (w *Writer) claim() error {
	if by, err := w.claimed(); by || err != nil {
		return err
	}
	f, err := os.CreateTemp(w.state, claimName+"-")
	if err != nil {
		return fmt.Errorf("state folder %s: %w", w.state, reason(err))
	}
	if err = w.Give(f); err == nil {
		_, err = f.WriteString(w.root + "\n")
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(w.state, claimName))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("state folder %s: %w", w.state, reason(err))
	}
	return nil
}
