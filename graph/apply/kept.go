package apply

import (
	"context"
	"errors"

	"regfsck/backend"
	"regfsck/graph/plan"
)

// run returns the run as the store knows it.
func (p *past) run() backend.Run {
	return backend.Run{ID: p.id, Keep: true, Began: p.begin.Time}
}

// Kept returns how many bytes a run keeps in the store, as far as the store can
// tell. A run that isn't known is ErrNoRun.
func Kept(ctx context.Context, s backend.Store, state, id string) (int64, error) {
	p, err := findRun(state, id)
	if err != nil {
		return 0, err
	}
	n, err := p.kept(ctx, s, state)
	if errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return n, err
}

// kept is Kept; a store that can't tell is errors.ErrUnsupported.
func (p *past) kept(ctx context.Context, s backend.Store, state string) (int64, error) {
	switch k := s.(type) {
	case backend.Purger:
		receipts, err := p.purgeReceipts(state)
		if err != nil {
			return 0, err
		}
		return k.Kept(ctx, p.run(), receipts)
	case backend.Keeper:
		return k.Kept(ctx, p.run())
	}
	return 0, errors.ErrUnsupported
}

// purgeStore gives up what the run keeps.
func (p *past) purgeStore(ctx context.Context, s backend.Store, state string) (int64, error) {
	switch k := s.(type) {
	case backend.Purger:
		receipts, err := p.purgeReceipts(state)
		if err != nil {
			return 0, err
		}
		return k.Purge(ctx, p.run(), receipts)
	case backend.Keeper:
		return k.Purge(ctx, p.run())
	}
	return 0, nil
}

// purgeReceipts returns the receipts by which a store finds what the run keeps. Of a
// change without a receipt only the key is known, and no later run may have
// changed that too. A change that is known to have failed keeps nothing: what hides
// under its key since then is somebody else's.
func (p *past) purgeReceipts(state string) (receipts []backend.Receipt, err error) {
	all, err := readRuns(state, readPast)
	if err != nil {
		return nil, err
	}
	later := map[string]bool{}
	for _, other := range all { // the newest first
		if other.id == p.id {
			break
		}
		for _, i := range other.intents {
			later[i.target()] = true
		}
	}
	for _, i := range p.intents {
		if i.Op == plan.Abort || i.Op == plan.Write && !i.Stood {
			continue
		}
		r, told := p.receipts[i.Key]
		switch {
		case told && r.Undo != "":
			receipts = append(receipts, backend.Receipt{Key: i.Key, Undo: r.Undo})
		case !told && !later[i.Key]:
			receipts = append(receipts, backend.Receipt{Key: i.Key})
		}
	}
	return receipts, nil
}
