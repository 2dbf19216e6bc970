package journal

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"time"

	"regfsck/backend/statedir"
	"regfsck/graph/plan"
)

// Names in a state directory: runs/<id>/journal.jsonl, with the plan beside it.
const (
	RunsName = "runs"
	FileName = "journal.jsonl"
	PlanName = "plan.jsonl"
	keptName = "kept" // the quarantine of a driver that keeps it beside the journal
)

// Dir returns the directory of a run.
func Dir(state, id string) string { return filepath.Join(state, RunsName, id) }

// NewID returns an id for a run that begins now. Ids sort by time.
func NewID(now time.Time) string {
	var b [3]byte
	rand.Read(b[:])
	return now.UTC().Format(idTime) + "-" + hex.EncodeToString(b[:])
}

// idTime is the format of the beginning of an id.
const idTime = "20060102-150405"

// Create creates the directory of a new run, unless it exists, and writes its plan there.
// setOwner is called with each directory that is created, and with the plan's file before it is
// written.
func Create(state, id string, p *plan.Plan, h plan.Header, setOwner func(*os.File) error) error {
	dir, err := statedir.Make(state, setOwner, RunsName, id)
	if err != nil {
		return err
	}
	defer dir.Close()
	f, err := dir.Create(PlanName)
	if err != nil {
		return err
	}
	if err = setOwner(f); err == nil {
		err = p.Save(f, h)
	}
	if err == nil {
		err = f.Sync()
	}
	err = cmp.Or(err, f.Close())
	return err
}

// OpenPlan opens a plan file. One beside a run's journal is opened without following symbolic
// links.
func OpenPlan(path string) (*os.File, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(abs)
	runs := filepath.Dir(dir)
	if filepath.Base(abs) != PlanName || filepath.Base(runs) != RunsName {
		return os.Open(path)
	}
	d, err := statedir.OpenBelow(filepath.Dir(runs), RunsName, filepath.Base(dir))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Read(PlanName)
}
