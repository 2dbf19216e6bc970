package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"regfsck/backend"
)

// portable is the system for systems without one of their own. It looks at one
// thing after the other, and knows mounts by their devices.
type portable struct {
	config
	counts *counters
	follow map[string]bool
	root   fs.FileInfo
}

func newPortable(c config, counts *counters) (system, error) {
	p := &portable{config: c, counts: counts, follow: map[string]bool{}}
	var err error
	if p.root, err = os.Stat(c.real); err == nil && !p.root.IsDir() {
		err = errNotFolder
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", c.given, reason(err))
	}
	for _, key := range c.follow {
		p.follow[key] = true
		info, pe := p.resolve(key)
		if pe != nil {
			return nil, fmt.Errorf("follow %s: %w", key, pe.Err)
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("follow %s: %w", key, backend.ErrIrregular)
		}
	}
	return p, nil
}

func (p *portable) close() error { return nil }

// path returns where key is in the system.
func (p *portable) path(key string) string {
	return filepath.Join(p.real, filepath.FromSlash(strings.TrimPrefix(key, p.base)))
}

// resolve looks at what key names, and at each folder on the way to it. The
// error has no Op yet; its Path is the component that is in the way.
func (p *portable) resolve(key string) (fs.FileInfo, *fs.PathError) {
	if p.aboveBase(key) {
		return nil, &fs.PathError{Path: key, Err: fs.ErrNotExist}
	}
	info, at := p.root, ""
	if key != "" {
		at = p.base
	}
	rest := strings.TrimPrefix(key[len(at):], "/")
	for more := rest != ""; more; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		if !info.IsDir() {
			return nil, &fs.PathError{Path: at, Err: errNotFolder}
		}
		at = join(at, name)
		next, err := p.look(at, info)
		if err != nil {
			return nil, &fs.PathError{Path: at, Err: err}
		}
		info = next
	}
	return info, nil
}

// look looks at key in the folder parent: an error is the reason alone.
func (p *portable) look(key string, parent fs.FileInfo) (fs.FileInfo, error) {
	if p.follow[key] {
		info, err := os.Stat(p.path(key))
		return info, reason(err)
	}
	info, err := os.Lstat(p.path(key))
	if err != nil {
		return nil, reason(err)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return nil, backend.ErrSymlink
	}
	here, known := device(info)
	if there, _ := device(parent); known && info.IsDir() && here != there {
		return nil, backend.ErrMount
	}
	return info, nil
}

func (p *portable) stat(key string) (backend.Item, error) {
	info, err := p.file("stat", key)
	if err != nil {
		return backend.Item{}, err
	}
	return backend.Item{Name: key, Size: info.Size(), Modified: nanoseconds(info)}, nil
}

func (p *portable) open(key string) (f io.ReadCloser, err error) {
	for range looks {
		if f, err = p.openOnce(key); !errors.Is(err, errChanged) {
			break
		}
	}
	return f, err
}

func (p *portable) openOnce(key string) (io.ReadCloser, error) {
	info, err := p.file("open", key)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(p.path(key))
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: key, Err: reason(err)}
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(now, info) {
		return nil, backend.Join(&fs.PathError{Op: "open", Path: key, Err: errChanged}, err, f.Close())
	}
	return &counted{File: f, counts: p.counts}, nil
}

var errChanged = errors.New("was replaced while it was opened")

// file looks at key, which must be a file.
func (p *portable) file(op, key string) (fs.FileInfo, error) {
	info, pe := p.resolve(key)
	if pe == nil && !info.Mode().IsRegular() {
		pe = &fs.PathError{Path: key, Err: backend.ErrIrregular}
	}
	if pe != nil {
		pe.Op = op
		return nil, pe
	}
	return info, nil
}

// counted is a file that counts what is read from it.
type counted struct {
	*os.File
	counts *counters
}

// Read is io.Reader's.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	c.counts.bytes.Add(int64(n))
	return n, err
}

// nanoseconds is when a file was modified, as an Item has it.
func nanoseconds(info fs.FileInfo) int64 {
	t := info.ModTime()
	return backend.Nanoseconds(t.Unix(), int64(t.Nanosecond()))
}
