package file

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// syncAll makes durable all that was changed on the filesystem of d.
func (d dir) syncAll() error {
	_, err := again(func() (struct{}, error) { return struct{}{}, unix.Syncfs(d.fd) })
	return err
}

// tellsErrors reports whether syncAll fails where bytes of any file on the filesystem
// could not be written since d was opened: Linux does since 5.8 (syncfs(2)), for
// filesystems that have a disk of their own.
func (d dir) tellsErrors() bool {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(d.fd, &fs); err != nil {
		return false
	}
	switch uint32(fs.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
	default:
		return false
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return false
	}
	major, minor := release(unix.ByteSliceToString(u.Release[:]))
	return major > 5 || major == 5 && minor >= 8
}

// release returns the first two numbers of a kernel's release: 5.8 of 5.8.0-rc1. What
// can't be read is 0.
func release(s string) (major, minor int) {
	first, rest, _ := strings.Cut(s, ".")
	major, _ = strconv.Atoi(first)
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	minor, _ = strconv.Atoi(rest[:end])
	return major, minor
}

// writeBack asks the system to begin writing some bytes of f. They last no sooner than
// with a sync.
func writeBack(f *os.File, from, bytes int64) {
	_ = unix.SyncFileRange(int(f.Fd()), from, bytes, unix.SYNC_FILE_RANGE_WRITE)
}
