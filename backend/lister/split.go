package lister

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"unicode/utf8"
)

// keyRange is the keys of one walk: those above after, up to until. The walk owns pos and
// token, the scheduler the rest.
type keyRange struct {
	after, until string // until is "" for the end of the listing
	pos          string // the last listed key
	token        string // of the page after pos; "" before the first
	pages        int    // pages listed

	from string // the first key of the last page
	keys int    // in the last page

	digests *digestRange // the directory of pos, if its names are digests
	names   *names       // directories ahead, if listed
	dir     string       // the directory whose names to list; "" if not chosen
	limit   string       // upper limit of the keys by the listed names; "" if unknown
	least   float64      // estimated pages, used before the first

	busy         bool      // its names are being listed, or a split of it is tested: don't split it
	unsplittable bool      // no split was found since the last page
	splitFrom    *keyRange // the lower range, while this one tests the first split
}

// rest estimates how many pages are left: in the directory of digests, and after it.
func (s *keyRange) rest(perPage float64, prefix string) (digests, behind float64) {
	if s.digests != nil {
		digests = s.digests.left(s.pos, s.until) / perPage
		if !s.continues() {
			return digests, 0
		}
	}
	if s.names != nil {
		behind = float64(len(s.names.ahead(s))) * s.names.each() / perPage
		if !s.names.open(s) && behind > 0 {
			return digests, behind
		}
	}
	return digests, behind + s.unknown(prefix)
}

// unknown estimates how many pages are left in the unlisted part: as if the keys had the
// density of the last page, but at most about twice the pages so far, since they seldom have.
func (s *keyRange) unknown(prefix string) float64 {
	if s.pages == 0 && s.least > 0 {
		return s.least
	}
	return min(4+2*float64(s.pages), extrapolate(s.from, s.pos, s.end(prefix)))
}

// continues reports whether the range has keys after its directory of digests.
func (s *keyRange) continues() bool { return s.until == "" || s.until > s.digests.end() }

// minRest is the smallest estimated rest, in pages, that is split: a part of less than three
// pages costs more requests than it saves time.
const minRest = 6

// where returns the key for a split, or ask if the names of s.dir should be listed first.
func (s *keyRange) where(perPage float64, mayAsk bool, prefix string) (at string, ask bool) {
	if s.digests != nil {
		if digests, _ := s.rest(perPage, prefix); digests >= minRest {
			if s.continues() {
				return s.digests.end(), false
			}
			return s.digests.middle(s.pos, s.until), false
		}
	}
	if s.names != nil {
		if at, known := s.byNames(prefix); known {
			return at, false
		}
	}
	if s.dir == "" || !strings.HasPrefix(s.pos, s.dir) {
		s.dir = commonDir(s.pos, s.until, prefix)
	}
	if mayAsk && childDir(s.dir, s.pos) != "" {
		return "", true
	}
	return middle(s.pos, s.end(prefix)), false
}

// byNames splits between the known names. If all are passed, it sets s.dir to the directory
// whose names to list next.
func (s *keyRange) byNames(prefix string) (at string, known bool) {
	n := s.names
	ahead, open := n.ahead(s), n.open(s)
	switch {
	case len(ahead) > 0 && open:
		return ahead[len(ahead)-1], true
	case len(ahead) > 0:
		return ahead[len(ahead)/2], true
	case open && n.sparse():
		return middle(s.pos, s.end(prefix)), true
	case open:
		s.dir = n.dir
	default:
		s.dir = childDir(n.dir, s.pos)
		if s.dir == "" {
			return middle(s.pos, s.end(prefix)), true
		}
		s.limit = s.dir[:len(s.dir)-1] + "0"
	}
	s.names = nil
	return "", false
}

// end returns a key above all keys of the range, as far as known.
func (s *keyRange) end(prefix string) string {
	switch {
	case s.limit > s.pos && (s.until == "" || s.limit < s.until):
		return s.limit
	case s.until != "":
		return s.until
	}
	return prefix + "\x7f"
}

