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
	"strings"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// Put is backend.Store's. The bytes are written and synced under another name
// first, in the state directory if it is on the same filesystem, so that not even a
// crash leaves anything beside the file. What stands there gets a second name
// where it is kept before it loses its own; without hard links it is renamed, and
// for a moment nothing stands there.
func (w *Store) Put(ctx context.Context, run backend.Run, key string, body []byte, modified int64) backend.Receipt {
	return w.write(ctx, run, key, bytes.NewReader(body), int64(len(body)), true, modified)
}

// Copy is backend.Store's. It is a Put of bytes that are proven before the new file
// takes its name.
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

// write writes a file of so many bytes, over what stands there only if that is agreed to.
func (w *Store) write(ctx context.Context, run backend.Run, key string, body io.Reader, size int64, over bool, modified int64) backend.Receipt {
	receipt := backend.Receipt{Key: key}
	if receipt.Err = w.guard(ctx, "write", run, key); receipt.Err != nil {
		return receipt
	}
	p := put{Store: w, run: run, key: key, over: over, temp: dir{-1}, syncs: w.gatherer(size)}
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
	over         bool // what stands there may be written over
	syncs        *gathering
	failed       int // of syncs.enter
	dirKey, name string
	temp         dir          // where the new file is written
	as           string       // its name there
	old          *unix.Stat_t // what stands there, or nil
}

func (p *put) do(body io.Reader, modified int64) (err error) {
	make := makeLike
	if p.syncs != nil {
		make = makeUnsynced
	}
	d, made, err := p.dirs("write", p.dirKey, make)
	defer d.close()
	defer func() {
		if err != nil {
			p.unmake(made)
		}
	}()
	if err != nil {
		return err
	}
	if err = p.lookAtOld(d); err != nil {
		return err
	}
	if p.old != nil { // its directory stood, and what it is kept as is synced step by step
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

// lookAtOld learns what stands there. Only a file may be written over.
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

// dirs opens the directory key. What is missing on its way is made by make,
// which is told the directory that is open, the key to make, and its name. What was
// made is returned, outermost first, with an error too.
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
	case !errors.Is(err, fs.ErrExist): // else another came first
		return dir{-1}, made, failed(op, key, err)
	}
	d, err = w.openDir(op, key)
	return d, made, err
}

// unmake removes directories that were made and aren't needed, if nobody else put
// anything into them meanwhile.
func (w *Store) unmake(keys []string) {
	for i := len(keys) - 1; i >= 0; i-- {
		above, name := backend.SplitKey(keys[i])
		if d, err := w.openDir("remove", above); err == nil {
			_ = d.removeDir(name)
			d.close()
		}
	}
}

// place gives the written file its name in the directory d, for good.
func (p *put) place(d dir) error {
	if p.old == nil {
		if err := p.move(p.temp, p.as, d, p.name); err != nil {
			return err
		}
		return p.syncs.directory(d, p.failed)
	}
	kept := &second{name: p.name, of: d, in: dir{-1}}
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
	return d.sync()
}

// keepOld gives what is to be written over a second name where it is kept. One
// that a crash left there will do.
func (p *put) keepOld(s *second) error {
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
	return cmp.Or(err, s.in.sync(), kept.sync())
}

// second is a second name of a file, in the directory where it is kept.
type second struct {
	name    string
	of, in  dir
	made    bool
	renamed bool // and the first is gone: the filesystem has no hard links
}

// same reports whether both names are of one file.
func (s *second) same() (bool, error) {
	a, err := s.of.look(s.name)
	if err != nil {
		return false, err
	}
	b, err := s.in.look(s.name)
	return a.Ino == b.Ino && a.Dev == b.Dev, err
}

// undo takes the second name back.
func (s *second) undo(move renaming) error {
	switch {
	case !s.made:
		return nil
	case s.renamed:
		return move(s.in, s.name, s.of, s.name)
	}
	return s.in.remove(s.name)
}

func (s *second) close() { s.in.close() }

// openTemp finds where the new file of the directory d is written: in the run's
// directory, or else beside it, named as the registry names what it writes.
func (p *put) openTemp(d dir) error {
	state, err := p.openState(true, "runs", p.run.ID)
	if err != nil {
		return err
	}
	if can, err := together(state, d); err != nil || can {
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

// writeNew writes the new file and makes it durable; an error leaves nothing.
func (p *put) writeNew(body io.Reader, modified int64, like *attributes) error {
	fd, err := again(func() (int, error) {
		return unix.Openat(p.temp.fd, p.as, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	})
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), p.as)
	_, err = io.Copy(&early{f: f}, body)
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
	if _, is := errors.AsType[*backend.ContentError](err); is { // its reason is about somewhere else
		return err
	}
	return backend.Cause(err)
}

// early writes a file of which the disk gets the first bytes while the others are read.
type early struct {
	f         *os.File
	at, begun int64 // bytes that were written, and handed to the disk
}

// earlyStep is how many bytes are handed to the disk at once.
const earlyStep = 8 << 20

// Write is io.Writer's.
func (w *early) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.at += int64(n)
	if w.at-w.begun >= earlyStep {
		writeBack(w.f, w.begun, w.at-w.begun)
		w.begun = w.at
	}
	return n, err
}

// attributes are what a new file or directory takes from what is near it.
type attributes struct {
	uid, gid int
	mode     uint32 // permission bits
}

func attributesOf(st *unix.Stat_t) *attributes {
	return &attributes{int(st.Uid), int(st.Gid), uint32(st.Mode) & 0o7777}
}

// give gives the attributes to what is open as fd.
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

// neighbour returns the attributes for the new file of the directory d: those of
// what stands there, else of a file beside it, else of a file of its name in the
// same repository, the nearest first, else of the directory, which can be executed
// where a file can't.
func (p *put) neighbour(d dir) (*attributes, error) {
	if p.old != nil {
		return attributesOf(p.old), nil
	}
	s := search{Store: p.Store, left: searchDirs}
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

// search looks for a file to be like. What it can't read it leaves out.
type search struct {
	*Store
	left int // directories that may yet be opened
}

// below looks for a file called name below the directory key: in a repository only
// below what is its own.
func (s *search) below(key, name string, repository bool) *attributes {
	d, err := s.openDir("look at", key)
	if err != nil {
		return nil
	}
	defer d.close()
	return s.walk(d, key, name, repository)
}

func (s *search) walk(d dir, key, name string, repository bool) *attributes {
	if a := s.file(d, name); a != nil {
		return a
	}
	for _, kid := range some(d) {
		if repository && kid[0] != '_' {
			continue
		}
		if s.left--; s.left < 0 {
			return nil
		}
		kidKey := backend.JoinKey(key, kid)
		next, err := s.openChild("look at", d, kidKey, kid)
		if err != nil {
			continue
		}
		a := s.walk(next, kidKey, name, false)
		next.close()
		if a != nil {
			return a
		}
	}
	return nil
}

// file returns the attributes of the file name in d; "" is any file.
func (s *search) file(d dir, name string) *attributes {
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

// some returns the first names in d, as many as make a neighbour likely.
func some(d dir) (names []string) {
	_ = d.names(func(name string) bool {
		names = append(names, strings.Clone(name))
		return len(names) < searchDirs
	})
	return names
}
