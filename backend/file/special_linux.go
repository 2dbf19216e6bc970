//go:build amd64 || arm64

package file

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// readMounts learns what is mounted below the root.
func (l *linux) readMounts() {
	text, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		l.setMounts(nil, false)
		return
	}
	defer text.Close()
	keys, err := mountKeys(text, l.real, l.base)
	l.setMounts(keys, err == nil)
}

// setMounts takes up where something is mounted, if that is known.
func (l *linux) setMounts(keys []string, known bool) {
	l.noMount = !known
	l.mounts = map[string]bool{}
	for _, key := range keys {
		l.mounts[key] = true
	}
	l.special = slices.Concat(keys, l.config.follow)
	slices.Sort(l.special)
}

// follow takes up a key that may lead elsewhere. Folders before it in order
// have been taken up.
func (l *linux) follow(key string) error {
	var k kernel
	dir, name := split(key)
	parent, pe := l.openKey(&k, dir, unix.O_PATH|unix.O_DIRECTORY)
	if pe != nil {
		return pe
	}
	defer k.close(parent)
	fd, errno := k.open(parent, cstring(name), unix.O_PATH)
	if errno != 0 {
		return errno
	}
	var st unix.Stat_t
	errno = k.lookAt(fd, &st)
	switch {
	case errno == 0 && kind(&st) == unix.S_IFDIR:
		l.anchors = slices.Insert(l.anchors, 0, anchor{key, fd})
		return nil
	case errno == 0 && kind(&st) == unix.S_IFREG:
		k.close(fd)
		l.files[key] = true
		return nil
	}
	k.close(fd)
	if errno != 0 {
		return errno
	}
	return backend.ErrIrregular
}

// hasBelow reports whether a sorted list of keys has some below the folder dir.
func hasBelow(sorted []string, dir string) bool {
	if dir == "" || len(sorted) == 0 {
		return len(sorted) > 0
	}
	i, _ := slices.BinarySearch(sorted, dir+"/")
	return i < len(sorted) && strings.HasPrefix(sorted[i], dir+"/")
}