// split returns the upper part of the range from a key on. The caller sets the new end of the
// lower part.
func (s *keyRange) split(at string, perPage float64, prefix string) *keyRange {
	upper := &keyRange{after: at, pos: at, until: s.until, names: s.names, dir: s.dir, limit: s.limit}
	if s.digests != nil && strings.HasPrefix(at, s.digests.dir) {
		upper.digests = s.digests
	}
	if n := s.names; n != nil && n.open(upper) && len(n.ahead(s)) > 0 {
		upper.least = max(s.least, float64(len(n.ahead(s)))*n.each()/perPage)
	} else if s.digests == nil {
		upper.least = s.unknown(prefix) / 2
		s.least = upper.least
	}
	return upper
}

// names are the sorted names of directories in a directory, as a listing with a delimiter
// returns them.
type names struct {
	dir    string
	list   []string // keys with a slash at the end
	more   bool     // there are more after the last
	passed int      // number of names that were listed to their end
	keys   int      // number of keys in these
}

// each returns the average number of keys below a name.
func (n *names) each() float64 { return float64(n.keys) / float64(max(1, n.passed)) }

// sparse reports whether there are so few keys below each name that listing names isn't worth
// a request.
func (n *names) sparse() bool { return n.keys < 50*n.passed }

// ahead returns the names between the range's position and its end.
func (n *names) ahead(s *keyRange) []string {
	low := sort.Search(len(n.list), func(i int) bool { return n.list[i] > s.pos })
	high := len(n.list)
	if s.until != "" {
		high = sort.SearchStrings(n.list, s.until)
	}
	return n.list[low:max(low, high)]
}

// open reports whether there may be unlisted names in the range.
func (n *names) open(s *keyRange) bool {
	return n.more && (s.until == "" || len(n.list) == 0 || s.until > n.list[len(n.list)-1])
}

// digestRange is a directory whose names are digests. These are uniform, so that the density
// of some keys gives the number of the rest.
type digestRange struct {
	dir    string  // with a slash at the end
	step   float64 // average distance of keys, in values
	paired bool    // each digest is in a directory of its first two digits
}

// hexDigits is the number of leading digits that a value consists of.
const hexDigits = 15

const hexValues = float64(1 << (4 * hexDigits))

// findDigestRange returns the directory of digests of a page's last keys; nil if too few of
// them are in one.
func findDigestRange(objects []Object) *digestRange {
	if len(objects) < 2 {
		return nil
	}
	last := objects[len(objects)-1].name()
	h := digestDir(last)
	if h == nil {
		return nil
	}
	low, high := 0, len(objects)-1
	for low < high {
		if mid := (low + high) / 2; objects[mid].name() < h.dir {
			low = mid + 1
		} else {
			high = mid
		}
	}
	n := len(objects) - 1 - low
	h.dir = strings.Clone(h.dir)
	h.step = (h.value(last) - h.value(objects[low].name())) / float64(n)
	if n < 2 || h.step <= 0 || n < min(64, len(objects)/2) {
		return nil
	}
	return h
}

// digestDir returns the outermost directory of digests that contains key.
func digestDir(key string) *digestRange {
	for at := 0; ; {
		name, rest, more := strings.Cut(key[at:], "/")
		switch {
		case !more:
			return nil
		case len(name) >= 64 && isHex(name):
			return &digestRange{dir: key[:at]}
		case len(name) == 2 && isHex(name) && strings.HasPrefix(rest, name) && len(rest) > 64 && isHex(rest[:64]):
			return &digestRange{dir: key[:at], paired: true}
		}
		at += len(name) + 1
	}
}

func isHex(s string) bool {
	return len(s) > 0 && strings.Trim(s, "0123456789abcdef") == ""
}

