package report

import (
	"io"
	"iter"
	"strings"
	"time"

	"regfsck/graph"
)

// WhySchema names the form of the documents of why.
const WhySchema = "regfsck.why/1"

// Why is all there is to say about what keeps one thing.
type Why struct {
	Check
	Repository string // whose paths alone are told; "" for those of all
	Tag        string // that was asked for, "" for none
	Digest     string // "" where a whole repository was asked for
	Known      graph.Known
	Paths      iter.Seq[graph.Path]
	Pinned     map[string]string     // why nothing of a repository goes, by its name
	Own        int64                 // bytes that only what was asked for holds, where a repository was named
	Holder     graph.RepositoryUsage // of a whole repository
	Places     []graph.Place         // of a digest that nothing keeps: its files, the newest first
	Lost       *graph.LostImage      // of one that is a whole image's manifest; else nil
	Grace      time.Duration
}

// state says in a stable word what becomes of a digest.
func (y *Why) state() string {
	switch {
	case y.Digest == "":
		return "repository"
	case y.Known.Kept:
		return "kept"
	case !y.Known.Stored:
		return "absent"
	case y.Known.Young:
		return "young"
	}
	return "garbage"
}

// newest returns the time by which the age of what nothing keeps goes.
func (y *Why) newest() time.Time {
	if len(y.Places) == 0 {
		return time.Time{}
	}
	return y.Places[0].Modified
}

// until returns when something young ceases to be.
func (y *Why) until() time.Time {
	if y.state() != "young" || y.newest().IsZero() {
		return time.Time{}
	}
	return y.newest().Add(y.Grace)
}

// name returns what was asked for.
func (y *Why) name() string {
	switch {
	case y.Tag != "":
		return y.Repository + ":" + y.Tag
	case y.Repository != "" && y.Digest != "":
		return y.Repository + "@" + y.Digest
	case y.Repository != "":
		return y.Repository
	}
	return y.Digest
}

// WriteVerdict writes what becomes of it.
func (y *Why) WriteVerdict(w io.Writer, o TextOptions) error {
	t := newText(&y.Check, w, o)
	t.line(0, Clean(y.name()), ": ", y.state())
	return t.flush()
}

// begins says what a path begins with.
func (y *Why) begins(p graph.Path) string {
	switch p.Hold {
	case graph.HoldTag:
		return p.Repository + ":" + p.Tag
	case graph.HoldHistory:
		return p.Repository + ":" + p.Tag + " (history)"
	case graph.HoldUntagged:
		return p.Repository + " (untagged)"
	case graph.HoldYoung:
		return p.Repository + " (a young link)"
	case graph.HoldMismatch:
		return p.Repository + " (a link whose path names another)"
	case graph.HoldSignature:
		return p.Repository + " (a signature of the first schema)"
	}
	if why := y.Pinned[p.Repository]; why != "" {
		return p.Repository + " (all of it stays: " + why + ")"
	}
	return p.Repository + " (" + string(p.Hold) + ")"
}

// one writes a path in one line.
func (y *Why) one(p graph.Path) string {
	parts := []string{Clean(y.begins(p))}
	for _, s := range p.Steps {
		parts = append(parts, word(s)+" "+name(s.Digest))
	}
	return strings.Join(parts, " → ")
}

// word says what a step is.
func word(s graph.Step) string {
	switch {
	case s.Index && s.Role == graph.RoleManifest:
		return "index"
	case s.Index:
		return string(s.Role) + " index"
	}
	return string(s.Role)
}
