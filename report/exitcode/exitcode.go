// Package exitcode computes the exit code of each command from what it found and did.
package exitcode

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/apply"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
	"regfsck/report/accept"
	"regfsck/walker/layout"
)

// Code is the exit code of the program: bits as in fsck(8). Zero means success without
// damage; garbage is not damage.
type Code int

// The bits. 2 isn't used: a Go program exits with it after a panic.
const (
	Repaired   Code = 1  // some damage was repaired by this run
	DamageLeft Code = 4  // damage remains
	Incomplete Code = 8  // something could not be read, or a step failed
	Usage      Code = 16 // wrong arguments or configuration, or no registry there
	Cancelled  Code = 32 // stopped at a safe point
	Refused    Code = 64 // refused by a guard
)

// Bit is one bit of a Code with its name, which is stable, and meaning.
type Bit struct {
	Bit     Code
	Name    string
	Meaning string
}

var bits = [...]Bit{
	{Repaired, "repaired", "some damage was repaired by this run"},
	{DamageLeft, "damage-left", "damage is left"},
	{Incomplete, "incomplete", "incomplete: something could not be read or judged, or a step failed"},
	{Usage, "usage", "usage or configuration error, no such store, not a registry"},
	{Cancelled, "cancelled", "cancelled at a safe point"},
	{Refused, "refused", "refused by a guard; nothing was changed"},
}

// Bits returns all bits, lowest first.
func Bits() []Bit { return slices.Clone(bits[:]) }

// Names returns the names of the bits that are set, lowest first. It is never nil.
func (e Code) Names() []string {
	names := []string{}
	for _, b := range e.set() {
		names = append(names, b.Name)
	}
	return names
}

// Meaning describes the code in one clause, with its parts if there are several: "4 damage is
// left + 8 incomplete …".
func (e Code) Meaning() string {
	if e == 0 {
		return "done, nothing wrong (garbage is not damage)"
	}
	bits, parts := e.set(), []string{}
	if len(bits) == 1 {
		return bits[0].Meaning
	}
	for _, b := range bits {
		parts = append(parts, fmt.Sprintf("%d %s", b.Bit, b.Meaning))
	}
	return strings.Join(parts, " + ")
}

func (e Code) set() []Bit {
	return slices.DeleteFunc(Bits(), func(b Bit) bool { return e&b.Bit == 0 })
}

// OfCheck returns the code of a check. DamageLeft is set by findings at least as bad as
// failOn, and by broken tags as by an error; finding.Fatal means never. Garbage in grace,
// accepted findings, and tags that only those break don't count. Incomplete doesn't depend on
// failOn; tags whose state is unknown set it too.
func OfCheck(r *check.Result, failOn finding.Severity, accepted *accept.Set) Code {
	var e Code
	for id := range finding.Kinds {
		s := id.Severity()
		if s != finding.Fatal && s <= failOn && accepted.Left(id, r.Counts[id]).Count > 0 {
			e |= DamageLeft
		}
	}
	if r.Totals.TagsBroken > accepted.Tags() && failOn >= finding.Error {
		e |= DamageLeft
	}
	if !r.Complete || r.Totals.TagsUnknown > 0 || Unproven(r) {
		e |= Incomplete
	}
	return e
}

// Unproven reports whether blobs aren't verified that should be.
func Unproven(r *check.Result) bool {
	return r.Proofs != nil && r.Proofs.All && r.Proofs.Unproven.Blobs > 0
}

// OfShard returns the code of a run that only hashed blobs: DamageLeft if any is corrupt,
// unless failOn is finding.Fatal, and Incomplete if something could not be read.
func OfShard(h *graph.Hashing, failOn finding.Severity) (e Code) {
	if len(h.Wrong) > 0 && failOn >= finding.Error {
		e |= DamageLeft
	}
	if len(h.Unread) > 0 {
		e |= Incomplete
	}
	return e
}

// OfRun returns the code of a run of a plan. DamageLeft is what a check would return now;
// with finding.Fatal as failOn, it isn't set.
func OfRun(r *check.Result, p *plan.Plan, o *apply.Outcome, failOn finding.Severity) Code {
	e := OfUndo(o)
	if o.Repaired() {
		e |= Repaired
	}
	if failOn >= finding.Error && damageLeft(r, p, o) {
		e |= DamageLeft
	}
	if !r.Complete || unknownLeft(r, p, o) {
		e |= Incomplete
	}
	return e
}

// unknownLeft reports whether the run left a tag whose state is unknown.
func unknownLeft(r *check.Result, p *plan.Plan, o *apply.Outcome) bool {
	if r.Totals.TagsUnknown == 0 {
		return false
	}
	went := taken(p, o)
	for t := range r.Unknown {
		if !went[t.Repository+":"+t.Tag] {
			return true
		}
	}
	return false
}

