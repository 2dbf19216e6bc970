//go:build unix

package file

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// Put is backend.Store's. The bytes are first written and synced under another name,
// in the state directory if it is on the same filesystem, so that not even a crash
// leaves anything next to the file. A file that is replaced first gets a second name
// in the kept directory. Without hard links it is renamed, and for a moment the key
// doesn't exist.
func (w *Store) Put(ctx context.Context, run backend.Run, key string, body []byte, modified int64) backend.Receipt {
	return w.write(ctx, run, key, bytes.NewReader(body), int64(len(body)), true, modified)
}

// Copy is backend.Store's. It is a Put of bytes that are proven before the new file
// gets its name.
func (w *Store) Copy(ctx context.Context, run backend.Run, key string, c backend.Content, modified int64) backend.Receipt {
	return w.write(ctx, run, key, &untilEnded{ctx, c.Proven()}, c.Size, c.Over, modified)
}

// untilEnded is a reader that fails once its context has ended.
type untilEnded struct {
	ctx context.Context
	io.Reader
}

// Read is io.Reader's.
func (r *untilEnded) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// write writes a file of size bytes. It replaces an existing one only if over is set.
func (w *Store) write(ctx context.Context, run backend.Run, key string, body io.Reader, size int64, over bool, modified int64) backend.Receipt {
	receipt := backend.Receipt{Key: key}
	if receipt.Err = w.guard(ctx, "write", run, key); receipt.Err != nil {
		return receipt
	}
	p := put{Store: w, run: run, key: key, over: over, temp: dir{-1}, syncs: w.syncGroupFor(size)}
	p.dirKey, p.name = backend.SplitKey(key)
	writers <- struct{}{}
	err := p.do(body, modified)
	<-writers
	p.temp.close()
	if err != nil {
		receipt.Err = failed("write", key, err)
		return receipt
	}
	if p.old != nil && run.Keep {
		receipt.Undo, receipt.Kept = undoFile, space(p.old)
	} else if p.old != nil {
		receipt.Freed = space(p.old)
	}
	return receipt
}

// put is one call of Put or Copy.
type put struct {
	*Store
	run          backend.Run
	key          string
	over         bool // an existing file may be replaced
	syncs        *syncGroup
	failed       int // the result of syncs.enter
	dirKey, name string
	temp         dir          // the directory in which the new file is written
	as           string       // its name there
	old          *unix.Stat_t // the existing file, or nil
}

func (p *put) do(body io.Reader, modified int64) (err error) {
	make := makeLike
	if p.syncs != nil {
		make = makeUnsynced
	}
	var made []string
	p.making.enter()
	defer func() {
		if err == nil {
			made = nil
		}
		p.making.leave(made, p.removeMade)
	}()
	d, made, err := p.dirs("write", p.dirKey, make)
	defer d.close()
	if err != nil {
		return err
	}
	if err = p.lookAtOld(d); err != nil {
		return err
	}
	if p.old != nil { // no directory was made, and the kept file is synced step by step
		p.syncs = nil
	}
	p.failed = p.syncs.enter()
	defer p.syncs.leave()
	like, err := p.neighbour(d)
	if err != nil {
		return err
	}
	if err = p.openTemp(d); err != nil {
		return err
	}
	if err = p.writeNew(body, modified, like); err != nil {
		return err
	}
	if err = p.place(d); err != nil {
		_ = p.temp.remove(p.as)
	}
	return err
}

// lookAtOld sets p.old. Only a regular file may be replaced.
func (p *put) lookAtOld(d dir) error {
	st, err := d.look(p.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	p.old = &st
	if err := regular(&st); err != nil || p.over {
		return err
	}
	return fs.ErrExist
}

// dirs opens the directory key. It calls make for each missing directory on the path, with
// the open parent, the key and the name. It returns the keys that were made, outermost
// first, with an error too.
func (w *Store) dirs(op, key string, make func(d dir, key, name string) error) (dir, []string, error) {
	d, err := w.openDir(op, key)
	if err == nil || !errors.Is(err, fs.ErrNotExist) || key == "" {
		return d, nil, err
	}
	above, name := backend.SplitKey(key)
	parent, made, err := w.dirs(op, above, make)
	if err != nil {
		return parent, made, err
	}
	defer parent.close()
	switch err = make(parent, key, name); {
	case err == nil:
		made = append(made, key)
	case !errors.Is(err, fs.ErrExist): // else another writer has made it
		return dir{-1}, made, failed(op, key, err)
	}
	d, err = w.openDir(op, key)
	return d, made, err
}

// making counts the writers that need directories. Directories that a failed one made are
// removed when there is no writer: another may have opened them, or one above.
type making struct {
	mu       sync.Mutex
	writers  int
	unneeded []string // directories that failed writers made
}

// enter counts a writer.
func (m *making) enter() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writers++
}

