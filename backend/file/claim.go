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

// Claim says whose a state folder is that doesn't stand in its store: what
// another store's runs keep would be put back here, and what they wrote be taken
// away here.
type Claim struct {
	State string               // the folder; it may be missing still
	Store string               // the store's name, the same each time
	Give  func(*os.File) error // makes a new file the store's owner's; nil leaves it
}

// claimName is the file of a state folder that names the store.
const claimName = "store"

// Check tells, without a change, whether the state folder belongs to another
// store, which is backend.ErrOther then.
func (c Claim) Check() error {
	_, err := c.said()
	return err
}

// said is Check, and tells whether anybody's the state folder is.
func (c Claim) said() (by bool, err error) {
	path := filepath.Join(c.State, claimName)
	said, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("state folder %s: %w", c.State, err)
	}
	if other := strings.TrimSuffix(string(said), "\n"); other != c.Store {
		err = fmt.Errorf("state folder %s %w, %s (if that has moved to %s, remove %s)", c.State, backend.ErrOther, other, c.Store, path)
	}
	return true, err
}

// Take makes the state folder, which is there by now, this store's, or tells that
// it is another's. The name is written whole or not at all.
func (c Claim) Take() error {
	if by, err := c.said(); by || err != nil {
		return err
	}
	f, err := os.CreateTemp(c.State, claimName+"-")
	if err != nil {
		return fmt.Errorf("state folder %s: %w", c.State, reason(err))
	}
	if c.Give != nil {
		err = c.Give(f)
	}
	if err == nil {
		_, err = f.WriteString(c.Store + "\n")
	}
	if err == nil {
		err = f.Sync()
	}
	if err = backend.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(c.State, claimName))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("state folder %s: %w", c.State, reason(err))
	}
	return nil
}
