package apply

import (
	"context"
	"fmt"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/graph/journal"
)

// Purge gives up what a run kept, so that it can't be undone any more, and
// returns the bytes that came free. A run that isn't known is ErrNoRun. It may
// be repeated after a crash. Where the store keeps nothing itself, the run is
// only marked. A run that is damaged, or keeps something else than its journal says,
// is *Refused.
func Purge(ctx context.Context, s backend.Store, state, id string) (freed int64, err error) {
	return purgeRun(ctx, s, state, id, false)
}

// PurgeDamaged is Purge for a run that may be damaged.
func PurgeDamaged(ctx context.Context, s backend.Store, state, id string) (freed int64, err error) {
	return purgeRun(ctx, s, state, id, true)
}

func purgeRun(ctx context.Context, s backend.Store, state, id string, damaged bool) (freed int64, err error) {
	if _, err = journal.Find(state, id); err != nil {
		return 0, err
	}
	unlock, err := lock(ctx, s, backend.Run{ID: id, Keep: true})
	if err != nil {
		return 0, err
	}
	p, err := journal.Find(state, id) // again, now that nobody else can write to its journal
	if err == nil {
		err = checkPurgeable(ctx, p, s, damaged)
	}
	if err == nil {
		freed, err = purgeKept(ctx, p, s, state)
	}
	return freed, backend.Join(err, unlock())
}

// checkPurgeable returns why a run can't be purged like any other. What it keeps is listed
// in any case.
func checkPurgeable(ctx context.Context, p *journal.Run, s backend.Store, damaged bool) error {
	strays, missing, err := compareKept(ctx, p, s)
	if err != nil || damaged || p.Damage == "" && len(strays)+len(missing) == 0 {
		return err
	}
	r := Refusal{
		How: "regfsck undo STORE " + p.ID + " restores what it kept, as far as names prove where it belongs; regfsck purge --damaged STORE " + p.ID + " deletes it.",
	}
	var whys []string
	if p.Damage != "" {
		whys = append(whys, "is damaged: "+p.Damage)
	}
	if n := len(strays); n > 0 {
		whys = append(whys, fmt.Sprintf("keeps what its journal doesn't know (%d in all)", n))
	}
	if n := len(missing); n > 0 {
		whys = append(whys, fmt.Sprintf("doesn't keep any more what its journal says that it kept (%d in all)", n))
	}
	r.Why = "run " + p.ID + " " + strings.Join(whys, ", and ")
	for _, k := range strays[:min(len(strays), maxKeys)] {
		r.Keys = append(r.Keys, k.Path)
	}
	r.Keys = append(r.Keys, missing[:min(len(missing), maxKeys-len(r.Keys))]...)
	return &Refused{[]Refusal{r}}
}

// purgeKept marks the run before anything is given up: a run of which a part is
// gone must not be taken for one that took nothing away. The plan is removed before
// that: nobody resumes the run, and on a full disk the mark needs the room.
// Only once the store has given up all is the run purged; until then the rest can
// be undone, and purged again.
func purgeKept(ctx context.Context, p *journal.Run, s backend.Store, state string) (freed int64, err error) {
	if p.Purged {
		return s.Purge(ctx, storeRun(p), receiptsOf(p, state))
	}
	j, err := openJournal(ctx, p, s)
	if err != nil {
		return 0, err
	}
	if err := j.RemovePlan(); err != nil {
		return 0, backend.Join(err, j.Abandon())
	}
	err = j.Add(journal.Record{Purging: &journal.Mark{Time: time.Now().UTC()}})
	if err == nil {
		err = j.Sync()
	}
	if err == nil {
		freed, err = s.Purge(ctx, storeRun(p), receiptsOf(p, state))
	}
	if err == nil {
		err = j.Add(journal.Record{Purge: &journal.Mark{Time: time.Now().UTC()}})
	}
	return freed, backend.Join(err, j.Close())
}
