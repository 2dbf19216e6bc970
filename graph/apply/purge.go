package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/graph/plan"
)

// Purge gives up what a run kept, so that it can't be undone any more, and
// returns the bytes that came free. A run that isn't known is ErrNoRun. It may
// be repeated after a crash. Where the store keeps nothing itself, the run is
// only marked. A run that is damaged, or keeps other things than its journal says,
// is *Refused.
func Purge(ctx context.Context, s backend.Store, state, id string) (freed int64, err error) {
	return purgeRun(ctx, s, state, id, false)
}

// PurgeDamaged is Purge for a run that may be damaged.
func PurgeDamaged(ctx context.Context, s backend.Store, state, id string) (freed int64, err error) {
	return purgeRun(ctx, s, state, id, true)
}

func purgeRun(ctx context.Context, s backend.Store, state, id string, damaged bool) (freed int64, err error) {
	if _, err = findRun(state, id); err != nil {
		return 0, err
	}
	unlock, err := lock(ctx, s, backend.Run{ID: id, Keep: true})
	if err != nil {
		return 0, err
	}
	p, err := findRun(state, id) // again, now that nobody else can write to its journal
	if err == nil {
		err = p.checkPurgeable(ctx, s, damaged)
	}
	if err == nil {
		freed, err = p.purgeKept(ctx, s, state)
	}
	return freed, backend.Join(err, unlock())
}

// checkPurgeable returns why a run can't be purged like any other. What it keeps is looked at
// in any case.
func (p *past) checkPurgeable(ctx context.Context, s backend.Store, damaged bool) error {
	strays, missing, err := p.compared(ctx, s)
	if err != nil || damaged || p.damage == "" && len(strays)+len(missing) == 0 {
		return err
	}
	r := Refusal{
		How: "regfsck undo STORE " + p.id + " puts back what it kept, as far as names prove where it belongs; regfsck purge --damaged STORE " + p.id + " gives it up.",
	}
	var whys []string
	if p.damage != "" {
		whys = append(whys, "is damaged: "+p.damage)
	}
	if n := len(strays); n > 0 {
		whys = append(whys, fmt.Sprintf("keeps what its journal doesn't know (%d in all)", n))
	}
	if n := len(missing); n > 0 {
		whys = append(whys, fmt.Sprintf("doesn't keep any more what its journal says that it kept (%d in all)", n))
	}
	r.Why = "run " + p.id + " " + strings.Join(whys, ", and ")
	for _, k := range strays[:min(len(strays), maxKeys)] {
		r.Keys = append(r.Keys, k.Path)
	}
	r.Keys = append(r.Keys, missing[:min(len(missing), maxKeys-len(r.Keys))]...)
	return &Refused{[]Refusal{r}}
}

// findRun reads the journal of the run of an id.
func findRun(state, id string) (*past, error) {
	p, err := readPast(state, id)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w in %s: %s", ErrNoRun, state, id)
	}
	return p, err
}

// purgeKept marks the run before anything is given up: a run of which a part is
// gone must not be taken for one that took nothing away. The plan goes before
// that: nobody resumes the run, and on a full disk the mark needs the room.
// Only once the store has given up all is the run purged; until then the rest can
// be undone, and purged again.
func (p *past) purgeKept(ctx context.Context, s backend.Store, state string) (freed int64, err error) {
	if p.purge {
		return p.purgeStore(ctx, s, state)
	}
	j, err := p.carryOn(ctx, s)
	if err != nil {
		return 0, err
	}
	if err := j.dir.Remove(planName); err != nil {
		return 0, backend.Join(err, j.abandon())
	}
	err = j.add(record{Purging: &mark{time.Now().UTC()}})
	if err == nil {
		err = j.sync()
	}
	if err == nil {
		freed, err = p.purgeStore(ctx, s, state)
	}
	if err == nil {
		err = j.add(record{Purge: &mark{time.Now().UTC()}})
	}
	return freed, backend.Join(err, j.close())
}

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
