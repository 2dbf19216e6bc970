package file

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// syncAll makes durable all that was changed on the filesystem of d.
func (d dir) syncAll() error {
	_, err := retry(func() (struct{}, error) { return struct{}{}, unix.Syncfs(d.fd) })
	return err
}

// syncReportsErrors reports whether syncAll fails if bytes of any file on the filesystem
// could not be written since d was opened. Linux does that since 5.8 (syncfs(2)), for
// filesystems with a disk.
func (d dir) syncReportsErrors() bool {
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

// release returns the first two numbers of a kernel's release: 5 and 8 of "5.8.0-rc1". A
// number that can't be parsed is 0.
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

// writeBack requests that the system begins to write some bytes of f. They are durable
// only after a sync.
func writeBack(f *os.File, from, bytes int64) {
	_ = unix.SyncFileRange(int(f.Fd()), from, bytes, unix.SYNC_FILE_RANGE_WRITE)
}
