package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"regfsck/backend/words"
	"regfsck/graph/finding"
	"regfsck/report/changes"
	"regfsck/report/view"
)

var signStyles = map[string]view.Style{changes.Removed: view.Red, changes.Written: view.Green, changes.Undecided: view.Yellow}

// changes writes repairs, removals and decisions by name, or by key if requested.
func (t *planText) changes() {
	if t.Verbose {
		t.diff()
		return
	}
	t.named("REPAIRS", changes.Written, t.p.repairs())
	t.named("REMOVALS", changes.Removed, t.p.removals())
	t.decisions()
}

func (t *planText) named(title, sign string, all []changes.Named) {
	if len(all) == 0 {
		return
	}
	t.Section(view.Bold, title)
	width := max(10, widest(all, func(n *changes.Named) string { return words.Clean(n.Name) }))
	t.BareTable(1, view.Column{Width: width + 2}, view.Column{Name: "what", Gap: 2})
	for _, n := range all[:t.First(len(all))] {
		t.Row(t.Paint(signStyles[sign], sign+" ")+words.Clean(n.Name), n.What)
		if n.Why != "" {
			t.Prose(3, t.cropped(words.Clean(n.Why)))
		}
	}
	t.More(1, len(all), "")
}

// maxSubjects is the most objects listed for one decision.
const maxSubjects = 3

// decisions writes what needs a decision, by kind of finding.
func (t *planText) decisions() {
	type kind struct {
		id    finding.Kind
		cure  finding.Cure
		count int
		names []string
	}
	var kinds []kind
	for f := range t.p.Decisions() {
		if last := len(kinds) - 1; last < 0 || kinds[last].id != f.Kind {
			kinds = append(kinds, kind{id: f.Kind, cure: f.Cure})
		}
		k := &kinds[len(kinds)-1]
		if k.count++; k.count <= maxSubjects {
			k.names = append(k.names, cmp.Or(Impact(f), t.cropped(words.Clean(f.Path))))
		}
	}
	if len(kinds) == 0 {
		return
	}
	t.Heading(view.Bold, "DECISIONS")
	for _, k := range kinds {
		t.Lead(1, t.Paint(view.Yellow, "! "+k.id.String()), "  ", words.Number(k.count), "  ", k.id.Explanation().Brief)
		t.Prose(3, t.cureOf(k.id, k.cure))
		for _, name := range k.names {
			t.Line(3, t.Paint(view.Bold, name))
		}
		if n := k.count - len(k.names); n > 0 {
			t.Line(3, t.Paint(view.Dim, "… and "+words.Number(n)+" more:  "+t.command("--verbose")))
		}
	}
}

// diff writes the lines of the diff.
func (t *planText) diff() {
	groups := changes.Groups(t.all)
	repositories := 0
	for i, g := range groups {
		if changes.Part(&g[0]) > 0 || t.Shown(i) {
			t.changesOf(g)
		}
		if changes.Part(&g[0]) == 0 {
			repositories++
		}
		if last := i+1 == len(groups) || changes.Part(&groups[i+1][0]) > 0; last && !t.Shown(repositories-1) && changes.Part(&g[0]) == 0 {
			t.Gap()
			t.More(0, repositories, " repositories")
		}
	}
}

// changesOf writes the lines of one part.
func (t *planText) changesOf(all []changes.Change) {
	t.Heading(view.Bold, changes.Title(&all[0]))
	for i := range all[:t.First(len(all))] {
		t.change(&all[i])
	}
	t.More(1, len(all), "")
}

func (t *planText) change(c *changes.Change) {
	name := t.cropped(words.Clean(c.Name))
	switch {
	case c.Blob:
		name += fmt.Sprintf("%11s", words.Size(c.Bytes))
	case c.Bytes > changes.LinkSize:
		name += "  " + words.Size(c.Bytes)
	}
	tail := "  " + c.Kind.String()
	if c.Sign == changes.Undecided {
		tail += "  --also " + c.Kind.String()
	}
	t.Line(1, t.Paint(signStyles[c.Sign], c.Sign+" "), name, t.Paint(view.Dim, tail))
	if c.Reason != "" && (t.p.Retention == nil || c.Kind != finding.TagRemoved) { // each tag has its reason already
		t.Prose(3, t.cropped(words.Clean(c.Reason)))
	}
}

// sums writes the reason of changes, once for each kind. What needs a decision is left out if
// DECISIONS lists it.
func (t *planText) sums() {
	first := true
	for s := range changes.Sums(t.all) {
		if s.Sign == changes.Undecided && !t.Verbose {
			continue
		}
		if first {
			t.Section(view.Bold, "WHY")
			t.BareTable(1, view.Column{Name: "finding", Width: 26}, view.Column{Name: "things", Width: 10, Right: true}, view.Column{Name: "size", Width: 12, Right: true}, view.Column{})
			first = false
		}
		ask := ""
		if s.Sign == changes.Undecided {
			ask = "  needs your decision: --also " + s.Kind.String()
		}
		t.Row(t.Paint(signStyles[s.Sign], s.Sign+" "+s.Kind.String()), words.Number(s.Count), some(s.Bytes), ask)
		t.Prose(3, s.Kind.Explanation().Brief)
		if s.Sign == changes.Undecided {
			t.Prose(3, t.cureOf(s.Kind, s.Cure))
		}
	}
	t.inGrace()
	t.lost()
	t.notCopied()
	t.incurable()
	t.expiring()
}

