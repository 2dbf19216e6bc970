//go:build !unix

package settings

import "io/fs"

// foreignWriters names nobody: stores aren't changed on this system, and no command
// is run.
func foreignWriters(fs.FileInfo) string { return "" }

// everybodyReads reports nothing: the mode doesn't tell it on this system.
func everybodyReads(fs.FileInfo) bool { return false }
