package report

import (
	"fmt"
	"slices"
	"strings"

	"regfsck/graph"
	"regfsck/graph/finding"
)

// Exit is the exit code of the program: the bits of fsck(8), OR-ed. Zero means
// that the work is done and nothing is wrong; garbage is not damage.
type Exit int

// The bits. 2 is never used on purpose: it is what a Go program dies with.
const (
	Repaired   Exit = 1  // some damage was repaired by this run
	DamageLeft Exit = 4  // damage is left
	Incomplete Exit = 8  // something could not be read, or a step failed
	Usage      Exit = 16 // wrong arguments or configuration, or no registry there
	Cancelled  Exit = 32 // stopped at a safe point
	Refused    Exit = 64 // refused by a guard
)

// ExitBit is one bit of an Exit, its stable name, and what it means.
type ExitBit struct {
	Bit     Exit
	Name    string
	Meaning string
}

var exitBits = [...]ExitBit{
	{Repaired, "repaired", "some damage was repaired by this run"},
	{DamageLeft, "damage-left", "damage is left"},
	{Incomplete, "incomplete", "incomplete, a tag that can't be judged, or something failed: don't trust, look"},
	{Usage, "usage", "usage or configuration error, no such store, not a registry"},
	{Cancelled, "cancelled", "cancelled at a safe point"},
	{Refused, "refused", "refused by a guard; nothing was changed"},
}

// ExitBits returns all bits, lowest first.
func ExitBits() []ExitBit { return slices.Clone(exitBits[:]) }

// Names returns the stable names of the bits that are set, lowest first. It is
// never nil.
func (e Exit) Names() []string {
	names := []string{}
	for _, b := range e.bits() {
		names = append(names, b.Name)
	}
	return names
}

// Meaning says in one clause what the code tells, with its parts where it has
// several: "4 damage is left + 8 incomplete …".
func (e Exit) Meaning() string {
	if e == 0 {
		return "done, nothing wrong (garbage is not damage)"
	}
	if bits := e.bits(); len(bits) == 1 {
		return bits[0].Meaning
	}
	var parts []string
	for _, b := range e.bits() {
		parts = append(parts, fmt.Sprintf("%d %s", b.Bit, b.Meaning))
	}
	return strings.Join(parts, " + ")
}

func (e Exit) bits() []ExitBit {
	return slices.DeleteFunc(ExitBits(), func(b ExitBit) bool { return e&b.Bit == 0 })
}

// ExitOf returns the code of a check. DamageLeft is set by findings that are at
// least as bad as failOn, and by tags that can't be pulled as by an error;
// finding.Fatal stands for "never". Garbage within the
// grace period doesn't count. Incomplete depends on the result alone:
// it is set, too, by tags that can't be judged.
func ExitOf(r *graph.Result, failOn finding.Severity) Exit {
	var e Exit
	for id := range finding.Kinds {
		s := id.Severity()
		if s != finding.Fatal && s <= failOn && r.Counts[id].Count > 0 {
			e |= DamageLeft
		}
	}
	if r.Totals.TagsBroken > 0 && failOn >= finding.Error {
		e |= DamageLeft
	}
	if !r.Complete || r.Totals.TagsUnknown > 0 {
		e |= Incomplete
	}
	return e
}
