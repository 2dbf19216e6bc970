// Package disk tells how full the filesystem of a directory is.
package disk

// Space is how full a filesystem is, in bytes, as df shows it: what is kept back for the
// superuser is neither used nor free.
type Space struct {
	Used int64 `json:"used_bytes"`
	Free int64 `json:"free_bytes"` // for users without privileges
}

// Freed returns the space after so many bytes were freed.
func (s Space) Freed(bytes int64) Space {
	return Space{Used: max(0, s.Used-bytes), Free: s.Free + bytes}
}
