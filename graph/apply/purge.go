package apply

import (
	"context"
	"fmt"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/graph/journal"
)

// Purge deletes what a run keeps, which ends its undo, and returns the bytes freed. An
// unknown run is ErrNoRun. It can be repeated after a crash. If the store keeps nothing, the
// run is only marked. A run that is damaged, or keeps something that isn't in its journal, is
// *Refused.
func Purge(ctx context.Context, s backend.Store, state, id string) (freed int64, err error) {
	return purgeRun(ctx, s, state, id, false)
}

// PurgeDamaged is Purge for a damaged run.
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
	p, err := journal.Find(state, id) // again, with its journal locked
	if err == nil {
		err = checkPurgeable(ctx, p, s, damaged)
	}
	if err == nil {
		freed, err = purgeKept(ctx, p, s, state)
	}
	return freed, backend.Join(err, unlock())
}

// checkPurgeable returns why a run can't be purged normally. What it keeps is listed in any
// case.
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
		whys = append(whys, fmt.Sprintf("keeps files that aren't in its journal (%d in all)", n))
	}
	if n := len(missing); n > 0 {
		whys = append(whys, fmt.Sprintf("no longer keeps some of the files in its journal (%d in all)", n))
	}
	r.Why = "run " + p.ID + " " + strings.Join(whys, ", and ")
	for _, k := range strays[:min(len(strays), maxKeys)] {
		r.Keys = append(r.Keys, k.Path)
	}
	r.Keys = append(r.Keys, missing[:min(len(missing), maxKeys-len(r.Keys))]...)
	return &Refused{[]Refusal{r}}
}

// purgeKept marks the run before anything is deleted: a partly purged run must not look like
// one that removed nothing. The plan is removed first, since a full disk needs its space for
// the mark. The run counts as purged once the store has deleted all; until then the rest can
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
