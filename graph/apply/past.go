package apply

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regfsck/graph/plan"
)

// past is what a journal says of its run.
type past struct {
	id       string
	dir      string
	begin    begin
	intents  []intent           // the first one of each change, in their order
	at       map[change]int     // where they are among intents
	receipts map[string]receipt // by what they are about, as plan.Target names it
	end      *end
	undo     bool // an undo was begun
	undone   bool // and came to its end
	purge    bool
	size     int64 // up to the end of the last whole line
}

// change is what an intent is for.
type change struct {
	op     plan.Op
	target string // plan.Target's
}

// sector is the least that a disk writes, and so how large a hole is at least.
const sector = 512

// readPast reads the journal of a run. It may end anywhere, in the middle of a
// line too: what follows the last whole line was never relied on. Nor was what a
// power failure kept from the disk, where the filesystem shows a hole, full of
// zeros, in what wasn't synced yet. Something whole behind something that is
// broken otherwise is no crash but damage, and an error.
func readPast(state, id string) (*past, error) {
	p := &past{id: id, dir: runDir(state, id), at: map[change]int{}, receipts: map[string]receipt{}}
	all, err := os.ReadFile(filepath.Join(p.dir, journalName))
	if err != nil {
		return nil, err
	}
	broken, at := 0, int64(0)
	for n := 1; len(all) > 0; n++ {
		line, rest, whole := bytes.Cut(all, []byte("\n"))
		at += int64(len(line)) + 1
		var r record
		switch ok := whole && json.Unmarshal(line, &r) == nil; {
		case ok && broken > 0:
			return nil, fmt.Errorf("the journal of run %s is damaged at line %d", id, broken)
		case ok:
			p.size = at
			p.take(&r)
		case broken == 0 && !bytes.Contains(line, make([]byte, sector)):
			broken = n
		}
		all = rest
	}
	return p, nil
}

func (p *past) take(r *record) {
	switch {
	case r.Begin != nil:
		p.begin = *r.Begin
	case r.Intent != nil:
		p.end = nil // it was taken up again
		c := change{r.Intent.Op, r.Intent.target()}
		if _, ok := p.at[c]; !ok {
			p.at[c] = len(p.intents)
			p.intents = append(p.intents, *r.Intent)
		}
	case r.Receipt != nil:
		p.receipts[r.Receipt.target()] = *r.Receipt
	case r.End != nil:
		p.end = r.End
	case r.Undo != nil:
		p.undo = true
	case r.Undone != nil:
		p.undone = true
	case r.Purge != nil:
		p.purge = true
	}
}

// status says how far the run has come.
func (p *past) status() Status {
	switch {
	case p.purge:
		return Purged
	case p.undone:
		return Undone
	case p.undo:
		return Undoing
	case p.end == nil:
		return Unfinished
	case p.end.Interrupted:
		return Interrupted
	}
	return Done
}

// open tells whether the run was broken off, or had to leave folders that may be
// empty, and nobody has finished or undone it since. undone are the later runs
// that were undone: what one of them has finished is open again.
func (p *past) open(undone map[string]bool) bool {
	switch p.status() {
	case Unfinished, Interrupted:
		return true
	case Done:
		return p.end.Folders || undone[p.end.By]
	}
	return false
}

// meant tells whether the run was about to make a change, and may have made it.
func (p *past) meant(op plan.Op, target string) bool {
	_, ok := p.at[change{op, target}]
	return ok
}

// removed tells whether the run took a file away, or may have.
func (p *past) removed() bool {
	return slices.ContainsFunc(p.intents, func(i intent) bool {
		return i.Op == plan.Remove && !strings.HasSuffix(i.Key, "/") && p.receipts[i.Key].Err == ""
	})
}

// brokenOff are, of all runs, the newest first, those that nobody has finished or
// undone since. A run that came to its end has finished all before it; one that
// was undone, or purged half-way, has not.
func brokenOff(all []*past) (open []*past) {
	undone := map[string]bool{}
	for _, p := range all {
		if p.undone {
			undone[p.id] = true
		}
		switch {
		case p.open(undone):
			open = append(open, p)
		case !p.undone && p.end != nil && !p.end.Interrupted:
			return open
		}
	}
	return open
}

// opened is brokenOff with all that the journals say.
func opened(state string, all []*past) (open []*past, err error) {
	for _, p := range brokenOff(all) {
		if p, err = readPast(state, p.id); err != nil {
			return nil, err
		}
		open = append(open, p)
	}
	return open, nil
}
