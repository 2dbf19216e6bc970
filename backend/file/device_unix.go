//go:build unix

package file

import (
	"io/fs"
	"syscall"
)

// device returns the filesystem that a file is in, where the system tells.
func device(info fs.FileInfo) (uint64, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return uint64(st.Dev), true
}
