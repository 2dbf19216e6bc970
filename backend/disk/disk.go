// Package disk reports how full a directory's filesystem is.
package disk

// Space is the use of a filesystem, in bytes, as df shows it: space reserved for the
// superuser is neither used nor free.
type Space struct {
	Used int64 `json:"used_bytes"`
	Free int64 `json:"free_bytes"` // for users without privileges
}

// Freed returns the Space after so many bytes are freed.
func (s Space) Freed(bytes int64) Space {
	return Space{Used: max(0, s.Used-bytes), Free: s.Free + bytes}
}
