package journal

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"time"

	"regfsck/backend/statedir"
	"regfsck/graph/plan"
)

// Status is the status of a run.
type Status string

// The states of a run.
const (
	Unfinished  Status = "unfinished"  // it crashed, or is running
	Interrupted Status = "interrupted" // it stopped at a safe point
	Done        Status = "done"        // it ended, also with skipped steps
	Undoing     Status = "undoing"     // its undo has begun and isn't complete
	Undone      Status = "undone"
	// PartlyPurged means that a purge was interrupted or failed: the rest can be undone, or
	// purged again.
	PartlyPurged Status = "partly purged"
	Purged       Status = "purged"
)

// ErrNoRun means that the state directory has no such run.
var ErrNoRun = errors.New("no such run")

// Summary is a summary of one run.
type Summary struct {
	ID          string
	Plan        string // the plan's id
	Command     string // "fix"
	Target      string
	Began       time.Time
	Status      Status
	Keep        bool   // what was removed is quarantined
	Changed     int    // keys that were written or removed, and aborted multipart uploads; without directories
	Done        int    // steps that were done, as counted by the run's report
	Unconfirmed int    // steps with intents but without receipts
	Bytes       int64  // of content that done steps removed
	Damage      string // what is wrong with its journal, a clause, so that the summary is incomplete; "" for nothing
}

// CanUndo reports whether there is something to undo.
func (r Summary) CanUndo() bool { return r.Keep && r.Status != Undone && r.Status != Purged }

// lag is how far file times may be behind the clock: FAT has even seconds only, and a kernel
// uses the time of its last tick.
const lag = 3 * time.Second

// UnfinishedSince returns since when interrupted runs have emptied directories, by file
// times; zero if there is no such run.
func UnfinishedSince(state string) (since time.Time, err error) {
	all, err := ReadAll(state)
	for _, p := range unfinishedRuns(all) {
		if ended := p.Status() == Done && p.End.By == ""; !ended { // the next run finds directories that it could not remove
			since = p.Begin.Time.Add(-lag)
		}
	}
	return since, err
}

// ReadAll reads the ends of the journals of all runs, newest first; none if the state
// directory doesn't exist. No run has its intents and receipts.
func ReadAll(state string) (all []*Run, err error) {
	err = readEach(state, Ends, func(p *Run) {
		p.Intents, p.indexes, p.Receipts = nil, nil, nil
		all = append(all, p)
	})
	slices.SortFunc(all, func(a, b *Run) int {
		return cmp.Or(b.Begin.Time.Compare(a.Begin.Time), cmp.Compare(b.ID, a.ID))
	})
	return all, err
}

// readEach passes the run of each journal to each, in any order.
func readEach(state string, of Extent, each func(*Run)) error {
	dir, err := statedir.OpenBelow(state, RunsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var entries []fs.DirEntry
	if err == nil {
		defer dir.Close()
		entries, err = dir.Entries()
	}
	if err != nil {
		return fmt.Errorf("the runs so far: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() && e.Type() != fs.ModeSymlink { // not a run; reading a symbolic link reports it
			continue
		}
		switch p, err := Read(state, e.Name(), of); {
		case err == nil:
			each(p)
		case !errors.Is(err, fs.ErrNotExist): // else it ended before it had a journal
			return err
		}
	}
	return nil
}

// Newest yields all runs, newest first, each with that much of its journal. A journal is read
// when its run is asked for, so that the caller has one in memory. After an error it ends.
func Newest(state string, of Extent) iter.Seq2[*Run, error] {
	return func(yield func(*Run, error) bool) {
		all, err := ReadAll(state)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, p := range all {
			if of == Whole {
				p, err = Read(state, p.ID, Whole)
			}
			if !errors.Is(err, fs.ErrNotExist) && (!yield(p, err) || err != nil) { // else it was removed meanwhile
				return
			}
		}
	}
}

// Find reads the journal of a run.
func Find(state, id string) (*Run, error) {
	p, err := Read(state, id, Whole)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w in %s: %s", ErrNoRun, state, id)
	}
	return p, err
}

// Summaries returns the runs of a state directory, newest first; none if it doesn't exist.
func Summaries(state string) (runs []Summary, err error) {
	err = readEach(state, Whole, func(p *Run) { runs = append(runs, p.Summary()) })
	slices.SortFunc(runs, func(a, b Summary) int {
		return cmp.Or(b.Began.Compare(a.Began), cmp.Compare(b.ID, a.ID))
	})
	return runs, err
}

// Summary summarizes the run, by its journal.
func (p *Run) Summary() Summary { return p.SummaryWith(nil) }

// SummaryWith is Summary; made reports whether a change without a receipt was made; nil if
// unknown.
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

// progress is how far a change has come; of a step, the least of its changes.
type progress uint8

const (
	progressDone progress = iota
	progressUnknown
	progressNotDone
)

// became returns the progress of a change.
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

// Rebuilt is when a run wrote a link, and the time of its origin, in whole seconds, Written
// rounded up as in a scan.
type Rebuilt struct{ Written, From time.Time }

// RebuiltLinks returns the links that runs with the state directories have rebuilt, by key, the
// last time of each. A store that can't set times shows them as new.
func RebuiltLinks(states ...string) (map[string]Rebuilt, error) {
	links := map[string]Rebuilt{}
	for _, state := range states {
		for p, err := range Newest(state, Whole) {
			if err != nil {
				return nil, err
			}
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
	}
	return links, nil
}

// RemovedKeys returns a function that reports whether a run since a time removed a key and it
// wasn't restored, by the journals; nil if there is none. It may return true for other keys
// by chance, so the key must be rechecked. Journals that can't be read are ignored.
func RemovedKeys(state string, since time.Time) func(key string) bool {
	seed, removed := maphash.MakeSeed(), map[uint64]bool{}
	for p, err := range Newest(state, Ends) {
		if err != nil || p.Begin.Time.Before(since) {
			break
		}
		if p, err = Read(state, p.ID, Whole); err != nil || p.Undone {
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
