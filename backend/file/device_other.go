//go:build !unix

package file

import "io/fs"

// device is not known here: what is mounted in a folder shows as a link or as
// irregular.
func device(fs.FileInfo) (uint64, bool) { return 0, false }
