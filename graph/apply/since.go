package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"regfsck/graph"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// errNeeded is a link or a blob that the run wrote and that something relies on which was
// pushed since.
var errNeeded = errors.New("is needed by what was pushed since, and stays")

// pushedSince is what was pushed since a run began, as far as an undo has to know: of
// the repositories in which the run wrote.
type pushedSince struct {
	err   error // why nobody can say
	repos map[string]repositoryNeeds
}

// repositoryNeeds is what the pushes to one repository need.
type repositoryNeeds struct {
	digests map[layout.AnyDigest]bool
	err     error // why nobody can say
}

// readPushes reads the store for what was pushed since the run began. Where the
// run wrote nothing there is nothing to read for.
func (u *undoer) readPushes(ctx context.Context, written []intent) {
	u.pushes = pushedSince{repos: map[string]repositoryNeeds{}}
	if len(written) == 0 {
		return
	}
	scan, err := graph.Read(ctx, u.store, graph.Options{Now: time.Now()})
	if err != nil {
		u.pushes.err = fmt.Errorf("what was pushed since can't be read: %w", err)
		return
	}
	for i := range written {
		repos := []string{""}
		if key, err := layout.Parse(written[i].Key); err == nil {
			repos[0] = key.Repository
		}
		if repos[0] == "" { // a blob, which any of them may need
			repos = scan.Repositories()
		}
		for _, repo := range repos {
			if _, known := u.pushes.repos[repo]; !known {
				var n repositoryNeeds
				n.digests, n.err = scan.NeededSince(repo, u.begin.Time, u.wrote)
				u.pushes.repos[repo] = n
			}
		}
	}
}

// wrote reports whether a link with that time, in whole seconds rounded up, is
// as the run wrote it, as far as the journal tells.
func (u *undoer) wrote(key string, at time.Time) bool {
	if !u.meant(plan.Write, key) {
		return false
	}
	t := u.receipts[key].Time
	return t == 0 || at.Equal(time.Unix((t+int64(time.Second)-1)/int64(time.Second), 0))
}

// checkUnneeded returns why what the run wrote has to stay; nil where it may go.
func (u *undoer) checkUnneeded(i *intent) error {
	if u.pushes.err != nil {
		return u.pushes.err
	}
	key, err := layout.Parse(i.Key)
	if err != nil {
		return nil
	}
	d, ok := layout.ParseAnyDigest(key.Algorithm + ":" + key.Hex)
	if !ok || key.Kind != layout.LayerLink && key.Kind != layout.Revision && key.Kind != layout.Blob {
		return nil
	}
	for repo, n := range u.pushes.repos {
		if key.Repository != "" && repo != key.Repository {
			continue
		}
		if n.err != nil {
			return fmt.Errorf("what was pushed to %s since can't be read: %w", repo, n.err)
		}
		if n.digests[d] {
			return errNeeded
		}
	}
	return nil
}
