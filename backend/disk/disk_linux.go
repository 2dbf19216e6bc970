package disk

import "golang.org/x/sys/unix"

// blockOf returns the size of the blocks that statfs counts, in bytes.
func blockOf(fs *unix.Statfs_t) int64 {
	if fs.Frsize > 0 {
		return int64(fs.Frsize)
	}
	return int64(fs.Bsize)
}