// some formats a size for a table; 0 is a dash.
func some(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return words.Size(bytes)
}

// inGrace writes how much garbage is kept because it is in grace.
func (t *planText) inGrace() {
	n := 0
	for id := range finding.Kinds {
		n += t.Result.Counts[id].InGrace
	}
	if n > 0 {
		t.Lead(1, t.Paint(view.Dim, words.Number(n)+" more "+map[bool]string{true: "is kept because it is", false: "are kept because they are"}[n == 1]+" newer than --grace"))
	}
}

// lost writes how many complete images are garbage, and how to restore them, or why that is
// impossible.
func (t *planText) lost() {
	n := t.Result.Totals.LostImages
	if n == 0 || t.p.Policy.Skips(finding.BlobOrphan) && !t.p.Policy.Cures(finding.ManifestLost) {
		return
	}
	least := ""
	if t.Result.Totals.MoreLost {
		least = "At least "
	}
	t.Gap()
	what := least + words.Plural(n, "complete image is among the garbage, named by no tag or link", "complete images are among the garbage, named by no tag or link")
	if !t.p.Policy.Cures(finding.ManifestLost) {
		t.Prose(1, what+". --also manifest-lost gives each the tag lost-found-<12 hex digits>, in a repository that proves that it had the image; regfsck why shows the details.")
		return
	}
	t.Prose(1, what+". These can't be restored:")
	gone := slices.Collect(changes.Uncured(t.Result, finding.ManifestLost))
	for _, f := range gone[:t.First(len(gone))] {
		t.Line(2, words.Clean(strings.TrimPrefix(f.Repository+"@", "@")+f.Digest))
		t.Prose(3, words.Clean(f.Detail))
	}
	t.More(2, len(gone), "")
}

// notCopied lists the requested tags of sources that can't be copied.
func (t *planText) notCopied() {
	all := slices.Collect(changes.Uncured(t.Result, finding.TagFromSource))
	if len(all) == 0 {
		return
	}
	t.Lead(1, words.Plural(len(all), "image", "images")+" of the sources can't be brought back:")
	for _, f := range all[:t.First(len(all))] {
		t.Line(2, subject(f))
		t.Prose(3, Short(words.Clean(f.Detail)))
	}
	t.More(2, len(all), "")
}

// incurable writes how much can't be repaired.
func (t *planText) incurable() {
	if t.p.Policy.Removal != nil { // a removal repairs nothing
		return
	}
	n, archived, kinds := 0, 0, []string{}
	before := finding.None
	for f := range t.Result.Findings {
		if f.Kind.Severity() != finding.Error {
			continue
		}
		if f.Kind == finding.BlobArchived {
			archived++
			continue
		}
		if f.Cure == finding.CureNone && !f.Withdrawn {
			if n++; f.Kind != before {
				kinds = append(kinds, f.Kind.String())
			}
			before = f.Kind
		}
	}
	if archived > 0 {
		t.Para(1, words.Plural(archived, "blob is", "blobs are")+" in an archive storage class of the "+t.p.Noun+" ("+finding.BlobArchived.String()+"): restore what regfsck check names.")
	}
	if n > 0 {
		t.Para(1, words.Plural(n, "error", "errors")+" can't be repaired from this store ("+strings.Join(kinds, ", ")+"): push the images again that regfsck check names.")
	}
}

// expiring lists lifecycle rules of the storage that delete more than the plan.
func (t *planText) expiring() {
	for f := range t.Result.Findings {
		if f.Kind == finding.LifecycleExpiry {
			t.Para(1, f.Kind.String()+": "+words.Clean(f.Detail)+", whatever the registry needs.")
		}
	}
}

// shares writes how much is removed and kept.
func (t *planText) shares() {
	if len(t.p.Plan.Steps) == 0 {
		return
	}
	t.Gap()
	t.Table(1, view.Column{Width: 14}, view.Column{Name: "removed", Width: 12, Right: true}, view.Column{Name: "kept", Width: 12, Right: true}, view.Column{Name: "share", Width: 10, Right: true})
	for _, s := range t.p.shares() {
		amount, percent := words.Number[int64], "-"
		if s.Bytes {
			amount = words.Size
		}
		if s.Total > 0 {
			percent = fmt.Sprintf("%.1f %%", 100*float64(s.Removed)/float64(s.Total))
		}
		t.Row(s.Name, amount(s.Removed), amount(s.Remaining), percent)
	}
	if n := t.p.Plan.Totals().Aborts; n > 0 {
		t.Prose(1, words.Plural(n, "multipart upload is", "multipart uploads are")+" aborted too, whose size is not included.")
	}
}
