//go:build !unix || solaris || aix

package ledger

import "os"

// lock does nothing where files can't be locked. Two runs that write into one file are
// found out by the next one that reads it.
func lock(*os.File) error { return nil }
