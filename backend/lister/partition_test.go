package lister

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// simulation lists sorted keys with a scheduler, without a network. All requests take one
// round, so that counts are the same each time.
type simulation struct {
	keys    []string
	prefix  string
	workers int
	bare    bool // no delimiters

	requests, rounds int
	listed           []bool
}

const simulatedPage = 1000

func (m *simulation) run(t *testing.T) {
	t.Helper()
	m.listed = make([]bool, len(m.keys))
	first := &keyRange{}
	sched := newScheduler(first, m.prefix, 0)
	sched.noNames = m.bare
	more := m.page(t, sched, first)
	at := make([]*keyRange, m.workers)
	if more {
		at[0] = first
	}
	for len(sched.ranges) > 0 {
		m.rounds++
		for i := range at {
			if at[i] != nil && !m.page(t, sched, at[i]) {
				at[i] = nil
			}
		}
		m.assign(sched, at)
	}
	if n := slices.Index(m.listed, false); n >= 0 {
		t.Errorf("%s isn't listed", m.keys[n])
	}
}

// assign gives ranges to idle workers; one that lists names is busy for the next round.
func (m *simulation) assign(sched *scheduler, at []*keyRange) {
	asking := map[*keyRange]bool{}
	for i := range at {
		if at[i] != nil {
			continue
		}
		walk, ask := sched.splitLargest()
		at[i] = walk
		if ask != nil {
			m.requests++
			asking[ask] = true
		}
	}
	for s := range asking {
		sched.setNames(s, m.names(sched, s))
	}
}

// page lists one page of a range.
func (m *simulation) page(t *testing.T, sched *scheduler, s *keyRange) bool {
	m.requests++
	from := sort.Search(len(m.keys), func(i int) bool { return m.keys[i] > s.pos })
	to := min(len(m.keys), from+simulatedPage)
	g := Page{Truncated: to < len(m.keys), Token: "more"}
	for _, key := range m.keys[from:to] {
		g.Objects = append(g.Objects, Object{Key: []byte(key)})
	}
	more := sched.advance(s, &g)
	for i := range g.Objects {
		if m.listed[from+i] {
			t.Errorf("%s is listed twice", m.keys[from+i])
		}
		m.listed[from+i] = true
	}
	return more
}

func (m *simulation) names(sched *scheduler, s *keyRange) *names {
	q := sched.question(s)
	n := &names{dir: q.dir, keys: q.keys, passed: 1}
	after := max(q.after, q.dir)
	for count := 0; ; count++ {
		i := sort.Search(len(m.keys), func(i int) bool { return m.keys[i] > after })
		if i == len(m.keys) || !strings.HasPrefix(m.keys[i], q.dir) {
			return n
		}
		if n.more = count == simulatedPage; n.more {
			return n
		}
		after = m.keys[i]
		if name := childDir(q.dir, after); name > q.pos {
			n.list = append(n.list, name)
		} else {
			n.passed++
		}
		if name := childDir(q.dir, after); name != "" {
			after = name[:len(name)-1] + "0"
		}
	}
}

// within checks the number of requests, and that the workers share the work.
func (m *simulation) within(t *testing.T) {
	t.Helper()
	pages := (len(m.keys) + simulatedPage - 1) / simulatedPage
	t.Logf("%d keys, %d pages, %d requests, %d rounds of %d", len(m.keys), pages, m.requests, m.rounds, m.workers)
	if most := pages*11/10 + 300; m.requests > most {
		t.Errorf("%d requests for %d pages, want at most %d", m.requests, pages, most)
	}
	if most := pages*3/(2*m.workers) + 40; m.rounds > most {
		t.Errorf("%d rounds for %d pages and %d workers, want at most %d", m.rounds, pages, m.workers, most)
	}
}

// stores returns typical shapes of a bucket.
func stores() map[string][]string {
	random := rand.New(rand.NewPCG(1, 2))
	all := map[string][]string{}
	var small, nested []string
	blobs := fixtures.BlobKeys(200_000)
	for i := range 20_000 {
		small = append(small, fixtures.RepositoryKeys(fmt.Sprintf("app-%05d", i), random.IntN(20), 1+random.IntN(3), fixtures.NumberedTag)...)
	}
	for i := range 60 {
		for j := range random.IntN(200) {
			nested = append(nested, fixtures.RepositoryKeys(fmt.Sprintf("team%d/%s/api", i*i, fixtures.Digest(j)[:9]), random.IntN(60), random.IntN(9), fixtures.NumberedTag)...)
		}
	}
	all["blobs"], all["small"], all["nested"] = blobs, small, nested
	all["giant"] = fixtures.RepositoryKeys("library/giant", 500_000, 0, fixtures.NumberedTag)
	all["giant and small"] = slices.Concat(fixtures.RepositoryKeys("library/giant", 400_000, 3, fixtures.NumberedTag), small)
	all["giant before small"] = slices.Concat(fixtures.RepositoryKeys("library/giant", 200_000, 3, fixtures.NumberedTag), fixtures.RepositoryKeys("a", 5, 1, fixtures.NumberedTag))
	for i := range 3000 {
		all["giant before small"] = append(all["giant before small"], fixtures.RepositoryKeys(fmt.Sprintf("z/app-%05d", i), 20, 4, fixtures.NumberedTag)...)
	}
	all["tags"] = fixtures.RepositoryKeys("library/tags", 10, 60_000, fixtures.NumberedTag)
	all["tags by hash"] = fixtures.RepositoryKeys("library/tags", 10, 60_000, func(i int) string { return "sha-" + fixtures.Digest(i)[:7] })
	all["tiny"] = fixtures.RepositoryKeys("one", 20, 3, fixtures.NumberedTag)
	all["one page"] = blobs[:simulatedPage]
	for _, keys := range all {
		slices.Sort(keys)
	}
	return all
}

func TestRequests(t *testing.T) {
	for name, keys := range stores() {
		for _, workers := range []int{1, 16, 64} {
			for _, bare := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/%v", name, workers, bare), func(t *testing.T) {
					prefix := layout.Repositories + "/"
					if strings.HasPrefix(keys[0], "docker/registry/v2/blobs/") {
						prefix = "docker/registry/v2/blobs/"
					}
					m := &simulation{keys: keys, prefix: prefix, workers: workers, bare: bare}
					m.run(t)
					m.within(t)
				})
			}
		}
	}
}
