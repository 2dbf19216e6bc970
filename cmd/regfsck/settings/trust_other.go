//go:build !unix

package settings

import "io/fs"

// foreignWriters returns "": stores can't be changed on this system, and no command is run.
func foreignWriters(fs.FileInfo) string { return "" }

// everybodyReads returns false: the mode doesn't show it on this system.
func everybodyReads(fs.FileInfo) bool { return false }
