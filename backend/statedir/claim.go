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

// Claim is the assignment of a state directory to a store. With the state directory of another
// store, files of that store would be restored here, and files that it wrote be removed
// here.
type Claim struct {
	State    string               // the directory, which may not exist yet
	Store    string               // the store's identity; for one on this machine, its directory
	Local    bool                 // Store is a directory
	SetOwner func(*os.File) error // sets a new file's owner to the store's; may be nil
}

// claimName is the file in a state directory that names the store: the last line is its
// identity, the lines before are earlier ones.
const claimName = "store"

// MaxClaim is how many bytes of a file that names stores or state directories are read.
const MaxClaim = 1 << 20

// Check returns, without a change, backend.ErrOther if the state directory belongs to
// another store, or ErrShared if others than the store's users can write in it.
func (c Claim) Check() error {
	_, err := c.names()
	return err
}

// Recorded returns backend.ErrOther if store, the identity in a run's journal, is not this
// store's. A state directory in the store has moved with the store.
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

// names returns the identities of the store to which the directory belongs; none if it has
// no claim yet.
func (c Claim) names() ([]string, error) { return c.read(c.namesIn) }

// read returns what read returns for the directory; nil if it doesn't exist.
func (c Claim) read(read func(*Dir) ([]string, error)) ([]string, error) {
	d, err := Open(c.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return read(d)
}

// namesIn is names for the open directory.
func (c Claim) namesIn(d *Dir) ([]string, error) {
	names, err := c.claimedIn(d)
	if len(names) == 0 || slices.Contains(names, c.name()) || slices.Contains(names, c.Store) {
		return names, err
	}
	return nil, c.other(names[len(names)-1])
}

// claimedIn returns the identities of whatever store the open directory belongs to.
func (c Claim) claimedIn(d *Dir) (names []string, err error) {
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
	for line := range strings.Lines(all) {
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			names = append(names, line)
		}
	}
	return names, nil
}

// other returns backend.ErrOther with the name of the other store.
func (c Claim) other(store string) error {
	return fmt.Errorf("state directory %s %w, %s (if that is this store and has moved, add the line %s to %s)",
		c.State, backend.ErrOther, c.place(store), c.name(), filepath.Join(c.State, claimName))
}

// name returns the line that claims the directory for this store: for a directory in the
// store the relative path to the root, which remains valid when the store is moved.
func (c Claim) name() string { return cmp.Or(c.inside(), c.Store) }

// inside returns the relative path from a state directory in the store to the store's root;
// "" for one outside the store.
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

// Take claims the state directory for this store, and makes it if it is missing. The error
// is backend.ErrOther if it is another store's. The claim is written atomically.
func (c Claim) Take() error {
	d, err := Make(c.State, c.SetOwner)
	if err != nil {
		return err
	}
	defer d.Close()
	if names, err := c.namesIn(d); len(names) > 0 || err != nil {
		return err
	}
	if err := d.Write(claimName, []byte(c.name()+"\n"), c.SetOwner); err != nil {
		return fmt.Errorf("state directory %s: %w", c.State, err)
	}
	return nil
}

// Known parses a store's mark, which lists the state directories that were used with it. It
// leaves out this one, and those on this machine that belong to another store now. One that
// belongs to a store of another name, which may be another name of this store, is not left
// out.
func (c Claim) Known(mark string) (all []backend.StateDir) {
	known := map[backend.StateDir]bool{}
	for line := range strings.Lines(mark) {
		host, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		d := backend.StateDir{Host: host, Path: path, Here: host == Hostname()}
		if c.Local && !filepath.IsAbs(path) { // in the store, wherever that is now
			d.Path, d.Here = filepath.Join(c.Store, path), true
		}
		cut := len(mark) >= MaxClaim && !strings.HasSuffix(line, "\n")
		if !ok || cut || d.Here && d.Path == c.State {
			continue
		}
		if of := c.At(d.Path); d.Here && !of.Used() {
			names, err := of.read(of.claimedIn)
			if d.Gone = err != nil || len(names) == 0; err != nil {
				d.Unread = err.Error()
			}
			if !d.Gone && !slices.ContainsFunc(names, of.maybe) {
				continue
			}
		}
		if !known[d] {
			known[d] = true
			all = append(all, d)
		}
	}
	return all
}

// maybe reports whether the identity of a store may be another name of this one: a directory
// that is gone, or is the same by another path, or a store elsewhere whose server has another
// address.
func (c Claim) maybe(name string) bool {
	if !c.Local || strings.Contains(name, "://") {
		of, _, _ := strings.Cut(name, backend.AtServer)
		own, _, _ := strings.Cut(c.Store, backend.AtServer)
		return of == own
	}
	of, err := os.Stat(c.place(name))
	if err != nil {
		return true
	}
	own, err := os.Stat(c.Store)
	return err == nil && os.SameFile(of, own)
}

// place returns the directory or address of an identity, which may be relative to the state
// directory.
func (c Claim) place(name string) string {
	if filepath.IsAbs(name) || strings.Contains(name, "://") {
		return name
	}
	return filepath.Join(c.State, name)
}

// Marked returns the mark with this state directory as its first line, and whether it was
// missing. One in the store has its path from there, since a store can be moved.
func (c Claim) Marked(mark string) (string, bool) {
	path := c.State
	if within, err := filepath.Rel(c.Store, c.State); c.Local && err == nil && filepath.IsLocal(within) {
		path = within
	}
	line := Hostname() + "\t" + path + "\n"
	if slices.Contains(slices.Collect(strings.Lines(mark)), line) || strings.ContainsAny(path, "\n\t") {
		return mark, false
	}
	if mark = line + mark; len(mark) > MaxClaim { // the oldest are last
		mark = mark[:strings.LastIndex(mark[:MaxClaim], "\n")+1]
	}
	return mark, true
}

// At returns the claim for another state directory of the store.
func (c Claim) At(state string) Claim {
	return Claim{State: state, Store: c.Store, Local: c.Local}
}

// Used reports whether the directory exists and is this store's; one inside the store is,
// even without a claim.
func (c Claim) Used() bool {
	names, err := c.names()
	return err == nil && (len(names) > 0 || c.inside() != "")
}

// Hostname returns this machine's name; "" for none.
func Hostname() string {
	name, _ := os.Hostname()
	return name
}
