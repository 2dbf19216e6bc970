package statedir

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regfsck/backend"
)

// Claim says whose a state directory is: what another store's runs keep would be
// put back here, and what they wrote be taken away here.
type Claim struct {
	State string               // the directory; it may be missing still
	Store string               // the store's name, the same each time; of one on this machine its directory
	Local bool                 // Store is a directory
	Give  func(*os.File) error // makes a new file the store's owner's; nil leaves it
}

// claimName is the file of a state directory that names the store: in its last line,
// and before that as it was named earlier.
const claimName = "store"

// MaxClaim is how much is read of a file that names stores or state directories.
const MaxClaim = 1 << 16

// Check finds out, without a change, whether the state directory belongs to another
// store, which is backend.ErrOther then, or can be written by others than the
// store, which is ErrShared.
func (c Claim) Check() error {
	_, err := c.names()
	return err
}

// Recorded reports whether a run's journal says that it changed another store, which
// is backend.ErrOther then. What stands in the store has moved with it.
func (c Claim) Recorded(store string) error {
	if store == "" || store == c.Store || c.inside() != "" && filepath.IsAbs(store) {
		return nil
	}
	names, err := c.names()
	if err != nil || slices.Contains(names, store) {
		return err
	}
	return c.other(store)
}

// names returns the names of the store that the directory says it belongs to: none
// where it is nobody's yet.
func (c Claim) names() ([]string, error) {
	d, err := Open(c.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return c.said(d)
}

// said is names of the open directory.
func (c Claim) said(d *Dir) (names []string, err error) {
	root := ""
	if c.Local {
		root = c.Store
	}
	if err := d.Private(root); err != nil {
		return nil, err
	}
	all, err := d.Text(claimName, MaxClaim)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	mine := c.name()
	for line := range strings.Lines(all) {
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			names = append(names, line)
		}
	}
	if len(names) == 0 || slices.Contains(names, mine) || slices.Contains(names, c.Store) {
		return names, nil
	}
	return nil, c.other(names[len(names)-1])
}

// other says that the directory, or a run in it, belongs to another store.
func (c Claim) other(store string) error {
	if !filepath.IsAbs(store) && !strings.Contains(store, "://") {
		store = filepath.Join(c.State, store)
	}
	return fmt.Errorf("state directory %s %w, %s (if that is this store and has moved, add the line %s to %s)",
		c.State, backend.ErrOther, store, c.name(), filepath.Join(c.State, claimName))
}

// name is what the directory says where it is this store's: of one inside the store
// the way to the root, which holds wherever the store is moved.
func (c Claim) name() string { return cmp.Or(c.inside(), c.Store) }

// inside is the way from a directory in the store to the store's root; "" for one
// that stands elsewhere.
func (c Claim) inside() string {
	if !c.Local {
		return ""
	}
	up, err := filepath.Rel(c.State, c.Store)
	if err != nil || strings.Trim(filepath.ToSlash(up), "./") != "" {
		return ""
	}
	return up
}

// Take makes the state directory this store's, and the directory itself where it is
// missing, or tells that it is another's. The name is written whole or not at all.
func (c Claim) Take() error {
	d, err := Make(c.State, c.Give)
	if err != nil {
		return err
	}
	defer d.Close()
	if names, err := c.said(d); len(names) > 0 || err != nil {
		return err
	}
	if err := d.Write(claimName, []byte(c.name()+"\n"), c.Give); err != nil {
		return fmt.Errorf("state directory %s: %w", c.State, err)
	}
	return nil
}

// Known reads what a store's mark says: which state directories have been used with
// it. Left out are this one, and those of this machine that are another store's by now.
func (c Claim) Known(mark string) (all []backend.StateDir) {
	for line := range strings.Lines(mark) {
		host, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		d := backend.StateDir{Host: host, Path: path, Here: host == Hostname()}
		if !ok || d.Here && path == c.State {
			continue
		}
		if d.Here && !c.At(path).Used() {
			if errors.Is(c.At(path).Check(), backend.ErrOther) {
				continue
			}
			d.Gone = true
		}
		if slices.Contains(all, d) {
			continue
		}
		all = append(all, d)
	}
	return all
}

// Marked is the mark with this state directory in it, and whether it wasn't yet.
func (c Claim) Marked(mark string) (string, bool) {
	line := Hostname() + "\t" + c.State + "\n"
	if slices.Contains(slices.Collect(strings.Lines(mark)), line) || strings.ContainsAny(c.State, "\n\t") {
		return mark, false
	}
	if mark != "" && !strings.HasSuffix(mark, "\n") {
		mark += "\n"
	}
	return mark + line, true
}

// At is what the claim would be if another state directory were used.
func (c Claim) At(state string) Claim {
	return Claim{State: state, Store: c.Store, Local: c.Local}
}

// Used reports whether the directory is there, and this store's; one in the store
// is, also where nobody has said so.
func (c Claim) Used() bool {
	names, err := c.names()
	return err == nil && (len(names) > 0 || c.inside() != "")
}

// Hostname returns this machine's name; "" where it has none.
func Hostname() string {
	name, _ := os.Hostname()
	return name
}
