package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"regfsck/backend"
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