// end returns the key above all keys of the directory.
func (h *digestRange) end() string { return h.dir[:len(h.dir)-1] + "0" }

// value returns the position of a key in the directory, from 0 to hexValues; a key outside is
// at one of the ends.
func (h *digestRange) value(key string) float64 {
	digits, in := strings.CutPrefix(key, h.dir)
	if !in {
		if key > h.dir {
			return hexValues
		}
		return 0
	}
	if h.paired && len(digits) > 2 && digits[2] == '/' && len(digits) > 3 {
		digits = digits[3:]
	}
	var n uint64
	for i := range hexDigits {
		n <<= 4
		if i < len(digits) {
			n |= uint64(strings.IndexByte("0123456789abcdef", digits[i])) & 15
		}
	}
	return float64(n)
}

// left estimates the number of the directory's keys between two keys.
func (h *digestRange) left(pos, until string) float64 {
	high := hexValues
	if until != "" {
		high = h.value(until)
	}
	return max(0, (high-h.value(pos))/h.step)
}

// middle returns the key halfway between two, or "".
func (h *digestRange) middle(pos, until string) string {
	low, high := h.value(pos), hexValues
	if until != "" {
		high = h.value(until)
	}
	digits := fmt.Sprintf("%0*x", hexDigits, uint64(low+(high-low)/2))
	if h.paired {
		digits = digits[:2] + "/" + digits
	}
	return between(h.dir+digits, pos, until)
}

// between returns key if it is strictly between two others and valid in a request, else "".
func between(key, pos, until string) string {
	if key <= pos || !utf8.ValidString(key) || until != "" && key >= until {
		return ""
	}
	return key
}

// symbols are the characters of names in the order of keys, and one above them.
const symbols = "-./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"

// places is the number of characters after the common prefix that are considered.
const places = 9

// middle returns a key about halfway between two, or "".
func middle(low, high string) string {
	n := 0
	for n < len(low) && n < len(high) && low[n] == high[n] {
		n++
	}
	a, b := toNumber(low[n:]), toNumber(high[n:])
	if b <= a {
		return ""
	}
	v := a + (b-a)/2
	var name [places]byte
	for i := places - 1; i >= 0; i-- {
		name[i] = symbols[v%uint64(len(symbols))]
		v /= uint64(len(symbols))
	}
	return between(low[:n]+strings.TrimRight(string(name[:]), "-"), low, high)
}

// extrapolate returns the distance from pos to high in units of that from low to pos.
func extrapolate(low, pos, high string) float64 {
	n := 0
	for n < len(low) && n < len(high) && low[n] == high[n] {
		n++
	}
	a, b, c := toNumber(low[n:]), toNumber(pos[min(n, len(pos)):]), toNumber(high[n:])
	if b <= a {
		return math.Inf(1)
	}
	return float64(max(b, c)-b) / float64(b-a)
}

// toNumber parses the first characters of a name as a number in base len(symbols).
func toNumber(name string) (v uint64) {
	for i := range places {
		digit := 0
		if i < len(name) {
			for digit+1 < len(symbols) && symbols[digit+1] <= name[i] {
				digit++
			}
		}
		v = v*uint64(len(symbols)) + uint64(digit)
	}
	return v
}

// childDir returns the directory in dir that contains key, with a slash; "" if key is directly
// in dir or outside.
func childDir(dir, key string) string {
	rest, in := strings.CutPrefix(key, dir)
	if n := strings.IndexByte(rest, '/'); in && n >= 0 {
		return key[:len(dir)+n+1]
	}
	return ""
}

// commonDir returns the innermost directory that contains both ends of a range, at least the
// listing's prefix.
func commonDir(pos, until, prefix string) string {
	n := 0
	for n < len(pos) && n < len(until) && pos[n] == until[n] {
		n++
	}
	dir := pos[:strings.LastIndexByte(pos[:n], '/')+1]
	if len(dir) < len(prefix) {
		return prefix
	}
	return dir
}
