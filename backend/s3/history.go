package s3

import (
	"cmp"
	"slices"
	"strings"

	"regfsck/backend"
)

// version is one of a key: an object that stood or stands under it, or a marker
// that hides those before.
type version struct {
	id, etag string
	size     int64
	at       int64 // when it was made, in nanoseconds since 1970 by the server's clock
	marker   bool
	latest   bool
}

// check compares a version's size with what is known of it. Versions don't change:
// what differs is another version than the one that was meant.
func (v *version) check(was *backend.Original) error {
	if was == nil {
		return nil
	}
	sized := backend.Original{Size: was.Size}
	return sized.Check(v.size, nil)
}

// history is all versions of one key, the newest first.
type history []version

// nullVersion is the version of what was written while a bucket kept none.
const nullVersion = "null"

// sort brings the versions into their order. Servers tell them newest first, but
// some tell all markers apart from all versions, and times alone are whole
// seconds: versitygw's ids are ULIDs, which sort by time.
func (h history) sort() {
	ulids := !slices.ContainsFunc(h, func(v version) bool { return !isULID(v.id) })
	slices.SortStableFunc(h, func(a, b version) int {
		switch {
		case a.latest != b.latest && a.latest:
			return -1
		case a.latest != b.latest:
			return 1
		case ulids:
			return strings.Compare(b.id, a.id)
		}
		return cmp.Compare(b.at, a.at)
	})
}

// isULID reports whether an id is 26 digits of Crockford's base 32.
func isULID(id string) bool {
	return len(id) == 26 && strings.Trim(id, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == ""
}

// stands reports whether an object stands under the key.
func (h history) stands() bool { return len(h) > 0 && !h[0].marker }

// whole reports whether the newest version is among them: some servers leave delete
// markers out of a page that begins behind a key, and what those hide would be
// taken for what stands there.
func (h history) whole() bool {
	return len(h) == 0 || slices.ContainsFunc(h, func(v version) bool { return v.latest })
}

// find returns where a version is, -1 for nowhere.
func (h history) find(id string) int {
	return slices.IndexFunc(h, func(v version) bool { return v.id == id })
}

// markers returns how many markers there are in a row from i on.
func (h history) markers(i int) (n int) {
	for i+n < len(h) && h[i+n].marker {
		n++
	}
	return n
}

// life returns the versions in a row from i on: what has stood under the key
// without a delete in between.
func (h history) life(i int) history {
	n := 0
	for i+n < len(h) && !h[i+n].marker {
		n++
	}
	return h[i : i+n]
}

// bytes adds up what the versions take.
func (h history) bytes() (n int64) {
	for _, v := range h {
		n += v.size
	}
	return n
}

// hidden returns when the marker at i came to be. It isn't older than what it
// hides; versitygw says that it is, but has the version below copied at that
// moment, with a time to match.
func (h history) hidden(i int) int64 {
	at := h[i].at
	if below := i + h.markers(i); below < len(h) {
		at = max(at, h[below].at)
	}
	return at
}

// over reports whether the version at i was written over the one that follows.
func (h history) over(i int) bool {
	return i+1 < len(h) && !h[i].marker && !h[i+1].marker
}

// same returns how many of the versions in a row hold what the newest holds: a
// request that was sent twice makes several.
func (h history) same() int {
	n := 1
	for n < len(h) && !h[n].marker && h[n].etag != "" && h[n].etag == h[0].etag && h[n].size == h[0].size {
		n++
	}
	return n
}

// touched reports whether what stands came in the place of something else since.
func (h history) touched(since int64) bool {
	if h[0].at < since {
		return false
	}
	for i := range h {
		if h[i].marker && h.hidden(i) >= since || h.over(i) && h[i].at >= since {
			return true
		}
	}
	return false
}

// give marks what goes with a change that left what it kept at a place: a version
// that was written over, or a marker and all that it hides.
func (h history) give(at int, given []bool) {
	given[at] = true
	for i := at; i >= 0 && h[i].marker; i-- {
		given[i] = true
	}
	if h[at].marker {
		below := at + h.markers(at)
		for i := at; i < below+len(h.life(below)); i++ {
			given[i] = true
		}
	}
}

// oldest returns where the oldest change since a moment left what it kept: the
// marker, or the version that was written over; -1 for nowhere.
func (h history) oldest(since int64) int {
	if since == 0 {
		return -1
	}
	for i := len(h) - 1; i >= 0; i-- {
		switch {
		case h[i].marker && h.hidden(i) >= since:
			return i
		case h.over(i) && h[i].at >= since:
			return i + 1
		}
	}
	return -1
}
