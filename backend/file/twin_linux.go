//go:build amd64 || arm64

package file

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// identity tells a directory from all others, whatever it is called.
type identity struct{ dev, ino uint64 }

// twins are the keys under which directories are known that must not be met
// under another one: what is seen twice is judged twice, and what isn't needed
// under one name would be taken from the other.
type twins map[identity][]string

// twinsOf returns those of a listing: what is followed, and all on the way to the
// prefix. Where nothing is followed every directory has one name. Of the root
// itself other names may stand beside the store.
func (l *linux) twinsOf(k *kernel, prefix string) twins {
	if len(l.config.follow) == 0 || prefix == "" {
		return nil
	}
	all := twins{}
	add := func(key string) {
		fd, pe := l.openKey(k, key, unix.O_PATH|unix.O_DIRECTORY)
		if pe != nil { // who lists it will meet the error too
			return
		}
		defer k.close(fd)
		var st unix.Stat_t
		if k.lookAt(fd, &st) == 0 {
			id := identity{st.Dev, st.Ino}
			all[id] = append(all[id], key)
		}
	}
	for _, key := range l.config.follow {
		add(key)
	}
	for key := prefix; ; key, _ = split(key) {
		add(key)
		if key == "" {
			return all
		}
	}
}

// single returns an error where what is open under a key is known under another
// one.
func (w *worker) single(fd int, key string) error {
	if len(w.twins) == 0 || w.k.lookAt(fd, &w.st) != 0 {
		return nil
	}
	others := w.twins[identity{w.st.Dev, w.st.Ino}]
	if i := slices.IndexFunc(others, func(other string) bool { return other != key }); i >= 0 {
		return fmt.Errorf("%w: %s", backend.ErrTwice, others[i])
	}
	return nil
}
