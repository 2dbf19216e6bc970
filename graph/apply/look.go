package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"regfsck/backend"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// Look finds out what the store and the state directory say besides the scan, and
// returns f with that filled in.
func Look(ctx context.Context, r backend.Reader, state string, f Facts) (Facts, error) {
	f.FilesystemInUse, f.Undoing, f.Unfinished, f.UnfinishedPlan, f.Unlinked = false, "", "", "", 0
	f.Damaged, f.taken, f.gone = nil, nil, plan.Totals{}
	_, err := r.Stat(ctx, layout.Locks+"/filesystem-in-use")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f, fmt.Errorf("%s/filesystem-in-use: %w", layout.Locks, err)
	}
	f.FilesystemInUse = err == nil
	all, err := readRuns(state, glance)
	if err != nil {
		return f, err
	}
	for _, p := range all {
		if r := p.info(); r.Damage != "" && r.CanUndo() {
			f.Damaged = append(f.Damaged, r)
		}
		if p.damage == "" && p.status() == Undoing {
			f.Undoing = p.id
		}
	}
	open, err := readUnfinished(state, all)
	for _, p := range open {
		if f.Unfinished == "" && (p.begin.Command == "rm" || p.begin.Command == "prune") {
			f.UnfinishedPlan = filepath.Join(p.dir, planName)
		}
		f.Unfinished = cmp.Or(f.Unfinished, p.id)
		f.Unlinked += p.unlinkedBlobs()
	}
	f.taken, f.gone = removedBy(open)
	return f, err
}

// unlinkedBlobs is how many digests lost a link to the run.
func (p *past) unlinkedBlobs() int {
	lost := map[string]bool{}
	for _, i := range p.intents {
		if i.Op == plan.Remove && i.Content != "" {
			lost[i.Digest] = true
		}
	}
	return len(lost)
}
