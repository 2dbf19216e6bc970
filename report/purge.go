package report

import (
	"errors"
	"iter"
	"time"

	"regfsck/backend"
	"regfsck/backend/disk"
	"regfsck/graph/apply"
	"regfsck/graph/journal"
)

// Purge is all there is to say about runs whose undo was given up.
type Purge struct {
	Version  string
	Target   string
	State    string
	Started  time.Time
	Finished time.Time
	Runs     []Purged
	Damaged  []journal.Summary // runs that were left, since their journals are damaged
	Disk     *Disk             // of the store; nil where it has none on this machine, or nothing was purged
	Requests bool              // they cost: the report tells how many there were
	Cost     backend.Cost
	Exit     Exit
}

// Purged is one of them.
type Purged struct {
	ID    string
	Steps int   // that it had done
	Bytes int64 // of contents, that these took away
	Freed int64 // in whole blocks, where the store is on a disk
	Err   error // nil if all that it kept is gone
}

// Disk is how full the filesystem of a store was before and after a change.
type Disk struct {
	Before disk.Space  `json:"before"`
	After  disk.Space  `json:"after"`
	Purged *disk.Space `json:"after_purge,omitempty"` // what is to be expected once the undo is given up; nil where that frees nothing
}

// table writes it, if there is any.
func (d *Disk) table(t *printer) {
	if d == nil {
		return
	}
	t.blank()
	t.table(1, Column{Name: "disk of the store", Width: 24}, Column{Name: "used", Width: 10, Right: true}, Column{Name: "free", Width: 12, Right: true})
	t.row("before", Size(d.Before.Used), Size(d.Before.Free))
	t.row("now", Size(d.After.Used), Size(d.After.Free))
	if d.Purged != nil {
		t.row("after a purge, about", Size(d.Purged.Used), Size(d.Purged.Free))
	}
}

// View is a line a run, and the sum.
func (p *Purge) View(o TextOptions) View {
	return func(yield func(Block) bool) {
		t := newPrinter(yield)
		for _, r := range p.Runs {
			if r.Err != nil {
				t.line(0, Clean(r.ID), "  ", t.paint(red, "not purged: "), Clean(r.Err.Error()))
				p.refused(t, r.Err)
				continue
			}
			t.line(0, Clean(r.ID), "  ", Plural(r.Steps, "step", "steps"), " done, ", Size(r.Bytes), " removed; ", Size(r.Freed), " freed")
		}
		for _, r := range p.Damaged {
			t.line(0, Clean(r.ID), "  ", t.paint(yellow, "left: "), "its journal is damaged: ", Clean(r.Damage), "; --damaged with its id purges it")
		}
		freed := p.sum(t)
		if p.Requests {
			t.line(0, t.paint(dim, requests(&p.Cost)))
		} else if freed > 0 {
			t.line(0, t.paint(dim, "Freed space is counted in whole disk blocks, all other sizes are of contents."))
		}
		p.Disk.table(t)
	}
}

// refused writes what a refusal names, and how to go on.
func (p *Purge) refused(t *printer, err error) {
	no, ok := errors.AsType[*apply.Refused](err)
	if !ok {
		return
	}
	for _, r := range no.Reasons {
		for _, key := range r.Keys {
			t.line(3, Clean(key))
		}
		t.prose(1, Clean(r.How))
	}
}

// Short is the sum.
func (p *Purge) Short(o TextOptions) View {
	return func(yield func(Block) bool) {
		t := newPrinter(yield)
		p.sum(t)
	}
}

func (p *Purge) sum(t *printer) (freed int64) {
	done := 0
	for _, r := range p.Runs {
		freed += r.Freed
		if r.Err == nil {
			done++
		}
	}
	switch {
	case len(p.Runs) == 0:
		t.verdict(t.paint(green, "NOTHING TO DO"), ": no run keeps anything that can be purged")
	case done < len(p.Runs):
		t.verdict(t.paint(yellow, "DONE IN PART"), ": ", Plural(done, "run", "runs"), " purged, ", Number(len(p.Runs)-done), " not; ", Size(freed), " freed")
	default:
		t.verdict(t.paint(green, "DONE"), ": ", Plural(done, "run", "runs"), " purged, ", Size(freed), " freed")
	}
	return freed
}

// purgeFields are the document of a purge.
type purgeFields struct {
	timedFields
	State string                 `json:"state"`
	Disk  *Disk                  `json:"disk,omitempty"`
	Cost  *askedFields           `json:"cost,omitempty"`
	Runs  iter.Seq[purgedFields] `json:"runs"`
	Exit  exitFields             `json:"exit"`
}

type purgedFields struct {
	ID    string `json:"id"`
	Steps int    `json:"steps_done"`
	Bytes int64  `json:"bytes"`
	Freed int64  `json:"freed_bytes"`
	Error string `json:"error"`
}

// Fields is the outcome for machines.
func (p *Purge) Fields() any {
	return purgeFields{
		timed(PurgeSchema, p.Version, p.Target, p.Started, p.Finished), p.State, p.Disk, askedOf(p.Requests, p.Cost),
		each(p.Runs, func(r *Purged) purgedFields {
			why := ""
			if r.Err != nil {
				why = r.Err.Error()
			}
			return purgedFields{r.ID, r.Steps, r.Bytes, r.Freed, why}
		}), exitOf(p.Exit),
	}
}
