package report

import (
	"iter"
	"strings"
	"time"

	"regfsck/backend/words"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/usage"
	"regfsck/report/document"
	"regfsck/report/view"
)

// WhySchema is the name and version of the documents of why.
const WhySchema = "regfsck.why/1"

// Why is what keeps an object.
type Why struct {
	Check
	Repository string // only its paths are shown; "" for all
	Tag        string // "" if no tag was asked for
	Digest     string // "" if a repository was asked for
	Known      usage.Known
	Paths      iter.Seq[usage.Path]
	Pinned     map[string]string     // the pinned repositories, and why each is
	Own        int64                 // own bytes of the object, if a repository was given
	Holder     usage.RepositoryUsage // of a repository
	Places     []graph.Object        // of a digest that nothing keeps: its files, newest first
	Lost       *check.LostImage      // if the digest is a lost image's manifest; else nil
	Grace      time.Duration
}

// state returns the state of a digest as a stable word.
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

// newest returns the newest time of the files of a digest that nothing keeps.
func (y *Why) newest() time.Time {
	if len(y.Places) == 0 {
		return time.Time{}
	}
	return y.Places[0].Modified
}

// until returns when the grace period of something ends.
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

// Short returns the state.
func (y *Why) Short(o view.Options) view.View {
	return line(o, words.Clean(y.name())+": "+y.state())
}

// Begins describes the root of a path.
func (y *Why) Begins(p usage.Path) string {
	switch p.Hold {
	case usage.HoldTag:
		return p.Repository + ":" + p.Tag
	case usage.HoldHistory:
		return p.Repository + ":" + p.Tag + " (history)"
	case usage.HoldUntagged:
		return p.Repository + " (untagged)"
	case usage.HoldYoung:
		return p.Repository + " (a link newer than --grace)"
	case usage.HoldMismatch:
		return p.Repository + " (a link whose path names another digest)"
	case usage.HoldSignature:
		return p.Repository + " (a schema 1 signature)"
	}
	if why := y.Pinned[p.Repository]; why != "" {
		return p.Repository + " (the whole repository is kept: " + why + ")"
	}
	return p.Repository + " (" + string(p.Hold) + ")"
}

// one returns a path in one line.
func (y *Why) one(p usage.Path) string {
	steps := words.All(p.Steps, func(s usage.Step) string { return " → " + StepWord(s) + " " + ShortDigest(s.Digest) })
	return words.Clean(y.Begins(p)) + strings.Join(steps, "")
}

// StepWord describes a step.
func StepWord(s usage.Step) string {
	switch {
	case s.Index && s.Role == usage.RoleManifest:
		return "index"
	case s.Index:
		return string(s.Role) + " index"
	}
	return string(s.Role)
}

// maxCounted is the most paths that are counted.
const maxCounted = 100_000

// View returns what keeps an object, or why nothing does and since when, and what its removal
// would free.
func (y *Why) View(o view.Options) view.View {
	if o.Limit == 0 {
		o.Limit = 30
	}
	return y.text("why", o, func(t *text) {
		t.title(t.Paint(view.Bold, "regfsck why"), "  ", words.Clean(y.Target), "  ", t.Paint(view.Bold, words.Clean(y.name())))
		t.Gap()
		if y.Digest == "" {
			y.holder(t)
		} else {
			y.thing(t)
			n := y.paths(t)
			y.unkept(t, n)
		}
		y.freed(t)
		if !y.Result.Complete {
			t.Para(1, t.Paint(view.Red, "INCOMPLETE")+": something could not be read, so more may keep it than is listed here.")
			t.Line(2, y.at("check"))
		}
	})
}

// holder writes what a repository holds.
func (y *Why) holder(t *text) {
	r := &y.Holder
	t.Line(1, words.Plural(r.Tags, "tag", "tags")+", "+words.Plural(r.Manifests, "manifest", "manifests")+", "+
		words.Size(r.Total())+", "+words.Size(r.Shared)+" of it shared with other repositories")
	t.Lead(1, "Its tags:  ", y.at("ls", y.Repository))
}

