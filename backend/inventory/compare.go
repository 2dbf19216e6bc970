package inventory

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/walker/layout"
)

// Comparison is how far the names of repositories, tags and revisions in a listing were
// compared with those in the store, and what the listing lacks.
type Comparison struct {
	Repositories int      // in the listing
	Compared     int      // of these: with their tags and sha256 revisions
	Requests     int      // for the names of directories
	Listed       []string // directories that were listed from the store, because the listing lacks them or a part of them
	Lacking      []string // those that were not listed, so that what they contain is unknown
}

// errLacking is the reason for a directory of Comparison.Lacking.
var errLacking = errors.New("the store has it, and the listing lacks it or a part of it: make a new listing")

const (
	// fewRequests is how many requests a comparison may make in any case, and again to list
	// what the listing lacks.
	fewRequests = 50
	// shareOfListing is the divisor for more: a tenth of what it takes to list the store.
	shareOfListing = 10
	// requestsEach is what one repository takes: its own names, its tags and its revisions.
	requestsEach = 3
)

// comparison compares names and makes at most budget requests.
type comparison struct {
	*Reader
	Comparison
	budget   int
	mu       sync.Mutex
	unlisted map[string]error // what the listing lacks, wholly or in part: why its names are unknown; nil if they are known
}

// compare compares the names in the listing with those in the store, and sets r.Comparison:
// first those in directories above repositories, then those in repositories, evenly spread
// over the listing. The rows of directories that must be listed from the store are marked as
// replaced. The faults are for those whose content is unknown.
func (r *Reader) compare(ctx context.Context, rows []row) (faults []backend.Fault, err error) {
	above, repositories := r.table.directories(rows)
	budget := fewRequests + len(r.table.rows)/(shareOfListing*r.perRequest)
	c := &comparison{Reader: r, budget: budget, unlisted: map[string]error{}}
	c.Comparison = Comparison{Repositories: len(repositories), Listed: []string{}, Lacking: []string{}}
	above = above[:min(len(above), budget)]
	c.Compared = min(len(repositories), (budget-len(above))/requestsEach)
	work, inner := errgroup.WithContext(ctx)
	work.SetLimit(r.workers)
	for _, dir := range above {
		work.Go(func() error { return c.names(inner, dir, "") })
	}
	for i := range c.Compared {
		dir := repositories[(i+1)*len(repositories)/c.Compared-1] // the last is among them: a cut listing may lack a part of it
		work.Go(func() error {
			manifests := dir + "/_manifests"
			return cmp.Or(c.names(inner, dir, ""), c.names(inner, manifests+"/tags", manifests), c.names(inner, manifests+"/revisions/sha256", manifests))
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	// If more than a quarter of a sample is incomplete, so is the rest.
	unfit := c.Compared < len(repositories) && 4*len(c.unlisted) > c.Compared+len(above)
	for _, key := range slices.Sorted(maps.Keys(c.unlisted)) {
		err, rows := c.unlisted[key], r.table.below(key)
		price := 1 + len(rows)/r.perRequest
		switch {
		case len(c.Listed) > 0 && backend.Inside(key, c.Listed[len(c.Listed)-1]):
			continue
		case err == nil && !unfit && price <= budget:
			budget -= price
			c.Listed = append(c.Listed, key)
			for i := range rows {
				rows[i].kind = replaced
			}
			continue
		case err == nil:
			err = errLacking
		}
		c.Lacking = append(c.Lacking, key)
		faults = append(faults, backend.Fault{Key: key, Err: err})
	}
	r.Comparison = &c.Comparison
	return faults, nil
}

// names compares the names in a directory. If the listing lacks one, that is what it lacks,
// or as if that isn't "".
func (c *comparison) names(ctx context.Context, dir, as string) error {
	there, err := c.Names(ctx, dir)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Requests++
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // what was removed since doesn't exist
		c.unlisted[dir] = err
	}
	for _, it := range there {
		name, isDirectory := strings.CutSuffix(it.Name, "/")
		key := dir + "/" + name
		// Uploads refer to no blob, and many listings lack these directories, which are empty.
		if isDirectory && name != "_uploads" && !c.table.has(key) {
			c.unlisted[cmp.Or(as, key)] = nil
		}
	}
	return nil
}

// has reports whether the listing has a key, or keys below it.
func (t *Table) has(key string) bool {
	_, is := slices.BinarySearchFunc(t.rows, key, func(at row, key string) int { return strings.Compare(string(t.bytes(&at)), key) })
	return is || len(t.below(key)) > 0
}

// directories returns the directories of repositories in rows, and those above them.
func (t *Table) directories(rows []row) (above, repositories []string) {
	above = []string{layout.Repositories}
	repository, parents := "", map[string]bool{}
	for i := range rows {
		key := t.bytes(&rows[i])
		at := bytes.Index(key, []byte("/_"))
		if at < 0 || string(key[:at]) == repository {
			continue
		}
		repository = string(key[:at])
		repositories = append(repositories, repository)
		for dir, _ := backend.SplitKey(repository); len(dir) > len(layout.Repositories) && !parents[dir]; dir, _ = backend.SplitKey(dir) {
			parents[dir] = true
		}
	}
	slices.Sort(repositories) // a repository in another may come between
	repositories = slices.Compact(repositories)
	for _, dir := range slices.Sorted(maps.Keys(parents)) {
		if _, is := slices.BinarySearch(repositories, dir); !is {
			above = append(above, dir)
		}
	}
	return above, repositories
}
