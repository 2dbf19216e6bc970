// Package report renders what the others found: text for people, JSON for
// machines, progress for the impatient, and the explanation of every finding.
//
// It decides nothing about a store. One value, Check, holds all there is to
// say about a run, and both the text and the JSON are made from it alone, so
// that the two can't tell different stories. Findings are run through, never
// collected: a report of ten million lines needs no more memory than one.
//
// The text answers in the order in which somebody who was called at night
// asks: was everything read, which tags can't be pulled, why, what else is
// wrong, what takes space, and what now. The verdict and the next command come
// last, where a terminal leaves the eye.
package report

import (
	"time"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/finding"
)

// Check is all there is to say about one check of a store.
type Check struct {
	Version  string   // of the tool
	Target   string   // the store, without credentials
	Repeat   []string // STORE and the flags that decide what is found, for commands to run next
	Reach    []string // the flags by which STORE is reached, for commands that find something else
	Fix      []string // the same as Repeat, as fix takes them
	Started  time.Time
	Finished time.Time

	Result *graph.Result
	Phases []graph.Phase // in the order in which they ran
	Cost   backend.Cost
	Bucket bool // the store is in a bucket: its requests are told

	Objects     int64 // files or objects that the listings named; 0 when not counted
	LinksRead   int64 // links whose content was read; 0 when not counted
	LinksByETag int64 // links that the listing itself proved
	BlobsHashed bool  // every blob's bytes were hashed

	ManifestsCached int64 // manifests that were read before, and that the listing proved to be the same still

	FailOn finding.Severity // the mildest findings that raise DamageLeft; finding.Fatal: none
	Exit   Exit             // what the process will say
}

// Verdict returns "clean" or "damaged". It speaks of what could be read; ask
// Result.Complete whether that was everything.
func (c *Check) Verdict() string {
	if c.Result.Damaged() {
		return "damaged"
	}
	return "clean"
}
