package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// errNeeded is a link or a blob that the run wrote and that something relies on which was
// pushed since, or brought back by a later run.
var errNeeded = errors.New("is needed by what was pushed or brought back since, and stays")

// pushedSince is what was pushed, or brought back, since a run began, as far as an undo
// has to know: of the repositories in which the run wrote.
type pushedSince struct {
	err    error // why nobody can say
	repos  map[string]repositoryNeeds
	untold bool // the store doesn't tell when a file was changed
}

// repositoryNeeds is what the pushes to one repository need.
type repositoryNeeds struct {
	digests map[layout.AnyDigest]bool
	err     error // why nobody can say
}

// readPushes reads the store for what was pushed since the run began, or written by a
// later run. Where the run wrote nothing there is nothing to read for.
func (u *undoer) readPushes(ctx context.Context, state string, all []*journal.Run, written []journal.Intent) {
	u.pushes = pushedSince{repos: map[string]repositoryNeeds{}}
	if len(written) == 0 {
		return
	}
	later, err := laterWrites(ctx, u.store, state, all, u.Run)
	if err != nil {
		u.pushes.err = fmt.Errorf("what later runs wrote can't be read: %w", err)
		return
	}
	var failed error
	since := func(key string, written time.Time) bool {
		switch {
		case later[key]:
			return true
		case !written.Before(u.Begin.Time):
			return !u.wrote(key, written)
		case u.restoredKeys[key] || u.Intended(plan.Write, key):
			return false
		}
		came, err := u.cameSince(ctx, key)
		failed = cmp.Or(failed, err)
		return came
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
				failed = nil
				n.digests, n.err = scan.NeededBy(repo, since)
				n.err = cmp.Or(n.err, failed)
				u.pushes.repos[repo] = n
			}
		}
	}
}

// cameSince reports whether a link with an old time has come since the run began: by a run
// whose state directory can't be read here, or as a copy that somebody made. One that a later
// run has removed, and an undo put back, may be such a copy. It is known by when its file was
// changed last, which nobody can set; where the store doesn't tell that, the link's own time
// has to do.
func (u *undoer) cameSince(ctx context.Context, key string) (bool, error) {
	if u.pushes.untold {
		return false, nil
	}
	item, err := u.store.Stat(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		item, err = u.store.Stat(ctx, key)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	u.pushes.untold = item.Changed == 0
	return !time.Unix(0, item.Changed).Before(u.Begin.Time), nil
}

// wrote reports whether a link with that time, in whole seconds rounded up, is
// as the run wrote it, as far as the journal knows.
func (u *undoer) wrote(key string, at time.Time) bool {
	if !u.Intended(plan.Write, key) {
		return false
	}
	t := u.Receipts[key].Time
	return t == 0 || at.Equal(time.Unix((t+int64(time.Second)-1)/int64(time.Second), 0))
}

// checkUnneeded returns why what the run wrote must not be removed; nil where it may.
func (u *undoer) checkUnneeded(i *journal.Intent) error {
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

// laterWrites returns the keys that runs since p have written and not taken back: all are
// those of the state directory, to which those of other ones of this machine come. What came
// back from a source has the time that it has there, so a link's own time doesn't tell that
// it is new.
func laterWrites(ctx context.Context, s backend.Store, state string, all []*journal.Run, p *journal.Run) (map[string]bool, error) {
	dirs, err := s.States(ctx)
	for _, d := range dirs {
		if d.Reachable() && d.Path != state {
			others, failed := journal.ReadAll(d.Path, journal.Whole)
			if failed != nil {
				err = backend.Join(err, failed)
			}
			all = append(all[:len(all):len(all)], others...)
		}
	}
	keys := map[string]bool{}
	for _, run := range all {
		if run.ID == p.ID || run.Undone || !run.Begin.Time.After(p.Begin.Time) {
			continue
		}
		for i := range run.Intents {
			if run.Intents[i].Op == plan.Write {
				keys[run.Intents[i].Key] = true
			}
		}
	}
	return keys, err
}