// thing writes what the digest is.
func (y *Why) thing(t *text) {
	what := "a blob"
	if y.Known.Manifest {
		what = "a manifest"
	}
	if y.Tag != "" {
		t.Line(1, words.Clean(y.Digest))
	}
	switch {
	case y.Known.Stored && y.Known.Corrupt:
		t.Line(1, words.Size(y.Known.Size), ", ", t.Paint(view.Red, "which do not hash to the digest"))
	case y.Known.Stored:
		t.Line(1, what+" of "+words.Size(y.Known.Size))
	default:
		t.Line(1, t.Paint(view.Red, "It is not in the store."))
	}
	t.Gap()
}

// paths writes the paths and returns their number.
func (y *Why) paths(t *text) (n int) {
	for p := range y.Paths {
		if n++; t.Shown(n - 1) {
			t.Line(1, y.one(p))
		}
		if n > maxCounted {
			break
		}
	}
	if t.Shown(n - 1) {
		return n
	}
	count := words.Number(n - t.Limit)
	if n > maxCounted {
		count = "more than " + words.Number(maxCounted-t.Limit)
	}
	t.Line(1, t.Paint(view.Dim, "… and "+count+" more: "+t.command("--json")))
	return n
}

// unkept writes why nothing keeps it, and since when.
func (y *Why) unkept(t *text, paths int) {
	where := ""
	if y.Repository != "" {
		where = " in this repository"
	}
	switch {
	case paths > 0 && y.Known.Stored && y.Repository == "":
		t.Lead(1, t.Paint(view.Dim, "It can be freed once all of these are removed."))
		return
	case paths > 0 && y.Known.Stored:
		return
	case paths > 0:
		t.Para(1, "These need it, but it is missing.")
		return
	case y.Known.Kept && y.Repository != "":
		t.Line(1, "Nothing keeps it"+where+"; others may.")
		return
	case y.Known.Kept:
		t.Prose(1, "Nothing that could be read needs it. What could not be read, or is kept in a database, may need it, so it does not count as garbage.")
		return
	case !y.Known.Stored:
		t.Line(1, "Nothing needs it.")
		return
	}
	t.Line(1, "Nothing needs it, and no link has been written since "+Day(y.newest())+" UTC.")
	for i, p := range y.Places {
		if i == 5 && t.Limit > 0 {
			t.Line(2, t.Paint(view.Dim, "… and "+words.Plural(len(y.Places)-i, "more file", "more files")))
			break
		}
		t.Line(2, t.Paint(view.Dim, Day(p.Modified)), "  ", words.Clean(p.Key))
	}
	t.Gap()
	y.lostImage(t)
	if until := y.until(); !until.IsZero() {
		t.Line(1, "It is kept until "+Day(until)+" UTC, because it is newer than --grace.")
		return
	}
	t.Line(1, "This frees it, with all other garbage:  ", commandOf(append([]string{"fix"}, y.Fix...)...))
}

// lostImage writes that a digest is a lost image's manifest, since when, and how to restore
// it.
func (y *Why) lostImage(t *text) {
	if y.Lost == nil {
		return
	}
	since := ""
	if !y.Lost.Since.IsZero() {
		since = " The directory of its link in " + words.Clean(y.Lost.In) + " has been empty since " + Day(y.Lost.Since) + " UTC."
	}
	t.Prose(1, "It is the manifest of a complete image: everything it references is stored. No tag and no other link names it."+since)
	for _, why := range y.Lost.Rejected {
		t.Prose(2, "No tag can be written in "+words.Clean(why)+".")
	}
	switch {
	case len(y.Lost.Repositories) > 0:
		t.Para(1, "This restores it, with every other lost image, as "+refsOf(y.Lost)+":")
		t.Line(2, y.at("fix", "--also", finding.ManifestLost.String()))
	case len(y.Lost.Rejected) == 0:
		t.Prose(1, "No repository proves that it had this image, so no tag is written for it: that could give away a private image. Push the image again.")
	}
	t.Gap()
}

