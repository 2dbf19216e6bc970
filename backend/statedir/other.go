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

// lock does nothing: stores aren't changed on this system.
func lock(*os.File) error { return nil }

func foreignName(fs.FileInfo, fs.FileInfo) bool { return false }

func hasFurtherNames(fs.FileInfo) bool { return false }

func setAttributes(*os.File, fs.FileInfo) error { return nil }

func outsiders(fs.FileInfo, fs.FileInfo) string { return "" }
