package apply

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"

	"regfsck/backend"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// runDirectories carries out the steps on directories and removes the directories that the
// run emptied, deepest first.
func (r *run) runDirectories(ctx context.Context, steps []*plan.Step) error {
	results := map[string]*stepResult{} // by the step's own directory
	owner := map[string]*stepResult{}   // by any directory that is removed for a step
	for _, s := range steps {
		w := &stepResult{step: s, reason: r.skipReason(s)}
		results[strings.TrimSuffix(s.Key, "/")] = w
		if w.reason == "" {
			r.checkDirectory(ctx, w, owner)
		}
	}
	for level := range r.emptied.levels(owner) {
		for batch := range slices.Chunk(level, batchSize) {
			if ctx.Err() != nil {
				r.out.Interrupted = true
				return nil
			}
			if err := r.removeDirectories(context.WithoutCancel(ctx), batch, owner); err != nil {
				return err
			}
		}
	}
	for _, s := range steps {
		if w := results[strings.TrimSuffix(s.Key, "/")]; w.reason != "" {
			r.recordNotDone(w)
		} else {
			r.out.addDone(s)
		}
	}
	r.Scan.Progress.Add(int64(len(steps)))
	return nil
}

// checkDirectory lists a step's directory. Directories in it are removed with it; if there is
// a file, the step is skipped.
func (r *run) checkDirectory(ctx context.Context, w *stepResult, owner map[string]*stepResult) {
	in, err := listDir(ctx, r.Store, w.step.Key)
	switch {
	case err != nil:
		w.fail(err)
	case len(in.files) > 0:
		w.skip("there is %s in it", in.files[0].Name)
	case in.notUTF8() != "":
		w.skip(notUTF8Reason, in.notUTF8())
	default:
		for dir := range in.dirs {
			owner[dir] = w
		}
		r.emptied.add(path.Dir(strings.TrimSuffix(w.step.Key, "/")))
	}
}

// removeDirectories removes empty directories. One that isn't empty is skipped, and reported
// only if it is a step's.
func (r *run) removeDirectories(ctx context.Context, dirs []string, owner map[string]*stepResult) error {
	results := make([]*stepResult, len(dirs))
	for i, dir := range dirs {
		in := journal.Intent{Op: plan.Remove, Kind: plan.Directory, Key: dir + "/"}
		if w := owner[dir]; w != nil {
			in.Finding = w.step.Finding.String()
			if w.step.Key != in.Key {
				in.Step = w.step.Key
			}
		}
		results[i] = &stepResult{intents: []journal.Intent{in}}
	}
	if err := r.changes.intend(results); err != nil {
		return err
	}
	r.changes.remove(ctx, results)
	// A directory that is reported missing is asked for twice: if it still exists, no later
	// run would look for it.
	r.changes.remove(ctx, slices.DeleteFunc(slices.Clone(results), func(w *stepResult) bool {
		return len(w.receipts) == 0 || !errors.Is(w.receipts[0].Err, fs.ErrNotExist)
	}))
	for i, w := range results {
		if err := r.recordDirectory(w, owner[dirs[i]]); err != nil {
			return err
		}
	}
	return nil
}

// recordDirectory records the result for a directory; step is nil if it is of none.
func (r *run) recordDirectory(w, step *stepResult) error {
	if len(w.receipts) == 0 {
		w.receipts = []backend.Receipt{{Key: w.intents[0].Key, Err: errNoAnswer}}
	}
	err := w.receipts[0].Err
	remains := errors.Is(err, backend.ErrNotEmpty) || errors.Is(err, backend.ErrFollowed)
	switch {
	case err == nil && step == nil:
		r.out.Directories++
	case errors.Is(err, fs.ErrNotExist), step == nil && remains, err == nil:
	case step == nil:
		r.dirsLeft = true
		key := w.intents[0].Key
		r.out.addNotDone(NotDone{
			Step:   plan.Step{Op: plan.Remove, Kind: plan.Directory, Key: key, Finding: finding.DirectoryEmpty},
			Reason: backend.Cause(err).Error(), Failed: true,
		})
	case remains:
		step.skip("%v", backend.Cause(err))
	default:
		r.dirsLeft = true
		step.fail(backend.Cause(err))
	}
	return r.changes.journal.Add(journal.Record{Receipt: receiptOf(&w.receipts[0])})
}

