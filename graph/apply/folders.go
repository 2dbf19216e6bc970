package apply

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"regfsck/backend"
	"regfsck/graph/plan"
)

// folders carries out the steps about folders, and removes the folders that the
// run emptied: the deepest first, none that has anything in it.
func (r *run) folders(ctx context.Context, steps []*plan.Step) error {
	works := map[string]*work{} // by the step's own folder
	owner := map[string]*work{} // by any folder that goes for a step
	for _, s := range steps {
		w := &work{step: s, left: r.withheld(s)}
		works[strings.TrimSuffix(s.Key, "/")] = w
		if w.left == "" {
			r.inside(ctx, w, owner)
		}
	}
	for _, level := range r.levels(owner) {
		for batch := range slices.Chunk(level, batchSize) {
			if ctx.Err() != nil {
				r.out.Interrupted = true
				return nil
			}
			if err := r.removeFolders(context.WithoutCancel(ctx), batch, owner); err != nil {
				return err
			}
		}
	}
	for _, s := range steps {
		if w := works[strings.TrimSuffix(s.Key, "/")]; w.left != "" {
			r.leave(w)
		} else {
			r.out.addDone(s)
		}
	}
	if p := r.Scan.Progress; p != nil {
		p.Add(int64(len(steps)))
	}
	return nil
}

// inside looks into a step's folder: all folders in it go with it, and a file
// keeps it.
func (r *run) inside(ctx context.Context, w *work, owner map[string]*work) {
	in, err := contents(ctx, r.Store, w.step.Key)
	switch {
	case err != nil:
		w.fail(err)
	case len(in.files) > 0:
		w.skip("there is %s in it", in.files[0].Name)
	case in.unspeakable() != "":
		w.skip(unspeakable, in.unspeakable())
	default:
		for folder := range in.folders {
			owner[folder] = w
		}
		r.emptiedFrom(path.Dir(strings.TrimSuffix(w.step.Key, "/")))
	}
}

// levels are the folders to be removed, the deepest first, each level sorted.
func (r *run) levels(owner map[string]*work) [][]string {
	all := map[string]bool{}
	maps.Copy(all, r.tries)
	for folder := range owner {
		all[folder] = true
	}
	sorted := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(depth(b)-depth(a), cmp.Compare(a, b))
	})
	var levels [][]string
	for len(sorted) > 0 {
		n := slices.IndexFunc(sorted, func(s string) bool { return depth(s) != depth(sorted[0]) })
		if n < 0 {
			n = len(sorted)
		}
		levels, sorted = append(levels, sorted[:n]), sorted[n:]
	}
	return levels
}

func depth(key string) int { return strings.Count(key, "/") }

// removeFolders removes folders that have nothing in them. One that has is
// left, and named only if it goes for a step.
func (r *run) removeFolders(ctx context.Context, folders []string, owner map[string]*work) error {
	works := make([]*work, len(folders))
	for i, folder := range folders {
		in := intent{Op: plan.Remove, Kind: plan.Directory, Key: folder + "/"}
		if w := owner[folder]; w != nil {
			in.Finding = w.step.Finding
			if w.step.Key != in.Key {
				in.Step = w.step.Key
			}
		}
		works[i] = &work{intents: []intent{in}}
	}
	if err := r.intend(works); err != nil {
		return err
	}
	r.remove(ctx, works)
	r.removeAgain(ctx, works)
	for i, w := range works {
		if err := r.removedFolder(w, owner[folders[i]]); err != nil {
			return err
		}
	}
	return nil
}

// removeAgain asks twice for folders that are said not to be there: if one of
// them is left, no later run would look for it.
func (r *run) removeAgain(ctx context.Context, works []*work) {
	again := slices.DeleteFunc(slices.Clone(works), func(w *work) bool {
		return len(w.receipts) == 0 || !errors.Is(w.receipts[0].Err, fs.ErrNotExist)
	})
	r.remove(ctx, again)
}

// removedFolder notes what became of a folder that goes for a step, or for none.
func (r *run) removedFolder(w, step *work) error {
	if len(w.receipts) == 0 {
		w.receipts = []backend.Receipt{{Key: w.intents[0].Key, Err: errSilent}}
	}
	err := w.receipts[0].Err
	switch {
	case err == nil && step == nil:
		r.out.Directories++
	case errors.Is(err, fs.ErrNotExist), step == nil && errors.Is(err, backend.ErrNotEmpty), err == nil:
	case step == nil:
		r.stuck = true
		key := w.intents[0].Key
		r.out.addNotDone(NotDone{
			Step:   plan.Step{Op: plan.Remove, Kind: plan.Directory, Key: key, Finding: "folder-empty"},
			Reason: reason(err).Error(), Failed: true,
		})
	case errors.Is(err, backend.ErrNotEmpty):
		step.skip("%v", backend.ErrNotEmpty)
	default:
		r.stuck = true
		step.fail(reason(err))
	}
	return r.journal.add(record{Receipt: receiptOf(&w.receipts[0])})
}
