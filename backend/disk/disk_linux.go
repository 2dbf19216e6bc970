package disk

import "golang.org/x/sys/unix"

// blockOf returns how many bytes the blocks have that are counted.
func blockOf(fs *unix.Statfs_t) int64 {
	if fs.Frsize > 0 {
		return int64(fs.Frsize)
	}
	return int64(fs.Bsize)
}
