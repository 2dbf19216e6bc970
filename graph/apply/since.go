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

// laterRuns is what the runs since the one to undo did. No journal of theirs is kept in memory.
type laterRuns struct {
	removed   []string        // the runs of its state directory that removed something for good, newest first
	elsewhere []OtherRun      // those of this machine's other state directories that removed something, newest first
	written   map[string]bool // the keys that they wrote and did not undo. Restored files have their old times, so times don't show these writes
	err       error           // why written is incomplete
}

// add adds a run of the state directory.
func (l *laterRuns) add(p *journal.Run) {
	whole := p.Begin.Keep && !p.Purged && !p.PurgeBegun
	if !whole && !p.Undone && p.RemovedFiles() {
		l.removed = append(l.removed, p.ID)
	}
	l.addWritten(p)
}

// addElsewhere adds the runs since began with this machine's other state directories. What can't
// be read is left out.
func (l *laterRuns) addElsewhere(ctx context.Context, s backend.Store, state string, began time.Time) {
	var dirs []backend.StateDir
	dirs, l.err = s.States(ctx)
	for _, d := range dirs {
		if !d.Reachable() || d.Path == state {
			continue
		}
		for p, err := range journal.Newest(d.Path, journal.Whole) {
			if err != nil {
				l.err = backend.Join(l.err, err)
				break
			}
			if !p.Begin.Time.After(began) {
				break
			}
			if !p.Undone && p.RemovedFiles() {
				l.elsewhere = append(l.elsewhere, OtherRun{State: d.Path, ID: p.ID, ForGood: !p.Begin.Keep || p.Purged})
			}
			l.addWritten(p)
		}
	}
}

// addWritten adds the keys that a run wrote.
func (l *laterRuns) addWritten(p *journal.Run) {
	for i := range p.Intents {
		if p.Intents[i].Op == plan.Write && !p.Undone {
			l.written[p.Intents[i].Key] = true
		}
	}
}

// errNeeded means that a link or blob that the run wrote is needed by what may come from a later
// push or run: a link whose time or change is later.
var errNeeded = errors.New("may be needed by something pushed or restored since, and is kept")

// maxSkew is how far the clock that sets the times of files may be ahead of this machine's.
const maxSkew = 24 * time.Hour

// pushedSince is what was pushed or restored since a run began, in the repositories in which
// it wrote.
type pushedSince struct {
	err    error // why it is unknown
	repos  map[string]repositoryNeeds
	untold bool // the store doesn't have times of file changes

	first time.Time // of firstWrite
}

// repositoryNeeds is what the pushes to one repository need.
type repositoryNeeds struct {
	digests map[layout.AnyDigest]bool
	err     error // why it is unknown
}

// readPushes reads what was pushed since the run began, or written by a later run. If the run
// wrote nothing, it reads nothing.
func (u *undoer) readPushes(ctx context.Context, written []journal.Intent) {
	u.pushes = pushedSince{repos: map[string]repositoryNeeds{}, first: u.firstWrite()}
	if len(written) == 0 {
		return
	}
	if u.later.err != nil {
		u.pushes.err = fmt.Errorf("what later runs wrote can't be read: %w", u.later.err)
		return
	}
	var failed error
	latest := time.Now().Add(maxSkew) // a later time says nothing of when the link was written
	since := func(key string, written time.Time) bool {
		old := written.Before(u.Begin.Time)
		switch {
		case u.later.written[key]:
			return true
		case u.wrote(key, written):
			return false
		case !old && !written.After(latest):
			return true
		case u.restoredKeys[key]:
			return false
		}
		came, err := u.cameSince(ctx, key, written)
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
		if repos[0] == "" { // a blob, which any repository may need
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

// cameSince reports whether a link may have been written since the run began, though its time is
// an old one, or one in the future: by a run whose state directory can't be read here, or by a
// copy. A link that a later run removed and an undo restored may be a copy. The time of the file's
// last change shows it, also if only another name of the file was removed; if the store doesn't
// have that, the link's own time is used.
func (u *undoer) cameSince(ctx context.Context, key string, written time.Time) (bool, error) {
	if u.pushes.untold {
		return !written.Before(u.pushes.first), nil
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
	case item.Changed == 0:
		u.pushes.untold = true
		return u.cameSince(ctx, key, written)
	}
	return !time.Unix(0, item.Changed).Before(u.Begin.Time), nil
}

// firstWrite returns when the run began, or its first write if that was before: the store's clock
// can be behind this machine's. Writes that have the time of their origin don't count.
func (u *undoer) firstWrite() time.Time {
	first := u.Begin.Time
	for i := range u.Intents {
		r := u.Receipts[u.Intents[i].FullKey()]
		if at := time.Unix(0, r.Time); r.Time != 0 && at.Unix() != u.Intents[i].From && at.Before(first) {
			first = at
		}
	}
	return first
}

// wrote reports whether the run wrote a link with that time, in whole seconds rounded up, by
// the journal.
func (u *undoer) wrote(key string, at time.Time) bool {
	if !u.Intended(plan.Write, key) {
		return false
	}
	t := u.Receipts[key].Time
	return t == 0 || at.Equal(time.Unix((t+int64(time.Second)-1)/int64(time.Second), 0))
}

// checkUnneeded returns an error if what the run wrote must not be removed.
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
