package s3

import (
	"strings"
)

// span is a part of the row of keys that one walk takes: those above after, up
// to until. All of it but pos and token is the pool's.
type span struct {
	after, until string // until is "" for the end of the listing
	pos          string // the last key that was seen
	token        string // asks for the page that follows pos; "" before the first
	pages        int    // pages seen

	from string // the first key of the last page
	keys int    // in the last page

	hex    *hexes  // the folder that pos is in, where its names are digests
	names  *names  // folders that lie ahead, where somebody has asked
	folder string  // whose folders to ask for; "" to be found out
	limit  string  // nothing lies behind it, as far as names have shown; "" if they haven't
	least  float64 // pages that are probably left, before the first has come

	taken bool  // being asked about, or on trial: not to be cut
	stuck bool  // no cut was found since the last page
	trial *span // the span that this one was cut from on trial
}

// rest estimates how many pages are left: of the digests of one folder, and of
// what lies behind them.
func (s *span) rest(perPage float64, prefix string) (digests, behind float64) {
	if s.hex != nil {
		digests = s.hex.left(s.pos, s.until) / perPage
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
func (s *span) unknown(prefix string) float64 {
	if s.pages == 0 && s.least > 0 {
		return s.least
	}
	return min(4+2*float64(s.pages), way(s.from, s.pos, s.end(prefix)))
}

// beyond reports whether the span goes on behind its folder of digests.
func (s *span) beyond() bool { return s.until == "" || s.until > s.hex.end() }

// minRest is the estimated rest, in pages, of a span that is worth a cut: a part
// of less than three costs more requests than it saves time.
const minRest = 6

// where says where the span is best cut: at a key, or at one that a look at
// the names in a folder would find.
func (s *span) where(perPage float64, mayAsk bool, prefix string) (at string, ask bool) {
	if s.hex != nil {
		if digests, _ := s.rest(perPage, prefix); digests >= minRest {
			if s.beyond() {
				return s.hex.end(), false
			}
			return s.hex.middle(s.pos, s.until), false
		}
	}
	if s.names != nil {
		if at, known := s.byNames(prefix); known {
			return at, false
		}
	}
	if s.folder == "" || !strings.HasPrefix(s.pos, s.folder) {
		s.folder = commonFolder(s.pos, s.until, prefix)
	}
	if mayAsk && childFolder(s.folder, s.pos) != "" {
		return "", true
	}
	return middle(s.pos, s.end(prefix)), false
}

// byNames cuts between the names that are known. Where they are used up it says
// in which folder to ask for others.
func (s *span) byNames(prefix string) (at string, known bool) {
	n := s.names
	ahead, open := n.ahead(s), n.open(s)
	switch {
	case len(ahead) > 0 && open:
		return ahead[len(ahead)-1], true
	case len(ahead) > 0:
		return ahead[len(ahead)/2], true
	case open && n.thin():
		return middle(s.pos, s.end(prefix)), true
	case open:
		s.folder = n.folder
	default:
		s.folder = childFolder(n.folder, s.pos)
		if s.folder == "" {
			return middle(s.pos, s.end(prefix)), true
		}
		s.limit = s.folder[:len(s.folder)-1] + "0"
	}
	s.names = nil
	return "", false
}

// end returns a key behind which nothing of the span lies, as far as is known.
func (s *span) end(prefix string) string {
	switch {
	case s.limit > s.pos && (s.until == "" || s.limit < s.until):
		return s.limit
	case s.until != "":
		return s.until
	}
	return prefix + "\x7f"
}

// split cuts the span at a key and returns the upper part. Its end is still the
// old one, and so is that of the span.
func (s *span) split(at string, perPage float64, prefix string) *span {
	upper := &span{after: at, pos: at, until: s.until, names: s.names, folder: s.folder, limit: s.limit}
	if s.hex != nil && strings.HasPrefix(at, s.hex.folder) {
		upper.hex = s.hex
	}
	if n := s.names; n != nil && n.open(upper) && len(n.ahead(s)) > 0 {
		upper.least = max(s.least, float64(len(n.ahead(s)))*n.each()/perPage)
	} else if s.hex == nil {
		upper.least = s.unknown(prefix) / 2
		s.least = upper.least
	}
	return upper
}