// OfUndo returns the code of an undo.
func OfUndo(o *apply.Outcome) (e Code) {
	if len(o.NotDone) > 0 || len(o.RemovedLater)+len(o.RemovedElsewhere) > 0 || o.Damage != "" {
		e |= Incomplete
	}
	if o.Interrupted {
		e |= Cancelled
	}
	return e
}

// changeOf identifies a change by kind of finding and key.
type changeOf struct {
	kind finding.Kind
	key  string
}

// damageLeft reports whether the run left damage.
func damageLeft(r *check.Result, p *plan.Plan, o *apply.Outcome) bool {
	if o.Interrupted {
		return r.Damaged()
	}
	done := map[changeOf]bool{}
	for i := range p.Steps {
		done[changeOf{p.Steps[i].Finding, p.Steps[i].Key}] = true
	}
	for i := range o.NotDone {
		delete(done, changeOf{o.NotDone[i].Step.Finding, o.NotDone[i].Step.Key})
	}
	went := taken(p, o)
	withdrawn := !slices.ContainsFunc(o.NotDone, func(l apply.NotDone) bool { return l.Step.Finding.Withdraws() })
	for f := range r.Findings {
		if f.Kind.Severity() >= finding.Garbage {
			break
		}
		if f.Kind.Severity() != finding.Error && f.AffectsCount == 0 {
			continue
		}
		if !cured(r.Scan, &f, done) && !wentWith(&f, went) && !(f.Withdrawn && withdrawn) {
			return true
		}
	}
	return false
}

// taken returns the keys and tags ("repo:tag") that were removed as requested or as garbage.
func taken(p *plan.Plan, o *apply.Outcome) map[string]bool {
	keys := map[string]bool{}
	mark := func(s *plan.Step, is bool) {
		if s.Finding.Severity() < finding.Garbage || s.Finding.Withdraws() {
			return
		}
		keys[s.Key] = is
		if s.Kind.IsTag() {
			keys[s.Repository+":"+s.Tag] = is
		}
	}
	for i := range p.Steps {
		mark(&p.Steps[i], true)
	}
	for i := range o.NotDone {
		mark(&o.NotDone[i].Step, false)
	}
	return keys
}

// wentWith reports whether the run removed the object of a finding, or every tag that it
// blocks.
func wentWith(f *finding.Finding, taken map[string]bool) bool {
	if taken[f.Path] {
		return true
	}
	return f.AffectsCount > 0 && f.AffectsCount == len(f.Affects) &&
		!slices.ContainsFunc(f.Affects, func(ref string) bool { return !taken[ref] })
}

// healedAs are the kinds of findings for which a blob is copied from a source; it is copied
// once for all of them.
var healedAs = []finding.Kind{finding.ManifestMissing, finding.ManifestCorrupt, finding.BlobMissing, finding.BlobCorrupt}

// cured reports whether the changes that were done are all that a finding needs.
func cured(s *graph.Scan, f *finding.Finding, done map[changeOf]bool) bool {
	switch f.Cure {
	case finding.CureHeal:
		d, _ := layout.ParseAnyDigest(f.Digest)
		return slices.ContainsFunc(healedAs, func(k finding.Kind) bool { return done[changeOf{k, d.BlobKey()}] })
	case finding.CureRebuild, finding.CureWriteAsk:
		return done[changeOf{f.Kind, f.Path}] || f.Tag != "" && done[changeOf{f.Kind, strings.TrimSuffix(f.Path, "/") + "/current/link"}]
	case finding.CureMoveAsk: // what lacks a blob's bytes remains damaged
		return f.Kind == finding.CacheStateInvalid && done[changeOf{f.Kind, f.Path}]
	case finding.CureRemoveAsk:
		if f.Kind == finding.ManifestMissing { // without the link, an index that names it is sparse
			return done[changeOf{f.Kind, f.Path}] && (f.AffectsCount == 0 || s != nil && !isTarget(s, f))
		}
		return done[changeOf{f.Kind, f.Path}] || done[changeOf{f.Kind, f.Path + "/"}]
	}
	return false
}

// isTarget reports whether the manifest of a finding is the target of a tag of its repository,
// or of an alias that is.
func isTarget(s *graph.Scan, f *finding.Finding) bool {
	id, repo := s.Graph.KnownIDOf(f.Digest), &s.Graph.Repos[s.Graph.RepoID[f.Repository]]
	for target := range repo.Targets {
		if target == id || repo.Resolve(target) == id {
			return true
		}
	}
	return false
}

// OfPurge returns the code of the purge of one run, which returned err.
func OfPurge(err error) Code {
	var no *apply.Refused
	switch {
	case err == nil:
		return 0
	case errors.Is(err, backend.ErrLocked), errors.As(err, &no):
		return Refused
	}
	return Incomplete
}
