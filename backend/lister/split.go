package lister

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"unicode/utf8"
)

// keyRange is the keys that one walk takes: those above after, up to until. All of it
// but pos and token is the scheduler's.
type keyRange struct {
	after, until string // until is "" for the end of the listing
	pos          string // the last key that was seen
	token        string // asks for the page that follows pos; "" before the first
	pages        int    // pages seen

	from string // the first key of the last page
	keys int    // in the last page

	digests *digestRange // the directory that pos is in, where its names are digests
	names   *names       // directories that lie ahead, where somebody has asked
	dir     string       // whose directories to ask for; "" to be found out
	limit   string       // nothing lies behind it, as far as names have shown; "" if they haven't
	least   float64      // pages that are probably left, before the first has come

	taken        bool      // being asked about, or split from on trial: not to be split
	unsplittable bool      // no place for a split was found since the last page
	unproven     *keyRange // the range that this one was split from, until its first page shows that the server begins there
}

// rest estimates how many pages are left: of the digests of one directory, and of
// what lies behind them.
func (s *keyRange) rest(perPage float64, prefix string) (digests, behind float64) {
	if s.digests != nil {
		digests = s.digests.left(s.pos, s.until) / perPage
		if !s.beyond() {
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

// unknown estimates how many pages are left of what nobody has looked at: as
// many as the way tells that the last page has gone, if all of it is like that;
// but no more than about twice those that came, since it seldom is.
func (s *keyRange) unknown(prefix string) float64 {
	if s.pages == 0 && s.least > 0 {
		return s.least
	}
	return min(4+2*float64(s.pages), way(s.from, s.pos, s.end(prefix)))
}

// beyond reports whether the range goes on behind its directory of digests.
func (s *keyRange) beyond() bool { return s.until == "" || s.until > s.digests.end() }

// minRest is the estimated rest, in pages, of a range that is worth a split: a part
// of less than three costs more requests than it saves time.
const minRest = 6

// where says where the range is best split: at a key, or at one that a look at
// the names in a directory would find.
func (s *keyRange) where(perPage float64, mayAsk bool, prefix string) (at string, ask bool) {
	if s.digests != nil {
		if digests, _ := s.rest(perPage, prefix); digests >= minRest {
			if s.beyond() {
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

// byNames splits between the names that are known. Where they are used up it says
// in which directory to ask for others.
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

// end returns a key behind which nothing of the range lies, as far as is known.
func (s *keyRange) end(prefix string) string {
	switch {
	case s.limit > s.pos && (s.until == "" || s.limit < s.until):
		return s.limit
	case s.until != "":
		return s.until
	}
	return prefix + "\x7f"
}

// split splits the range at a key and returns the upper part. Its end is still the
// old one, and so is that of the lower part.
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

// names are the directories of a directory, sorted, as a delimiter shows them.
type names struct {
	dir    string
	list   []string // with a slash at the end
	more   bool     // there are more behind the last
	passed int      // how many of them walks have gone by
	keys   int      // and with how many keys
}

// each returns how many keys a name stands for.
func (n *names) each() float64 { return float64(n.keys) / float64(max(1, n.passed)) }

// sparse reports whether so few keys stand behind each name that asking for names
// isn't worth a request.
func (n *names) sparse() bool { return n.keys < 50*n.passed }

// ahead returns those between the range's position and its end.
func (n *names) ahead(s *keyRange) []string {
	low := sort.Search(len(n.list), func(i int) bool { return n.list[i] > s.pos })
	high := len(n.list)
	if s.until != "" {
		high = sort.SearchStrings(n.list, s.until)
	}
	return n.list[low:max(low, high)]
}

// open reports whether something may lie behind the last name and in the range.
func (n *names) open(s *keyRange) bool {
	return n.more && (s.until == "" || len(n.list) == 0 || s.until > n.list[len(n.list)-1])
}

// digestRange is a directory whose names are digests, which are uniform: how many keys
// there were on a stretch tells how many lie ahead.
type digestRange struct {
	dir    string  // with a slash at the end
	step   float64 // from key to key, in values
	paired bool    // each digest stands in a directory of its first two digits
}

// hexDigits is how many digits of a digest count.
const hexDigits = 15

const hexValues = float64(1 << (4 * hexDigits))

// findDigestRange finds out whether the last keys of a page, at least a few of them, are
// in one directory of digests.
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

// digestDir returns the outermost directory of digests that key is in.
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

// end returns the key that all of the directory's lie below.
func (h *digestRange) end() string { return h.dir[:len(h.dir)-1] + "0" }

// value returns where a key of the directory stands, from 0 to hexValues; what lies
// outside of the directory stands at the one end or the other.
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

// left estimates how many keys of the directory lie between two keys.
func (h *digestRange) left(pos, until string) float64 {
	high := hexValues
	if until != "" {
		high = h.value(until)
	}
	return max(0, (high-h.value(pos))/h.step)
}

// middle returns the key halfway between two, "" if there is none.
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

// between returns key if it lies strictly between two others and can be sent,
// else "".
func between(key, pos, until string) string {
	if key <= pos || !utf8.ValidString(key) || until != "" && key >= until {
		return ""
	}
	return key
}

// symbols are what names consist of, in the order of keys, and one above them.
const symbols = "-./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"

// places is how many symbols behind the common beginning are looked at.
const places = 9

// middle returns a key about halfway between two, "" if there is none.
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

// way returns how far it is from pos to high, if it is 1 from low to pos.
func way(low, pos, high string) float64 {
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

// toNumber reads the beginning of a name as a number whose digits are symbols.
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

// childDir returns the directory in dir that key is in, with a slash; "" if it
// is in none.
func childDir(dir, key string) string {
	rest, in := strings.CutPrefix(key, dir)
	if n := strings.IndexByte(rest, '/'); in && n >= 0 {
		return key[:len(dir)+n+1]
	}
	return ""
}

// commonDir returns the directory that both ends of a range are in, at least the
// listing's own.
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
