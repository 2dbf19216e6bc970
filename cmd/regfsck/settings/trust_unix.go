//go:build unix

package settings

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// foreignWriters names the users, other than root and the process's user, who can write a
// file or directory; "" for none.
func foreignWriters(info fs.FileInfo) string {
	is, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return ""
	case is.Uid != 0 && int(is.Uid) != os.Geteuid():
		return fmt.Sprintf("user %d, whose it is", is.Uid)
	case info.Mode()&0o002 != 0:
		return "everybody"
	case info.Mode()&0o020 != 0:
		return fmt.Sprintf("group %d", is.Gid)
	}
	return ""
}

// everybodyReads reports whether everybody can read a file.
func everybodyReads(info fs.FileInfo) bool { return info.Mode()&0o004 != 0 }
