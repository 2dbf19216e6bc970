//go:build unix

package file

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// attributes are what a new file or folder takes from what is near it.
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

// neighbour returns the attributes for the new file of the folder d: those of
// what stands there, else of a file beside it, else of a file of its name in the
// same repository, the nearest first, else of the folder, which can be executed
// where a file can't.
func (p *put) neighbour(d dir) (*attributes, error) {
	if p.old != nil {
		return attributesOf(p.old), nil
	}
	s := search{Store: p.Store, left: searchFolders}
	if a := s.file(d, ""); a != nil {
		return a, nil
	}
	repository, _, ok := strings.Cut(p.folder, "/_")
	for key := p.folder; ok && key != repository; {
		key, _ = split(key)
		if a := s.below(key, p.name, key == repository); a != nil {
			return a, nil
		}
	}
	st, err := d.self()
	a := attributesOf(&st)
	a.mode &= 0o666
	return a, err
}

// searchFolders is how many folders are opened to find a neighbour.
const searchFolders = 64

// search looks for a file to be like. What it can't read it leaves out.
type search struct {
	*Store
	left int // folders that may yet be opened
}

// below looks for a file called name below the folder key: in a repository only
// below what is its own.
func (s *search) below(key, name string, repository bool) *attributes {
	d, err := s.openFolder("look at", key)
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
		kidKey := join(key, kid)
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
		return len(names) < searchFolders
	})
	return names
}
