package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"regfsck/backend"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
)

// ConfirmedRuns is journal.Summaries with the results of steps without receipts, as far as
// the store shows them: by what is quarantined, and by the content of links.
func ConfirmedRuns(ctx context.Context, s backend.Store, state string) ([]journal.Summary, error) {
	var runs []journal.Summary
	for p, err := range journal.Newest(state, journal.Whole) {
		if err != nil {
			return runs, err
		}
		r := p.Summary()
		if r.Unconfirmed > 0 && p.Begin.Keep && !p.UndoBegun && !p.PurgeBegun {
			if kept, err := s.Quarantined(ctx, storeRun(p)); err == nil {
				r = p.SummaryWith(confirmedIn(ctx, s, kept))
			}
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// confirmedIn returns a function that reports whether a change was made.
func confirmedIn(ctx context.Context, s backend.Store, kept []backend.Quarantined) func(*journal.Intent) bool {
	there := map[string]bool{}
	for _, k := range kept {
		there[k.Key] = true
	}
	return func(i *journal.Intent) bool {
		if i.Kind == plan.HealedBlob {
			right, err := hashesRight(ctx, s, i.Key)
			return err == nil && right
		}
		if i.Op == plan.Write {
			is, err := content(ctx, s, i.Key)
			return err == nil && is == string(i.Body)
		}
		if !strings.HasSuffix(i.Key, "/") {
			return there[i.Key]
		}
		_, err := s.Stat(ctx, strings.TrimSuffix(i.Key, "/"))
		return errors.Is(err, fs.ErrNotExist)
	}
}

// storeRun returns the run's identity for the store.
func storeRun(p *journal.Run) backend.Run {
	return backend.Run{ID: p.ID, Keep: true, Began: p.Begin.Time}
}

// Kept returns how many bytes the store keeps for a run. An unknown run is ErrNoRun.
func Kept(ctx context.Context, s backend.Store, state, id string) (int64, error) {
	p, err := journal.Find(state, id)
	if err != nil {
		return 0, err
	}
	return s.Kept(ctx, storeRun(p), receiptsOf(p, state))
}

// receiptsOf returns a function that returns purgeReceipts, for stores that need them.
func receiptsOf(p *journal.Run, state string) backend.Receipts {
	return func() ([]backend.Receipt, error) { return purgeReceipts(p, state) }
}

// purgeReceipts returns the receipts by which a store finds what the run keeps. A change
// without a receipt has only its key, which no later run may have changed. A change that
// failed keeps nothing: a noncurrent version of its key isn't the run's.
func purgeReceipts(p *journal.Run, state string) (receipts []backend.Receipt, err error) {
	later := map[string]bool{}
	for other, err := range journal.Newest(state, journal.Whole) {
		if err != nil {
			return nil, err
		}
		if other.ID == p.ID {
			break
		}
		for _, i := range other.Intents {
			later[i.FullKey()] = true
		}
	}
	for _, i := range p.Intents {
		if i.Op == plan.Abort || i.Op == plan.Write && !i.Stood {
			continue
		}
		r, told := p.Receipts[i.Key]
		switch {
		case told && r.Undo != "":
			receipts = append(receipts, backend.Receipt{Key: i.Key, Undo: r.Undo})
		case !told && !later[i.Key]:
			receipts = append(receipts, backend.Receipt{Key: i.Key})
		}
	}
	return receipts, nil
}

// compareKept compares the run's quarantine with its journal: strays are only in the
// quarantine (the journal was damaged, or they were put there), and missing are keys that the
// journal has and that were not restored or purged. A store that can't list its quarantine has
// neither.
func compareKept(ctx context.Context, p *journal.Run, s backend.Store) (strays []backend.Quarantined, missing []string, err error) {
	kept, err := s.Quarantined(ctx, storeRun(p))
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("what the run keeps can't be looked at: %w", err)
	}
	return strayKeys(p, kept), missingKeys(p, kept), nil
}

// missingKeys returns the keys that are quarantined only by the journal.
func missingKeys(p *journal.Run, kept []backend.Quarantined) (keys []string) {
	if p.UndoBegun || p.PurgeBegun {
		return nil
	}
	there := make(map[string]bool, len(kept))
	for _, k := range kept {
		there[k.Key] = true
	}
	for i := range p.Intents {
		key := p.Intents[i].Key
		if r := p.Receipts[p.Intents[i].FullKey()]; r.Undo != "" && r.Err == "" && !strings.HasSuffix(key, "/") && !there[key] {
			keys = append(keys, key)
		}
	}
	return keys
}

// strayKeys returns what is quarantined but not in the journal.
func strayKeys(p *journal.Run, kept []backend.Quarantined) (all []backend.Quarantined) {
	var dirs map[string]bool // parents of what the journal has
	for _, k := range kept {
		if strings.HasSuffix(k.Key, "/") && dirs == nil {
			dirs = directoriesTaken(p)
		}
		if k.Key == "" || !p.Intended(plan.Remove, k.Key) && !p.Intended(plan.Write, k.Key) && !dirs[k.Key] {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b backend.Quarantined) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// directoriesTaken returns the directories in which the run removed something, with slashes.
func directoriesTaken(p *journal.Run) map[string]bool {
	all := map[string]bool{}
	for i := range p.Intents {
		all[path.Dir(strings.TrimSuffix(p.Intents[i].Key, "/"))+"/"] = true
	}
	return all
}
