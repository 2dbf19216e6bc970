// Package drivers lists the kinds of storage that regfsck can read. A new one is a
// package of its own below backend, and one line here.
package drivers

import (
	"regfsck/backend"
	"regfsck/backend/file"
	"regfsck/backend/s3"
)

// All returns the drivers, that of this machine's directories first.
func All() []backend.Driver {
	return []backend.Driver{
		file.Driver(),
		s3.Driver(),
	}
}
