// Package apply carries plans out, and undoes what it did. It is the only package
// that is handed a Store.
//
// A plan is never taken at its word. With the store locked, all links are listed
// again, and where they aren't exactly what they were when the plan was made, or
// it wasn't made just now, the whole store is read afresh. That is judged under
// the plan's policy, and every step has to come out of it again, precondition
// and all; what comes out besides isn't done and counts as kept, so that no step
// rests on another that nobody carries out. The plan of a removal is its policy:
// exactly what it takes is to go, and all else stays and is a root.
// If that holds and no guard objects, the steps run kind after kind, in an
// order in which an interruption leaves garbage and never a reference to
// something that is gone:
//
//	links that are rebuilt; then, the store read once more, tags' history, tags,
//	revision links, layer links, uploads, blobs, and at last empty directories
//
// Among the uploads are a bucket's multipart uploads. They are given up for good,
// and an undo says so.
//
// Where links are gone, that lasts before what they led to goes.
//
// Within a kind, batches run in parallel inside. Each step's precondition is
// checked against the store as it is now; then the intents of the batch go to
// the journal and are synced; then the store is changed; then the receipts
// follow. A step that failed, or whose precondition doesn't hold any more,
// makes its object a root: the store is judged again with it, and later steps
// that don't come out again are skipped and named.
//
// The journal stands in the state directory, runs/<run>/journal.jsonl, with the
// plan beside it. A run that ended anywhere, by a crash too, can be taken up
// again with the same plan, finished by whatever runs next, or undone.
package apply

import (
	"time"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/plan"
)

// Input is what a run needs to know.
type Input struct {
	Store backend.Store // a backend.Locker is locked for the run, a backend.Keeper is asked what it keeps
	Scan  graph.Options // how the plan was made, its Policy included; Now is replaced. Its Progress is told about the steps too
	Run   backend.Run   // an empty ID is made up; a run that is resumed goes on under its own
	State string        // the state directory on this machine; it is made if it isn't there

	Plan   *plan.Plan    // empty, it still lets a run that was interrupted be finished
	Header plan.Header   // goes into the plan file beside the journal
	Found  *graph.Result // of a reading with Scan.Again that need not be repeated if the links are the same still; or nil
	Made   bool          // Plan is what plan.New makes of Found, under Scan.Policy

	Limits  Limits
	Facts   Facts            // what the caller knows; what Look can find out is looked for again
	Now     func() time.Time // nil is time.Now
	Workers int              // changes made at once; 0 for the default
}

// Limits are what a person allows.
type Limits struct {
	MaxDelete  float64 // share of the blobs, manifests, tags, links and repositories that may go, from 0 to 1; 1 is no limit
	MinObjects int     // where the store has fewer of a kind than that, any share of them may go

	AnyAmount    bool // a person has named what goes: MaxDelete holds only for what is missing
	ByRule       bool // a rule has named what goes, no person: manifests without a tag as well
	AllowTagless bool // manifests without a tag may go though a database may hold their tags
	RunningOK    bool // a registry may answer at the store's address
	NoUndoOK     bool // what goes need not be kept
}

// The limits that hold unless a person says otherwise.
const (
	DefaultMaxDelete  = 0.25
	DefaultMinObjects = 1000
)

// Facts are what is known besides the scan. The caller fills in what only it
// can know, Look the rest.
type Facts struct {
	Harbor    string // what says that the store is Harbor's, whose tags are in a database; "" for nothing
	Answering string // a clause: which registry is at work that may change the store, or ""
	NoUndo    string // a clause: why what goes could not be brought back; "" if it can be
	Retained  string // a clause: why what a run writes for itself could not be removed again; "" if it can be
	Stays     bool   // NoUndo is since nothing can be removed for good, so that doing without an undo is of no use
	Claimed   string // a clause: why the state directory is not this store's; "" if it is, or can be

	FilesystemInUse bool      // GitLab's mark for a store whose links are files
	Undoing         string    // the run whose undo was begun and isn't finished, or ""
	Unfinished      string    // the last run, if it was interrupted or had to leave directories: the next one tidies up after it; or ""
	UnfinishedPlan  string    // its plan's file, where that was of a removal, which no other run goes on with; else ""
	Damaged         []RunInfo // runs whose journal is damaged, and that may be undone or purged
	Unlinked        int       // blobs that lost a link to that run

	taken map[string]bool // the keys that it took, and those that were interrupted before it
	gone  plan.Totals     // how much that is
}

const (
	defaultWorkers = 8
	batchSize      = 2000
)
