package s3

import (
	"context"
	"sort"
	"strings"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
)

// Stats is backend.Stater's. Where many keys stand close together, pages of the
// listing tell of them, at a fraction of the requests; what isn't found so is
// looked at itself, as Stat does.
func (s *Store) Stats(ctx context.Context, keys []string) ([]backend.Item, []error) {
	items, errs := make([]backend.Item, len(keys)), make([]error, len(keys))
	found := make([]bool, len(keys))
	var sound []string
	var place []int
	for i, key := range keys {
		if errs[i] = checkKey("stat", key); errs[i] == nil {
			sound, place = append(sound, key), append(place, i)
		}
	}
	var work errgroup.Group
	work.SetLimit(s.workers)
	for _, g := range groups(sound, statsGroup) {
		if len(g.at) > fewKeys {
			work.Go(func() error {
				s.lookIn(ctx, g, sound, func(at int, item backend.Item) { items[place[at]], found[place[at]] = item, true })
				return nil
			})
		}
	}
	work.Wait()
	var rest []string
	var to []int
	for i, key := range keys {
		if !found[i] && errs[i] == nil {
			rest, to = append(rest, key), append(to, i)
		}
	}
	more, failed := s.Reader.Stats(ctx, rest)
	for n, i := range to {
		items[i], errs[i] = more[n], failed[n]
	}
	return items, errs
}

// statsGroup is how many keys are looked for in one chain of pages.
const statsGroup = 256

// lookIn asks for the pages that hold a group's keys, as long as they hold
// enough of them, and tells of each key that it finds. Why a page couldn't be
// had is left to the looks at the keys themselves.
func (s *Store) lookIn(ctx context.Context, g group, keys []string, found func(at int, item backend.Item)) {
	var p page
	for rest := g.at; len(rest) > fewKeys; {
		q := request{prefix: s.root + g.prefix, after: s.root + before(keys[rest[0]]), max: s.pageSize}
		if s.page(ctx, q, &p) != nil || len(p.objects) == 0 {
			return
		}
		n := 0
		last := p.objects[len(p.objects)-1].name()
		for ; n < len(rest) && s.root+keys[rest[n]] <= last; n++ {
			key := keys[rest[n]]
			at := sort.Search(len(p.objects), func(i int) bool { return p.objects[i].name() >= s.root+key })
			if o := &p.objects[at]; o.name() == s.root+key {
				found(rest[n], backend.Item{Name: key, Size: o.size, Modified: o.modified, ETag: strings.Clone(string(o.etag))})
			}
		}
		if n < fewKeys || !p.truncated {
			return
		}
		rest = rest[n:]
	}
}
