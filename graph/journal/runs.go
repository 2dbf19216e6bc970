package journal

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"slices"
	"strings"
	"time"

	"regfsck/backend/statedir"
	"regfsck/graph/plan"
)

// Status is how far a run has come.
type Status string

// The states of a run.
const (
	Unfinished  Status = "unfinished"  // it crashed, or is running
	Interrupted Status = "interrupted" // it was stopped at a safe point
	Done        Status = "done"        // it ended, whatever it had to skip
	Undoing     Status = "undoing"     // its undo was begun and isn't finished
	Undone      Status = "undone"
	// PartlyPurged is a run of which a purge could not give up all, or was interrupted: the
	// rest can be undone, and purged again.
	PartlyPurged Status = "partly purged"
	Purged       Status = "purged"
)

// ErrNoRun is a run that the state directory doesn't know.
var ErrNoRun = errors.New("no such run")

// Summary is what the state directory knows of one run.
type Summary struct {
	ID          string
	Plan        string // the plan's id
	Command     string // "fix"
	Target      string
	Began       time.Time
	Status      Status
	Keep        bool   // what was removed was kept for an undo
	Changed     int    // keys that were written or removed, and aborted multipart uploads; directories don't count
	Done        int    // steps that were done, as the run's own report counts them
	Unconfirmed int    // steps that were begun, and of which nobody has noted what became
	Bytes       int64  // of contents, that the steps which were done removed
	Damage      string // a clause: what is wrong with its journal, so that this isn't all of it; "" for nothing
}

// CanUndo reports whether there is something to undo, and a way to.
func (r Summary) CanUndo() bool { return r.Keep && r.Status != Undone && r.Status != Purged }

// lag is how far the times of a disk may be behind the clock: FAT keeps even
// seconds only, and a kernel takes the time of its last tick.
const lag = 3 * time.Second

// UnfinishedSince returns since when directories have been emptied by runs that were
// interrupted and that nobody has finished since, as the times of a disk may tell; zero if
// there is no such run.
func UnfinishedSince(state string) (since time.Time, err error) {
	all, err := ReadAll(state, Ends)
	for _, p := range unfinishedRuns(all) {
		if ended := p.Status() == Done && p.End.By == ""; !ended { // of directories that it could not remove the next run knows
			since = p.Begin.Time.Add(-lag)
		}
	}
	return since, err
}

// ReadAll reads the journals of all runs, the newest first.
func ReadAll(state string, of Extent) ([]*Run, error) {
	dir, err := statedir.OpenBelow(state, RunsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var entries []fs.DirEntry
	if err == nil {
		defer dir.Close()
		entries, err = dir.Entries()
	}
	if err != nil {
		return nil, fmt.Errorf("the runs so far: %w", err)
	}
	var all []*Run
	for _, e := range entries {
		if !e.IsDir() && e.Type() != fs.ModeSymlink { // no run's; of a link, reading it says that it is one
			continue
		}
		p, err := Read(state, e.Name(), of)
		if errors.Is(err, fs.ErrNotExist) { // it ended before it had a journal
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *Run) int {
		return cmp.Or(b.Begin.Time.Compare(a.Begin.Time), cmp.Compare(b.ID, a.ID))
	})
	return all, nil
}

// Find reads the journal of the run of an id.
func Find(state, id string) (*Run, error) {
	p, err := Read(state, id, Whole)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w in %s: %s", ErrNoRun, state, id)
	}
	return p, err
}

// Summaries lists the runs that a state directory knows, the newest first. Where there
// is no such directory there are none.
func Summaries(state string) ([]Summary, error) {
	all, err := ReadAll(state, Whole)
	var runs []Summary
	for _, p := range all {
		runs = append(runs, p.Summary())
	}
	return runs, err
}

// Summary sums the run up, as far as its journal says.
func (p *Run) Summary() Summary { return p.SummaryWith(nil) }

// SummaryWith is Summary, where made reports whether a change was made of which the
// journal has no receipt; nil knows nothing of them.
func (p *Run) SummaryWith(made func(*Intent) bool) Summary {
	r := Summary{
		ID: p.ID, Plan: p.Begin.Plan, Command: p.Begin.Command, Target: p.Begin.Target,
		Began: p.Begin.Time, Status: p.Status(), Keep: p.Begin.Keep, Damage: p.Damage,
	}
	steps := map[string]progress{}
	for n := range p.Intents {
		i := &p.Intents[n]
		if i.Finding == "" { // a directory that was emptied
			continue
		}
		is := p.became(i, made)
		if is == progressDone && !strings.HasSuffix(i.Key, "/") {
			r.Changed++
		}
		if is == progressDone && i.Op == plan.Remove {
			r.Bytes += i.Bytes
		}
		step := cmp.Or(i.Step, i.FullKey())
		steps[step] = max(steps[step], is)
	}
	for _, is := range steps {
		switch is {
		case progressDone:
			r.Done++
		case progressUnknown:
			r.Unconfirmed++
		}
	}
	return r
}

// progress is how far a change, or the step that it is a part of, has come: of a
// step, the worst of its changes.
type progress uint8

const (
	progressDone progress = iota
	progressUnknown
	progressNotDone
)

// became returns what became of a change.
func (p *Run) became(i *Intent, made func(*Intent) bool) progress {
	switch r, noted := p.Receipts[i.FullKey()]; {
	case noted && r.Err == "":
		return progressDone
	case noted:
		return progressNotDone
	case made == nil:
		return progressUnknown
	case made(i):
		return progressDone
	}
	return progressNotDone
}

// Rebuilt is when a link was written by a run, and the time of what it was made
// from, both in whole seconds, the first rounded up as a scan does.
type Rebuilt struct{ Written, From time.Time }

// RebuiltLinks returns the links that runs have rebuilt, by key: the last time of each.
// A store that can't set a file's time shows them as new.
func RebuiltLinks(state string) (map[string]Rebuilt, error) {
	all, err := ReadAll(state, Whole)
	if err != nil {
		return nil, err
	}
	links := map[string]Rebuilt{}
	for _, p := range all {
		for _, i := range p.Intents {
			r, noted := p.Receipts[i.FullKey()]
			if i.Op != plan.Write || i.From == 0 || !noted || r.Err != "" || r.Time == 0 {
				continue
			}
			made := Rebuilt{time.Unix((r.Time+int64(time.Second)-1)/int64(time.Second), 0).UTC(), time.Unix(i.From, 0).UTC()}
			if made.Written.After(links[i.Key].Written) {
				links[i.Key] = made
			}
		}
	}
	return links, nil
}

// RemovedKeys returns which keys runs since a time have removed, and not put back, as
// their journals say; nil for none. A key that none has removed may be among them
// by chance: it has to be rechecked, and doesn't count as removed. What can't be read
// is left out.
func RemovedKeys(state string, since time.Time) func(key string) bool {
	all, _ := ReadAll(state, Ends)
	seed, removed := maphash.MakeSeed(), map[uint64]bool{}
	for _, p := range all {
		if p.Undone || p.Begin.Time.Before(since) {
			continue
		}
		p, err := Read(state, p.ID, Whole)
		if err != nil {
			continue
		}
		for _, i := range p.Intents {
			if i.Op == plan.Remove && !strings.HasSuffix(i.Key, "/") && p.Receipts[i.Key].Err == "" {
				removed[maphash.String(seed, i.Key)] = true
			}
		}
	}
	if len(removed) == 0 {
		return nil
	}
	return func(key string) bool { return removed[maphash.String(seed, key)] }
}
