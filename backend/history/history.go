// Package history interprets the versions that a versioned store has of one key: the current
// version, those hidden by delete markers, those that were overwritten, and which of them a
// run removed or replaced. It makes no requests.
package history

import (
	"cmp"
	"slices"
	"strings"

	"regfsck/backend"
)

// Version is one version of a key: an object, or a delete marker that hides the versions
// before it.
type Version struct {
	ID, ETag string
	Size     int64
	At       int64 // creation time, in nanoseconds since 1970, by the server's clock
	Marker   bool
	Latest   bool
}

// Check returns backend.ErrAltered if a version's size differs from that of the original. A
// nil original accepts any. Versions are immutable: another size means another version.
func (v Version) Check(was *backend.Original) error {
	if was == nil {
		return nil
	}
	sized := backend.Original{Size: was.Size}
	return sized.Check(v.Size, nil)
}

// History is all versions of one key, newest first.
type History []Version

// Sort sorts the versions newest first. Most servers list them in that order, but some list
// all markers apart from all other versions, and times may be in whole seconds. versitygw's
// ids are ULIDs, which sort by time.
func (h History) Sort() {
	ulids := !slices.ContainsFunc(h, func(v Version) bool { return !isULID(v.ID) })
	slices.SortStableFunc(h, func(a, b Version) int {
		switch {
		case a.Latest != b.Latest && a.Latest:
			return -1
		case a.Latest != b.Latest:
			return 1
		case ulids:
			return strings.Compare(b.ID, a.ID)
		}
		return cmp.Compare(b.At, a.At)
	})
}

// isULID reports whether an id is 26 digits of Crockford's base 32.
func isULID(id string) bool {
	return len(id) == 26 && strings.Trim(id, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == ""
}

// Exists reports whether the key's current version is an object.
func (h History) Exists() bool { return len(h) > 0 && !h[0].Marker }

// Complete reports whether the latest version is among them. Some servers leave delete markers
// out of a page that begins after a key; a version that they hide would then look current.
func (h History) Complete() bool {
	return len(h) == 0 || slices.ContainsFunc(h, func(v Version) bool { return v.Latest })
}

// Find returns the index of a version, or -1.
func (h History) Find(id string) int {
	return slices.IndexFunc(h, func(v Version) bool { return v.ID == id })
}

// Markers returns the number of consecutive markers from index i on.
func (h History) Markers(i int) (n int) {
	for i+n < len(h) && h[i+n].Marker {
		n++
	}
	return n
}

// Objects returns the consecutive objects from index i on: the versions that existed under the
// key without a delete in between.
func (h History) Objects(i int) History {
	n := 0
	for i+n < len(h) && !h[i+n].Marker {
		n++
	}
	return h[i : i+n]
}

// Bytes returns the total size of the versions.
func (h History) Bytes() (n int64) {
	for _, v := range h {
		n += v.Size
	}
	return n
}

// markedAt returns the time of the marker at index i. A marker isn't older than the version
// that it hides. versitygw reports an older time, but copies that version at the time of the
// delete.
func (h History) markedAt(i int) int64 {
	at := h[i].At
	if below := i + h.Markers(i); below < len(h) {
		at = max(at, h[below].At)
	}
	return at
}

// replaced reports whether the version at index i replaced the next one without a marker.
func (h History) replaced(i int) bool {
	return i+1 < len(h) && !h[i].Marker && !h[i+1].Marker
}

// Repeats returns how many versions from the newest on, itself included, have the same
// content: a request that was sent twice creates two.
func (h History) Repeats() int {
	n := 1
	for n < len(h) && !h[n].Marker && h[n].ETag != "" && h[n].ETag == h[0].ETag && h[n].Size == h[0].Size {
		n++
	}
	return n
}

// changed reports whether the current version took another version's place after since.
func (h History) changed(since int64) bool {
	if h[0].At < since {
		return false
	}
	for i := range h {
		if h[i].Marker && h.markedAt(i) >= since || h.replaced(i) && h[i].At >= since {
			return true
		}
	}
	return false
}

// mark marks the versions that the change at index at kept: one replaced version, or a marker
// and all that it hides.
func (h History) mark(at int, marked []bool) {
	marked[at] = true
	for i := at; i >= 0 && h[i].Marker; i-- {
		marked[i] = true
	}
	if h[at].Marker {
		below := at + h.Markers(at)
		for i := at; i < below+len(h.Objects(below)); i++ {
			marked[i] = true
		}
	}
}

// oldest returns the index of what the oldest change after since kept: its marker, or the
// version that it replaced; -1 for none.
func (h History) oldest(since int64) int {
	if since == 0 {
		return -1
	}
	for i := len(h) - 1; i >= 0; i-- {
		switch {
		case h[i].Marker && h.markedAt(i) >= since:
			return i
		case h.replaced(i) && h[i].At >= since:
			return i + 1
		}
	}
	return -1
}
