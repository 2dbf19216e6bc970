//go:build unix && !linux

package file

import "golang.org/x/sys/unix"

// syncAll makes durable all that was changed on any filesystem.
func (dir) syncAll() error { return unix.Sync() }