// leave ends a writer. unneeded are the directories that it made, if it failed.
func (m *making) leave(unneeded []string, remove func(keys []string)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unneeded = append(m.unneeded, unneeded...)
	if m.writers--; m.writers == 0 && len(m.unneeded) > 0 {
		remove(m.unneeded)
		m.unneeded = nil
	}
}

// removeMade removes directories that were made and aren't needed, if they are still
// empty.
func (w *Store) removeMade(keys []string) {
	slices.Sort(keys)
	for i := len(keys) - 1; i >= 0; i-- {
		above, name := backend.SplitKey(keys[i])
		if d, err := w.openDir("remove", above); err == nil {
			_ = d.removeDir(name)
			d.close()
		}
	}
}

// place gives the written file its name in the directory d, and syncs that.
func (p *put) place(d dir) error {
	if p.old == nil {
		if err := p.move(p.temp, p.as, d, p.name); err != nil {
			return err
		}
		return p.syncs.directory(d, p.failed)
	}
	kept := &secondName{name: p.name, of: d, in: dir{-1}}
	defer kept.close()
	var err error
	if p.run.Keep {
		err = p.keepOld(kept)
	}
	if err == nil {
		err = unix.Renameat(p.temp.fd, p.as, d.fd, p.name)
	}
	if err != nil {
		return backend.Join(err, kept.undo(p.move))
	}
	return p.syncDir(d)
}

