//go:build !unix

package statedir

import (
	"errors"
	"io/fs"
	"os"
)

// ErrHeld is the error for a file that another process, or another opening by this one, has
// locked.
var ErrHeld = errors.New("another process has it open")

// Lock does nothing: stores aren't changed on this system.
func Lock(*os.File) error { return nil }

func foreignName(fs.FileInfo, fs.FileInfo) bool { return false }

func outsiders(fs.FileInfo, fs.FileInfo) string { return "" }
