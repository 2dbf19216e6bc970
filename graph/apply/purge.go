package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"regfsck/backend"
)

// Purge gives up what a run kept, so that it can't be undone any more, and
// returns the bytes that came free. A run that isn't known is ErrNoRun. It may
// be repeated after a crash. Where the store keeps nothing itself, the run is
// only marked.
func Purge(ctx context.Context, s backend.Store, state, id string) (freed int64, err error) {
	all, err := pasts(state, readPast)
	if err != nil {
		return 0, err
	}
	for _, p := range all {
		if p.id != id {
			continue
		}
		unlock, err := lock(ctx, s, backend.Run{ID: id, Keep: true})
		if err != nil {
			return 0, err
		}
		freed, err = p.giveUp(ctx, s)
		return freed, errors.Join(err, unlock())
	}
	return 0, fmt.Errorf("%w: %s", ErrNoRun, id)
}

// giveUp marks the run before anything is given up: a run of which a part is
// gone must not be taken for one that took nothing away.
func (p *past) giveUp(ctx context.Context, s backend.Store) (freed int64, err error) {
	if !p.purge {
		j, err := openJournal(p.dir, p.size)
		if err != nil {
			return 0, err
		}
		err = j.add(record{Purge: &mark{time.Now().UTC()}})
		if err = errors.Join(err, j.close()); err != nil {
			return 0, err
		}
	}
	if k, ok := s.(backend.Keeper); ok {
		return k.Purge(ctx, backend.Run{ID: p.id, Keep: true})
	}
	return 0, nil
}
