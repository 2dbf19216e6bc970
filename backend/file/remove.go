//go:build unix

package file

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// removal is one call of Remove.
type removal struct {
	*Store
	ctx      context.Context
	run      backend.Run
	kept     dir // the run's kept directory, if the run keeps
	keys     []string
	receipts []backend.Receipt
}

// Remove is backend.Store's. For each file it looks into the file's directory and renames.
// It syncs nothing: after a power failure a file is either kept or not yet removed. Files
// are removed first, those of one directory in the order of their names, then directories
// in the order of keys.
func (w *Store) Remove(ctx context.Context, run backend.Run, keys []string) []backend.Receipt {
	r := removal{Store: w, ctx: ctx, run: run, kept: dir{-1}, keys: keys, receipts: make([]backend.Receipt, len(keys))}
	var err error
	if err = run.Check(); err == nil && run.Keep && ctx.Err() == nil && len(keys) > 0 {
		r.kept, err = w.openKept(run, true)
	}
	defer r.kept.close()
	var files, dirs []int
	for i, key := range keys {
		r.receipts[i] = backend.Receipt{Key: key, Err: cmp.Or(w.guard(ctx, "remove", run, key), err)}
		switch {
		case r.receipts[i].Err != nil:
		case strings.HasSuffix(key, "/"):
			dirs = append(dirs, i)
		default:
			files = append(files, i)
		}
	}
	r.files(files)
	for _, i := range dirs {
		r.do(i, func() (backend.Receipt, error) { return r.directory(strings.TrimSuffix(keys[i], "/")) })
	}
	return r.receipts
}

// do fills in the receipt of a key.
func (r *removal) do(i int, remove func() (backend.Receipt, error)) {
	err := r.ctx.Err()
	if err == nil {
		r.receipts[i], err = remove()
		r.receipts[i].Key = r.keys[i]
	}
	if err != nil && r.ctx.Err() == nil {
		err = failed("remove", r.keys[i], err)
	}
	r.receipts[i].Err = err
}

// files removes files. Those with the same grandparent are removed by one goroutine.
func (r *removal) files(which []int) {
	slices.SortFunc(which, func(a, b int) int {
		return cmp.Or(strings.Compare(grandparent(r.keys[a]), grandparent(r.keys[b])), strings.Compare(r.keys[a], r.keys[b]))
	})
	var group errgroup.Group
	group.SetLimit(r.workers)
	for len(which) > 0 {
		above := grandparent(r.keys[which[0]])
		n := slices.IndexFunc(which, func(i int) bool { return grandparent(r.keys[i]) != above })
		if n < 0 {
			n = len(which)
		}
		part := which[:n]
		group.Go(func() error { r.part(above, part); return nil })
		which = which[n:]
	}
	_ = group.Wait()
}

// part removes files whose directories are all in the directory above.
func (r *removal) part(above string, which []int) {
	d, err := r.openDir("remove", above)
	defer d.close()
	kept := &keptDir{w: r.Store, kept: r.kept, key: above, dir: dir{-1}}
	defer kept.close()
	for _, i := range which {
		r.do(i, func() (backend.Receipt, error) {
			if err != nil {
				return backend.Receipt{}, err
			}
			return r.file(d, kept, r.keys[i])
		})
	}
}

// file removes a file whose directory is in the directory above. kept is where a directory
// in above is kept.
func (r *removal) file(above dir, kept *keptDir, key string) (receipt backend.Receipt, err error) {
	dirKey, name := backend.SplitKey(key)
	_, base := backend.SplitKey(dirKey)
	d, err := r.openChild("remove", above, dirKey, base)
	if err != nil {
		return receipt, err
	}
	defer d.close()
	st, err := d.look(name)
	if err != nil {
		return receipt, err
	}
	if err := regular(&st); err != nil {
		return receipt, err
	}
	alone := false
	if dirKey != "" && !r.run.UndoPut && !r.isFollowed(dirKey) {
		if alone, err = d.holdsOnly(name); err != nil {
			return receipt, err
		}
	}
	switch {
	case !r.run.Keep:
		if err = d.remove(name); err == nil && alone {
			_ = above.removeDir(base) // fails if it is no longer empty
		}
		receipt.Freed = space(&st)
	case alone:
		receipt.Undo, receipt.Kept = undoDirectory, space(&st)
		err = kept.add(above, base)
	default:
		receipt.Undo, receipt.Kept = undoFile, space(&st)
		err = r.keep(d, dirKey, name)
	}
	if err != nil {
		return backend.Receipt{}, err
	}
	return receipt, nil
}

// What is quarantined for a key. Receipts have it, and journals store it.
const (
	undoFile      = "file"
	undoDirectory = "folder" // a stored format
)

