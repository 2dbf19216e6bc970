package apply

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/backend/statedir"
	"regfsck/graph/plan"
)

// Status is how far a run has come.
type Status string

// The states of a run.
const (
	Unfinished  Status = "unfinished"  // it crashed, or is at work
	Interrupted Status = "interrupted" // it was stopped at a safe point
	Done        Status = "done"        // it came to its end, whatever it had to leave
	Undoing     Status = "undoing"     // its undo was begun and isn't finished
	Undone      Status = "undone"
	// PartlyPurged is a run of which a purge could not give up all, or broke off: the
	// rest can be undone, and purged again.
	PartlyPurged Status = "partly purged"
	Purged       Status = "purged"
)

// ErrNoRun is a run that the state directory doesn't know.
var ErrNoRun = errors.New("no such run")

// RunInfo is what the state directory knows of one run.
type RunInfo struct {
	ID          string
	Plan        string // the plan's id
	Command     string // "fix"
	Target      string
	Began       time.Time
	Status      Status
	Keep        bool   // what went was kept for an undo
	Changed     int    // keys that were written or removed, and aborted multipart uploads; directories don't count
	Done        int    // steps that were done, as the run's own report counts them
	Unconfirmed int    // steps that were begun, and of which nobody has noted what became
	Bytes       int64  // of contents, that the steps which were done took away
	Damage      string // a clause: what is wrong with its journal, so that what is told of it isn't all; "" for nothing
}

// CanUndo reports whether there is something to undo, and a way to.
func (r RunInfo) CanUndo() bool { return r.Keep && r.Status != Undone && r.Status != Purged }

// NewID makes up the id of a run that begins now. Ids sort by time.
func NewID(now time.Time) string {
	var b [3]byte
	rand.Read(b[:])
	return now.UTC().Format(idTime) + "-" + hex.EncodeToString(b[:])
}

// idTime is how an id begins.
const idTime = "20060102-150405"

// lag is how far the times of a disk may be behind the clock: FAT keeps even
// seconds only, and a kernel takes the time of its last tick.
const lag = 3 * time.Second

// UnfinishedSince returns since when directories have been emptied by runs that were broken
// off and that nobody has finished since, as the times of a disk may tell; zero if
// there is no such run.
func UnfinishedSince(state string) (since time.Time, err error) {
	all, err := readRuns(state, glance)
	for _, p := range unfinishedRuns(all) {
		ended := p.status() == Done && p.end.By == "" // of what it had to leave the next run knows
		if !ended && !p.begin.Time.IsZero() {         // else it ended before it did anything
			since = p.begin.Time.Add(-lag)
		}
	}
	return since, err
}

func runDir(state, id string) string { return filepath.Join(state, runsName, id) }

// readRuns reads the journals of all runs, the newest first, with readPast or
// glance.
func readRuns(state string, read func(state, id string) (*past, error)) ([]*past, error) {
	dir, err := statedir.OpenBelow(state, runsName)
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
	var all []*past
	for _, e := range entries {
		if !e.IsDir() && e.Type() != fs.ModeSymlink { // no run's; of a link, reading it says that it is one
			continue
		}
		p, err := read(state, e.Name())
		if errors.Is(err, fs.ErrNotExist) { // it ended before it had a journal
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *past) int {
		return cmp.Or(b.begin.Time.Compare(a.begin.Time), cmp.Compare(b.id, a.id))
	})
	return all, nil
}

// Runs lists the runs that a state directory knows, the newest first. Where there
// is no such directory there are none.
func Runs(state string) ([]RunInfo, error) {
	all, err := readRuns(state, readPast)
	var runs []RunInfo
	for _, p := range all {
		runs = append(runs, p.info())
	}
	return runs, err
}

func (p *past) info() RunInfo { return p.infoWith(nil) }

// infoWith is info, where taken tells of a change that nobody has noted whether it
// was made; nil knows nothing of them.
func (p *past) infoWith(taken func(*intent) bool) RunInfo {
	r := RunInfo{
		ID: p.id, Plan: p.begin.Plan, Command: p.begin.Command, Target: p.begin.Target,
		Began: p.begin.Time, Status: p.status(), Keep: p.begin.Keep, Damage: p.damage,
	}
	steps := map[string]progress{}
	for n := range p.intents {
		i := &p.intents[n]
		if i.Finding == "" { // a directory that was emptied
			continue
		}
		is := p.became(i, taken)
		if is == made && !strings.HasSuffix(i.Key, "/") {
			r.Changed++
		}
		if is == made && i.Op == plan.Remove {
			r.Bytes += i.Bytes
		}
		step := cmp.Or(i.Step, i.target())
		steps[step] = max(steps[step], is)
	}
	for _, is := range steps {
		switch is {
		case made:
			r.Done++
		case unsure:
			r.Unconfirmed++
		}
	}
	return r
}