// emptied is a set of directories that may be empty.
type emptied map[string]bool

// add adds a directory and its parents.
func (e emptied) add(dir string) {
	for ; !e[dir] && !staysWhenEmpty(dir); dir = path.Dir(dir) {
		e[dir] = true
	}
}

// addAbove adds the directories above a removed key, except its own, which the store removes
// if the key was alone in it.
func (e emptied) addAbove(key string) {
	if own := path.Dir(strings.TrimSuffix(key, "/")); !staysWhenEmpty(own) {
		e.add(path.Dir(own))
	}
}

// addOf adds the directories that an interrupted run may have emptied.
func (e emptied) addOf(p *journal.Run) {
	for _, i := range p.Intents {
		if i.Op == plan.Abort {
			continue
		}
		if i.Op != plan.Remove { // a directory may have been created for a link that wasn't written
			e.add(path.Dir(i.Key))
			continue
		}
		if strings.HasSuffix(i.Key, "/") {
			e.add(path.Dir(path.Dir(i.Key)))
			continue
		}
		e.addAbove(i.Key)
		if _, ok := p.Receipts[i.Key]; !ok || i.Kind == plan.Upload { // the run may have ended between a file and its directory
			e.add(path.Dir(i.Key))
		}
	}
}

// levels yields the directories to remove, deepest first, each level sorted.
func (e emptied) levels(owner map[string]*stepResult) iter.Seq[[]string] {
	all := maps.Clone(e)
	for dir := range owner {
		all[dir] = true
	}
	sorted := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(depth(b)-depth(a), cmp.Compare(a, b))
	})
	return groups(sorted, depth)
}

func depth(key string) int { return strings.Count(key, "/") }

// staysWhenEmpty reports whether a directory is never removed: registries keep it when it is
// empty, or it is foreign.
func staysWhenEmpty(dir string) bool {
	switch layout.ParseDirectory(dir).Kind {
	case layout.DirBlobPrefix, layout.DirBlob, layout.DirRepository,
		layout.DirRevision, layout.DirSignatures, layout.DirSignatureAlg, layout.DirSignature,
		layout.DirTag, layout.DirTagCurrent, layout.DirHistory, layout.DirHistoryAlg, layout.DirHistoryEntry,
		layout.DirLayer, layout.DirTarsum, layout.DirTarsumVersion, layout.DirTarsumAlg, layout.DirTarsumEntry,
		layout.DirUpload, layout.DirHashstates, layout.DirHashstateAlg:
		return false
	}
	return true
}

// Finish removes the directories that an interrupted run emptied, if there is one, and
// returns their number: an empty tag directory looks like a tag without a link, and pins its
// repository. It is called before the store is read for a change. It changes nothing else,
// and is undone with that run.
func Finish(ctx context.Context, s backend.Store, state string) (dirs int, err error) {
	r := newRun(Input{Store: s, State: state, Plan: &plan.Plan{}})
	if err := r.findUnfinished(); err != nil || len(r.unfinished) == 0 {
		return 0, err
	}
	unlock, err := lock(ctx, s, backend.Run{ID: r.unfinished[0].ID, Keep: true})
	if err != nil {
		return 0, err
	}
	if err = r.findUnfinished(); err == nil && len(r.unfinished) > 0 { // again, under the lock
		err = r.finishDirectories(ctx)
	}
	err = cmp.Or(err, unlock())
	return r.out.Directories, err
}

// finishDirectories removes the directories in the name of the interrupted run.
func (r *run) finishDirectories(ctx context.Context) (err error) {
	p := r.unfinished[0]
	r.Run = backend.Run{ID: p.ID, Keep: p.Begin.Keep, Began: p.Begin.Time}
	if err := r.open(ctx, p); err != nil {
		return err
	}
	err = r.runDirectories(ctx, nil)
	if err == nil && p.End != nil {
		is := *p.End
		is.Directories = r.dirsLeft
		err = r.changes.journal.Finish(journal.Record{End: &is})
	}
	err = cmp.Or(err, r.changes.journal.Close())
	if err == nil {
		r.unfinished[0], err = journal.Read(r.State, p.ID, journal.Whole)
	}
	return err
}