// refsOf lists the tags under which a lost image is restored.
func refsOf(l *check.LostImage) string {
	refs := words.All(l.Repositories, func(repository string) string { return words.Clean(repository + ":" + l.Tag) })
	if n := len(refs) - 3; n > 0 {
		refs = append(refs[:3], words.Number(n)+" more")
	}
	return strings.Join(refs, ", ")
}

// freed writes the own bytes of a named object.
func (y *Why) freed(t *text) {
	if y.Repository == "" || y.Digest != "" && !y.Known.Kept {
		return
	}
	t.Gap()
	if why := y.Pinned[y.Repository]; why != "" && y.Digest != "" {
		t.Prose(1, "Removing only it frees nothing, because the whole repository is kept: "+words.Clean(why)+".")
		return
	}
	t.Line(1, t.Paint(view.Bold, words.Size(y.Own)), " is freed if only "+words.Clean(y.name())+" is removed, with what only it uses.")
}

type pathFields usage.Path

type placeFields struct {
	Path       string `json:"path"`
	Repository string `json:"repository"`
	Modified   string `json:"modified"`
}

type lostImageFields struct {
	Tag          string   `json:"tag"`          // that --also manifest-lost writes
	Repositories []string `json:"repositories"` // in which it does
	Denied       []string `json:"denied"`       // that have evidence of it, and why they get no tag
	Since        string   `json:"unnamed_since"`
	In           string   `json:"unnamed_in"`
}

// whyFields is the document of why.
type whyFields struct {
	timedFields
	Complete   bool                  `json:"complete"`
	Notes      []string              `json:"notes"`
	Repository string                `json:"repository"`
	Tag        string                `json:"tag"`
	Digest     string                `json:"digest"`
	State      string                `json:"state"`
	Manifest   bool                  `json:"manifest"`
	Corrupt    bool                  `json:"corrupt"`
	Stored     bool                  `json:"stored"`
	Size       int64                 `json:"size_bytes"`
	Own        *int64                `json:"own_bytes,omitempty"` // if a repository was given, as is Pinned
	Pinned     *string               `json:"pinned,omitempty"`
	Newest     string                `json:"newest"`
	KeptUntil  string                `json:"kept_until"`
	Lost       *lostImageFields      `json:"lost_image,omitempty"`
	Places     iter.Seq[placeFields] `json:"places"`
	Paths      iter.Seq[pathFields]  `json:"paths"`
	Exit       exitFields            `json:"exit"`
}

// Fields returns the document, with every path.
func (y *Why) Fields() any {
	d := whyFields{
		timedFields: y.timed(WhySchema), Complete: y.Result.Complete, Notes: document.List(y.Result.Notes),
		Repository: y.Repository, Tag: y.Tag, Digest: y.Digest, State: y.state(),
		Manifest: y.Known.Manifest, Corrupt: y.Known.Corrupt, Stored: y.Known.Stored, Size: y.Known.Size,
		Newest: document.Time(y.newest()), KeptUntil: document.Time(y.until()),
		Places: document.Each(y.Places, func(p *graph.Object) placeFields { return placeFields{p.Key, p.Repository, document.Time(p.Modified)} }),
		Paths: document.Map(y.Paths, func(p usage.Path) pathFields {
			p.Steps = document.List(p.Steps)
			return pathFields(p)
		}),
		Exit: exitOf(y.Exit),
	}
	if y.Repository != "" {
		pinned := y.Pinned[y.Repository]
		d.Own, d.Pinned = &y.Own, &pinned
	}
	if l := y.Lost; l != nil {
		d.Lost = &lostImageFields{l.Tag, document.List(l.Repositories), document.List(l.Rejected), document.Time(l.Since), l.In}
	}
	return d
}