// progress is how far a change, or the step that it is a part of, has come: of a
// step, the worst of its changes.
type progress uint8

const (
	made progress = iota
	unsure
	unmade
)

// became tells what became of a change.
func (p *past) became(i *intent, taken func(*intent) bool) progress {
	switch r, told := p.receipts[i.target()]; {
	case told && r.Err == "":
		return made
	case told:
		return unmade
	case taken == nil:
		return unsure
	case taken(i):
		return made
	}
	return unmade
}

// ConfirmedRuns is Runs, and looks into the store for what became of steps of which a
// crash took the notes, as far as the store can tell: by what it keeps, and by what
// links hold.
func ConfirmedRuns(ctx context.Context, s backend.Store, state string) ([]RunInfo, error) {
	all, err := readRuns(state, readPast)
	var runs []RunInfo
	for _, p := range all {
		r := p.info()
		if q, ok := s.(backend.Quarantiner); ok && r.Unconfirmed > 0 && p.begin.Keep && !p.undo && !p.purging {
			if kept, err := q.Quarantined(ctx, p.run()); err == nil {
				r = p.infoWith(confirmedIn(ctx, s, kept))
			}
		}
		runs = append(runs, r)
	}
	return runs, err
}

// confirmedIn tells of a change whether it was made.
func confirmedIn(ctx context.Context, s backend.Store, kept []backend.Quarantined) func(*intent) bool {
	there := map[string]bool{}
	for _, k := range kept {
		there[k.Key] = true
	}
	return func(i *intent) bool {
		if i.Op == plan.Write {
			is, err := content(ctx, s, i.Key)
			return err == nil && is == string(i.Body)
		}
		if !strings.HasSuffix(i.Key, "/") {
			return there[i.Key]
		}
		_, err := s.Stat(ctx, strings.TrimSuffix(i.Key, "/"))
		return errors.Is(err, fs.ErrNotExist)
	}
}

// Rebuilt is when a link was written by a run, and the time of what it was made
// from, both in whole seconds, the first rounded up as a scan does.
type Rebuilt struct{ Written, From time.Time }

// RebuiltLinks returns the links that runs have rebuilt, by key: the last time of each.
// A store that can't set a file's time, as a bucket can't, shows them as new.
func RebuiltLinks(state string) (map[string]Rebuilt, error) {
	all, err := readRuns(state, readPast)
	if err != nil {
		return nil, err
	}
	links := map[string]Rebuilt{}
	for _, p := range all {
		for _, i := range p.intents {
			r, told := p.receipts[i.target()]
			if i.Op != plan.Write || i.From == 0 || !told || r.Err != "" || r.Time == 0 {
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
// by chance: it is to be looked at, and not to be taken for gone. What can't be read
// is left out.
func RemovedKeys(state string, since time.Time) func(key string) bool {
	all, _ := readRuns(state, glance)
	seed, removed := maphash.MakeSeed(), map[uint64]bool{}
	for _, p := range all {
		if p.undone || p.begin.Time.Before(since) {
			continue
		}
		p, err := readPast(state, p.id)
		if err != nil {
			continue
		}
		for _, i := range p.intents {
			if i.Op == plan.Remove && !strings.HasSuffix(i.Key, "/") && p.receipts[i.Key].Err == "" {
				removed[maphash.String(seed, i.Key)] = true
			}
		}
	}
	if len(removed) == 0 {
		return nil
	}
	return func(key string) bool { return removed[maphash.String(seed, key)] }
}

// OpenPlan opens a plan file. One that stands beside a run's journal is opened as all
// in a state directory is: no name there is followed.
func OpenPlan(path string) (*os.File, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(abs)
	runs := filepath.Dir(dir)
	if filepath.Base(abs) != planName || filepath.Base(runs) != runsName {
		return os.Open(path)
	}
	d, err := statedir.OpenBelow(filepath.Dir(runs), runsName, filepath.Base(dir))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Read(planName)
}
