package s3

import "sort"

// names are the folders of a folder, sorted, as a delimiter shows them.
type names struct {
	folder string
	list   []string // with a slash at the end
	more   bool     // there are more behind the last
	passed int      // how many of them walks have gone by
	keys   int      // and with how many keys
}

// each returns how many keys a name stands for.
func (n *names) each() float64 { return float64(n.keys) / float64(max(1, n.passed)) }

// thin tells that so few keys stand behind each name that asking for names
// isn't worth a request.
func (n *names) thin() bool { return n.keys < 50*n.passed }

// ahead returns those between the span's position and its end.
func (n *names) ahead(s *span) []string {
	low := sort.Search(len(n.list), func(i int) bool { return n.list[i] > s.pos })
	high := len(n.list)
	if s.until != "" {
		high = sort.SearchStrings(n.list, s.until)
	}
	return n.list[low:max(low, high)]
}

// open reports whether something may lie behind the last name and in the span.
func (n *names) open(s *span) bool {
	return n.more && (s.until == "" || len(n.list) == 0 || s.until > n.list[len(n.list)-1])
}
