// Package history is about what a store with versions has of one key: which of its
// versions stands there, which are hidden by delete markers or written over, and what
// of that a run did. It asks nobody and changes nothing.
package history

import (
	"cmp"
	"slices"
	"strings"

	"regfsck/backend"
)

// Version is one of a key: an object that stood or stands under it, or a marker
// that hides those before.
type Version struct {
	ID, ETag string
	Size     int64
	At       int64 // when it was made, in nanoseconds since 1970 by the server's clock
	Marker   bool
	Latest   bool
}

// Check compares a version's size with what is known of it. Versions don't change:
// what differs is another version than the one that was meant.
func (v Version) Check(was *backend.Original) error {
	if was == nil {
		return nil
	}
	sized := backend.Original{Size: was.Size}
	return sized.Check(v.Size, nil)
}

// History is all versions of one key, the newest first.
type History []Version

// Sort brings the versions into their order. Servers tell them newest first, but
// some tell all markers apart from all versions, and times alone are whole
// seconds: versitygw's ids are ULIDs, which sort by time.
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

// Stands reports whether an object stands under the key.
func (h History) Stands() bool { return len(h) > 0 && !h[0].Marker }

// Whole reports whether the newest version is among them: some servers leave delete
// markers out of a page that begins behind a key, and what those hide would be
// taken for what stands there.
func (h History) Whole() bool {
	return len(h) == 0 || slices.ContainsFunc(h, func(v Version) bool { return v.Latest })
}

// Find returns where a version is, -1 for nowhere.
func (h History) Find(id string) int {
	return slices.IndexFunc(h, func(v Version) bool { return v.ID == id })
}

// Markers returns how many markers there are in a row from i on.
func (h History) Markers(i int) (n int) {
	for i+n < len(h) && h[i+n].Marker {
		n++
	}
	return n
}

// Life returns the versions in a row from i on: what has stood under the key
// without a delete in between.
func (h History) Life(i int) History {
	n := 0
	for i+n < len(h) && !h[i+n].Marker {
		n++
	}
	return h[i : i+n]
}

// Bytes adds up what the versions take.
func (h History) Bytes() (n int64) {
	for _, v := range h {
		n += v.Size
	}
	return n
}

// hidden returns when the marker at i came to be. It isn't older than what it
// hides; versitygw says that it is, but has the version below copied at that
// moment, with a time to match.
func (h History) hidden(i int) int64 {
	at := h[i].At
	if below := i + h.Markers(i); below < len(h) {
		at = max(at, h[below].At)
	}
	return at
}

// over reports whether the version at i was written over the one that follows.
func (h History) over(i int) bool {
	return i+1 < len(h) && !h[i].Marker && !h[i+1].Marker
}

// Same returns how many of the versions in a row hold what the newest holds: a
// request that was sent twice makes several.
func (h History) Same() int {
	n := 1
	for n < len(h) && !h[n].Marker && h[n].ETag != "" && h[n].ETag == h[0].ETag && h[n].Size == h[0].Size {
		n++
	}
	return n
}

// touched reports whether what stands came in the place of something else since.
func (h History) touched(since int64) bool {
	if h[0].At < since {
		return false
	}
	for i := range h {
		if h[i].Marker && h.hidden(i) >= since || h.over(i) && h[i].At >= since {
			return true
		}
	}
	return false
}

// give marks what goes with a change that left what it kept at a place: a version
// that was written over, or a marker and all that it hides.
func (h History) give(at int, given []bool) {
	given[at] = true
	for i := at; i >= 0 && h[i].Marker; i-- {
		given[i] = true
	}
	if h[at].Marker {
		below := at + h.Markers(at)
		for i := at; i < below+len(h.Life(below)); i++ {
			given[i] = true
		}
	}
}

// oldest returns where the oldest change since a moment left what it kept: the
// marker, or the version that was written over; -1 for nowhere.
func (h History) oldest(since int64) int {
	if since == 0 {
		return -1
	}
	for i := len(h) - 1; i >= 0; i-- {
		switch {
		case h[i].Marker && h.hidden(i) >= since:
			return i
		case h.over(i) && h[i].At >= since:
			return i + 1
		}
	}
	return -1
}