// keepOld gives the file that is replaced a second name in the kept directory. It may
// have that name already, after a crash.
func (p *put) keepOld(s *secondName) error {
	kept, err := p.openKept(p.run, true)
	if err != nil {
		return err
	}
	defer kept.close()
	if s.in, err = p.enter(kept, true, pieces(p.dirKey)...); err != nil {
		return err
	}
	switch err = p.link(s.of, s.name, s.in, s.name); {
	case noLinks(err):
		err = p.move(s.of, s.name, s.in, s.name)
		s.renamed = err == nil
	case errors.Is(err, fs.ErrExist):
		if same, lookErr := s.same(); same || lookErr != nil {
			err = lookErr
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return errKept
	}
	s.made = err == nil
	return cmp.Or(err, p.syncDir(s.in), p.syncDir(kept))
}

// secondName is a second name of a file, in the kept directory.
type secondName struct {
	name    string
	of, in  dir
	made    bool
	renamed bool // it is the only name: the filesystem has no hard links
}

// same reports whether both names are of one file.
func (s *secondName) same() (bool, error) {
	a, err := s.of.look(s.name)
	if err != nil {
		return false, err
	}
	b, err := s.in.look(s.name)
	return a.Ino == b.Ino && a.Dev == b.Dev, err
}

// undo removes the second name.
func (s *secondName) undo(move renaming) error {
	switch {
	case !s.made:
		return nil
	case s.renamed:
		return move(s.in, s.name, s.of, s.name)
	}
	return s.in.remove(s.name)
}

func (s *secondName) close() { s.in.close() }

// openTemp opens the directory in which the new file of the directory d is written: the
// run's directory, or else d, where its name has the form of the registry's own temporary
// files.
func (p *put) openTemp(d dir) error {
	state, err := p.openState(true, "runs", p.run.ID)
	if err != nil {
		return err
	}
	if can, err := canRename(state, d); err != nil || can {
		p.temp, p.as = state, fmt.Sprintf(tempPrefix+"%016x", rand.Uint64())
		return err
	}
	state.close()
	if p.run.Keep && p.old != nil {
		return errDevice
	}
	r := fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
	p.as = fmt.Sprintf("%.200s.%s-%s-%s-%s-%s.tmp", p.name, r[:8], r[8:12], r[12:16], r[16:20], r[20:])
	fd, err := unix.FcntlInt(uintptr(d.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		p.temp = dir{fd}
	}
	return err
}

// writeNew writes and syncs the new file. After an error nothing remains of it.
func (p *put) writeNew(body io.Reader, modified int64, like *attributes) error {
	fd, err := retry(func() (int, error) {
		return unix.Openat(p.temp.fd, p.as, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	})
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), p.as)
	_, err = io.Copy(&earlyWriter{f: f}, body)
	if err == nil {
		err = like.give(fd)
	}
	if err == nil && modified != 0 {
		at := unix.NsecToTimespec(modified)
		err = unix.UtimesNanoAt(p.temp.fd, p.as, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err == nil {
		err = p.syncs.file(f, p.failed)
	}
	if err = cmp.Or(err, f.Close()); err != nil {
		_ = p.temp.remove(p.as)
	}
	if _, is := errors.AsType[*backend.ContentError](err); is { // it is about the source
		return err
	}
	return backend.Cause(err)
}

// earlyWriter writes a file, and starts to write its first bytes to the disk before it is
// synced.
type earlyWriter struct {
	f         *os.File
	at, begun int64 // bytes written to the file; bytes for which writeBack was called
}

// earlyStep is for how many bytes writeBack is called.
const earlyStep = 8 << 20

// Write is io.Writer's.
func (w *earlyWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.at += int64(n)
	if w.at-w.begun >= earlyStep {
		writeBack(w.f, w.begun, w.at-w.begun)
		w.begun = w.at
	}
	return n, err
}

// attributes are what a new file or directory copies from its neighbour.
type attributes struct {
	uid, gid int
	mode     uint32 // permission bits
}

func attributesOf(st *unix.Stat_t) *attributes {
	return &attributes{int(st.Uid), int(st.Gid), uint32(st.Mode) & 0o7777}
}

// give sets the attributes of the file or directory open as fd.
func (a *attributes) give(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if int(st.Uid) != a.uid || int(st.Gid) != a.gid {
		if err := unix.Fchown(fd, a.uid, a.gid); errors.Is(err, unix.EPERM) {
			return errOwner
		} else if err != nil {
			return err
		}
	}
	return unix.Fchmod(fd, a.mode)
}

// neighbour returns the attributes for the new file in the directory d: those of the
// file that it replaces, else of a file in d, else of the nearest file with its name in
// the same repository, else of d, without execute permission.
func (p *put) neighbour(d dir) (*attributes, error) {
	if p.old != nil {
		return attributesOf(p.old), nil
	}
	s := attributeSearch{Store: p.Store, left: searchDirs}
	if a := s.file(d, ""); a != nil {
		return a, nil
	}
	repository, _, ok := strings.Cut(p.dirKey, "/_")
	for key := p.dirKey; ok && key != repository; {
		key, _ = backend.SplitKey(key)
		if a := s.below(key, p.name, key == repository); a != nil {
			return a, nil
		}
	}
	st, err := d.self()
	a := attributesOf(&st)
	a.mode &= 0o666
	return a, err
}

// searchDirs is how many directories are opened to find a neighbour.
const searchDirs = 64

// attributeSearch looks for a file whose attributes to copy. It ignores what it can't read.
type attributeSearch struct {
	*Store
	left int // how many more directories may be opened
}

// below looks for a file called name below the directory key. If key is a repository, it
// looks only in directories whose name begins with _, not in other repositories.
func (s *attributeSearch) below(key, name string, repository bool) *attributes {
	d, err := s.openDir("look at", key)
	if err != nil {
		return nil
	}
	defer d.close()
	return s.walk(d, key, name, repository)
}

func (s *attributeSearch) walk(d dir, key, name string, repository bool) *attributes {
	if a := s.file(d, name); a != nil {
		return a
	}
	for _, child := range some(d) {
		if repository && child[0] != '_' {
			continue
		}
		if s.left--; s.left < 0 {
			return nil
		}
		childKey := backend.JoinKey(key, child)
		next, err := s.openChild("look at", d, childKey, child)
		if err != nil {
			continue
		}
		a := s.walk(next, childKey, name, false)
		next.close()
		if a != nil {
			return a
		}
	}
	return nil
}

// file returns the attributes of the file name in d; "" is any file.
func (s *attributeSearch) file(d dir, name string) *attributes {
	names := []string{name}
	if name == "" {
		names = some(d)
	}
	for _, name := range names {
		if st, err := d.look(name); err == nil && kindOf(&st) == unix.S_IFREG {
			return attributesOf(&st)
		}
	}
	return nil
}

// some returns up to searchDirs names in d.
func some(d dir) (names []string) {
	_ = d.names(func(name string) bool {
		names = append(names, strings.Clone(name))
		return len(names) < searchDirs
	})
	return names
}