// directory removes an empty directory.
func (r *removal) directory(key string) (receipt backend.Receipt, err error) {
	parent, name := backend.SplitKey(key)
	above, err := r.openDir("remove", parent)
	if err != nil {
		return receipt, err
	}
	defer above.close()
	d, err := r.openChild("remove", above, key, name)
	if err != nil {
		return receipt, err
	}
	defer d.close()
	if empty, err := d.holdsOnly(""); err != nil || !empty {
		return receipt, cmp.Or(err, backend.ErrNotEmpty)
	}
	if !r.run.Keep {
		if err = above.removeDir(name); errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
			err = backend.ErrNotEmpty
		}
		return receipt, err
	}
	if err := r.keep(above, parent, name); err != nil {
		return receipt, err
	}
	return backend.Receipt{Undo: undoDirectory}, nil
}

// keep moves name from the directory key, which is open as d, to where it is kept.
func (r *removal) keep(d dir, key, name string) error {
	kept := &keptDir{w: r.Store, kept: r.kept, key: key, dir: dir{-1}}
	defer kept.close()
	return kept.add(d, name)
}

// regular returns nil for a regular file, else the reason why it isn't one.
func regular(st *unix.Stat_t) error {
	switch kindOf(st) {
	case unix.S_IFREG:
		return nil
	case unix.S_IFLNK:
		return backend.ErrSymlink
	}
	return backend.ErrIrregular
}

// keptDir is the directory where a run keeps what was in one directory of the store. It is
// made and opened when it is first needed.
type keptDir struct {
	w    *Store
	kept dir
	key  string // of the directory in the store
	dir  dir    // its descriptor is negative if it isn't open
}

// open opens the directory, and makes it if it doesn't exist.
func (p *keptDir) open() (dir, error) {
	if p.dir.fd >= 0 {
		return p.dir, nil
	}
	var err error
	p.dir, err = p.w.enter(p.kept, true, pieces(p.key)...)
	return p.dir, err
}

func (p *keptDir) close() { p.dir.close() }

// add moves name from the directory d into the kept directory.
func (p *keptDir) add(d dir, name string) error {
	to, err := p.open()
	if err != nil {
		return err
	}
	err = p.w.move(d, name, to, name)
	if errors.Is(err, unix.EXDEV) {
		if can, lookErr := canRename(d, to); can && lookErr == nil {
			err = p.moveByFile(d, name)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return errKept
	}
	return err
}

// moveByFile moves the directory name in d, which has one file at most, into the kept
// directory, if the filesystem can rename only files. An overlay can't rename directories
// of its lower layers (rename(2): EXDEV). A directory with the same attributes is made
// there, the file is moved into it, and the empty directory is removed. After a crash
// this is continued, and can be restored like any other removal.
func (p *keptDir) moveByFile(d dir, name string) error {
	from, err := d.open(name)
	if err != nil {
		return err
	}
	defer from.close()
	st, err := from.self()
	if err != nil {
		return err
	}
	in, made, err := p.openLike(&st, name)
	if err != nil {
		return err
	}
	defer in.close()
	moved, err := p.moveOnlyFile(from, in)
	if err == nil {
		err = d.removeDir(name)
	}
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		if err = backend.ErrNotEmpty; moved { // a new file in it remains
			err = nil
		}
	}
	if err != nil {
		if made {
			_ = p.dir.removeDir(name) // fails if it isn't empty
		}
		return err
	}
	at := []unix.Timespec{st.Atim, st.Mtim}
	if err = unix.Fchmod(in.fd, uint32(st.Mode)&0o7777); err == nil && made {
		err = unix.UtimesNanoAt(p.dir.fd, name, at, unix.AT_SYMLINK_NOFOLLOW)
	}
	return err
}

// openLike opens the directory name in the kept directory, and makes it if it doesn't exist,
// with the owner and mode of st; its owner may write. made reports whether it was made.
func (p *keptDir) openLike(st *unix.Stat_t, name string) (in dir, made bool, err error) {
	err = unix.Mkdirat(p.dir.fd, name, 0o700)
	if made = err == nil; !made && !errors.Is(err, fs.ErrExist) {
		return dir{-1}, false, err
	}
	if in, err = p.dir.open(name); err != nil {
		return in, made, err
	}
	like := attributesOf(st)
	like.mode |= 0o700
	if err = like.give(in.fd); err != nil && made {
		_ = p.dir.removeDir(name)
	}
	if err != nil {
		in.close()
		return dir{-1}, false, err
	}
	return in, made, nil
}

// moveOnlyFile moves the only file of a directory, if there is one, to another directory.
func (p *keptDir) moveOnlyFile(from, to dir) (moved bool, err error) {
	var names []string
	if err := from.names(func(name string) bool { names = append(names, name); return len(names) < 2 }); err != nil {
		return false, err
	}
	switch len(names) {
	case 0:
		return false, nil
	case 1:
		if err = p.w.move(from, names[0], to, names[0]); errors.Is(err, fs.ErrExist) {
			err = errKept
		}
		return err == nil, err
	}
	return false, unix.ENOTEMPTY
}
