package report

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"regfsck/backend/words"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
	"regfsck/report/view"
	"regfsck/walker/layout"
)

// The signs of a diff's lines.
const (
	Removed   = "-"
	Written   = "+"
	Undecided = "!"
)

var signStyles = map[string]view.Style{Removed: view.Red, Written: view.Green, Undecided: view.Yellow}

// Change is a line of a diff.
type Change struct {
	Sign, repository, Name, Reason string
	Kind                           finding.Kind
	Bytes                          int64
	blob, ownDirectory             bool
	thing                          string       // the object that it is a part of, "" if it is whole
	cure                           finding.Cure // if it needs a decision
}

// isOwnDirectory reports whether a step removes one of a repository's own directories.
func isOwnDirectory(s *plan.Step) bool {
	return s.Kind == plan.Directory && s.Finding.TakesRepository()
}

// Decisions returns the findings whose cure needs a request, in order; none for a removal.
func (p *Plan) Decisions() iter.Seq[finding.Finding] {
	return func(yield func(finding.Finding) bool) {
		if p.Policy.Removal != nil {
			return
		}
		for f := range p.Result.Findings {
			if f.Cure.Asks() && !f.InGrace && !p.Policy.Cures(f.Kind) && !p.Policy.Skips(f.Kind) && !yield(f) {
				return
			}
		}
	}
}

// Changes returns the lines of the diff: repositories by name, then what is of no repository,
// then blobs; in each, changes in order of execution, then what needs a decision.
func (p *Plan) Changes() []Change {
	var all []Change
	for i := range p.Plan.Steps {
		s := &p.Plan.Steps[i]
		c := Change{
			Sign: Removed, repository: s.Repository, Name: nameOf(s.Repository, s.Key), Reason: s.Reason, Kind: s.Finding, Bytes: s.Bytes,
			blob: s.Kind == plan.Blob || s.Kind == plan.RebuiltBlob || s.Kind == plan.HealedBlob, ownDirectory: isOwnDirectory(s),
		}
		if thing := s.Object(); thing != s.FullKey() {
			c.thing = thing
		}
		switch s.Op {
		case plan.Write:
			c.Sign = Written
			switch {
			case s.Kind == plan.HealedBlob:
				c.Reason = strings.TrimPrefix(c.Reason+", from "+s.From, ", ")
			case c.blob:
				c.Bytes = int64(len(s.Body))
			}
		case plan.Abort: // without the digest: a blob at the same key is kept
			c.Name = pathOf(s.Repository, s.Key)
		}
		if last := len(all) - 1; last >= 0 && isOwnDirectory(s) && all[last].ownDirectory && all[last].repository == c.repository {
			all[last].Name += " " + c.Name // the directories of a repository are one line
			continue
		}
		all = append(all, c)
	}
	for f := range p.Decisions() {
		all = append(all, Change{
			Sign: Undecided, repository: f.Repository, Name: nameOf(f.Repository, f.Path), Reason: f.Detail, Kind: f.Kind, Bytes: f.Bytes,
			blob: f.Repository == "", cure: f.Cure,
		})
	}
	slices.SortStableFunc(all, func(a, b Change) int {
		return cmp.Or(cmp.Compare(place(&a), place(&b)), cmp.Compare(a.repository, b.repository))
	})
	return all
}

// place returns the rank of a change's part of the diff.
func place(c *Change) int {
	switch {
	case c.blob:
		return 2
	case c.repository == "":
		return 1
	}
	return 0
}

// diff writes the lines of the diff.
func (t *planText) diff() {
	groups := GroupsOf(t.all)
	repositories := 0
	for i, g := range groups {
		if place(&g[0]) > 0 || t.Shown(i) {
			t.changesOf(g)
		}
		if place(&g[0]) == 0 {
			repositories++
		}
		if last := i+1 == len(groups) || place(&groups[i+1][0]) > 0; last && !t.Shown(repositories-1) && place(&g[0]) == 0 {
			t.Gap()
			t.More(0, repositories, " repositories")
		}
	}
}

// GroupsOf splits sorted changes by part.
func GroupsOf(all []Change) (groups [][]Change) {
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(c Change) bool {
			return place(&c) != place(&all[0]) || !c.blob && c.repository != all[0].repository
		})
		if n < 0 {
			n = len(all)
		}
		groups, all = append(groups, all[:n]), all[n:]
	}
	return groups
}

// PartTitle returns the title of a change's part.
func PartTitle(c *Change) string {
	switch place(c) {
	case 1:
		return "outside of repositories"
	case 2:
		return "blobs"
	}
	return words.Clean(c.repository)
}

// changesOf writes the lines of one part.
func (t *planText) changesOf(all []Change) {
	t.Heading(view.Bold, PartTitle(&all[0]))
	for i := range all[:t.First(len(all))] {
		t.change(&all[i])
	}
	t.More(1, len(all), "")
}

// linkSize is the size of a link, which isn't shown.
const linkSize = 71

func (t *planText) change(c *Change) {
	name := t.cropped(words.Clean(c.Name))
	switch {
	case c.blob:
		name += fmt.Sprintf("%11s", words.Size(c.Bytes))
	case c.Bytes > linkSize:
		name += "  " + words.Size(c.Bytes)
	}
	tail := "  " + c.Kind.String()
	if c.Sign == Undecided {
		tail += "  --also " + c.Kind.String()
	}
	t.Line(1, t.Paint(signStyles[c.Sign], c.Sign+" "), name, t.Paint(view.Dim, tail))
	if c.Reason != "" && (t.p.Retention == nil || c.Kind != finding.TagRemoved) { // each tag has its reason already
		t.Prose(3, t.cropped(words.Clean(c.Reason)))
	}
}

// nameOf returns a path relative to its repository; for a blob, the digest.
func nameOf(repository, path string) string {
	if key, err := layout.Parse(path); err == nil && key.Kind == layout.Blob {
		return key.Algorithm + ":" + key.Hex
	}
	return pathOf(repository, path)
}

// pathOf returns a path relative to its repository, else to the root.
func pathOf(repository, path string) string {
	if repository != "" {
		return strings.TrimPrefix(path, layout.RepositoryKey(repository)+"/")
	}
	return strings.TrimPrefix(path, layout.Root+"/")
}

// sum is the number of changes with one sign and kind of finding.
type sum struct {
	sign  string
	id    finding.Kind
	cure  finding.Cure // if it needs a decision
	count int
	bytes int64
}

// sumsOf counts the objects of the diff by sign and kind, in the order of kinds; those that
// need a decision are last.
func sumsOf(all []Change) iter.Seq[sum] {
	counts := map[string]map[finding.Kind]*sum{Removed: {}, Written: {}, Undecided: {}}
	type part struct {
		kind  finding.Kind
		thing string
	}
	parted := map[part]bool{}
	for _, c := range all {
		s := counts[c.Sign][c.Kind]
		if s == nil {
			s = &sum{}
			counts[c.Sign][c.Kind] = s
		}
		if of := (part{c.Kind, c.thing}); c.thing == "" || !parted[of] {
			s.count++
			parted[of] = c.thing != ""
		}
		s.cure = c.cure
		s.bytes += c.Bytes
	}
	return func(yield func(sum) bool) {
		for _, sign := range []string{Written, Removed, Undecided} {
			for id := range finding.All {
				if s := counts[sign][id]; s != nil && !yield(sum{sign, id, s.cure, s.count, s.bytes}) {
					return
				}
			}
		}
	}
}

// sums writes the reason of changes, once for each kind. What needs a decision is left out if
// DECISIONS lists it.
func (t *planText) sums(decisions bool) {
	first := true
	for s := range sumsOf(t.all) {
		if s.sign == Undecided && !decisions {
			continue
		}
		if first {
			t.Section(view.Bold, "WHY")
			t.BareTable(1, view.Column{Name: "finding", Width: 26}, view.Column{Name: "things", Width: 10, Right: true}, view.Column{Name: "size", Width: 12, Right: true}, view.Column{})
			first = false
		}
		ask := ""
		if s.sign == Undecided {
			ask = "  needs your decision: --also " + s.id.String()
		}
		t.Row(t.Paint(signStyles[s.sign], s.sign+" "+s.id.String()), words.Number(s.count), some(s.bytes), ask)
		t.Prose(3, s.id.Explanation().Brief)
		if s.sign == Undecided {
			t.Prose(3, t.cureOf(s.id, s.cure))
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
	gone := lostForGood(t.Result)
	for _, f := range gone[:t.First(len(gone))] {
		t.Line(2, words.Clean(strings.TrimPrefix(f.Repository+"@", "@")+f.Digest))
		t.Prose(3, words.Clean(f.Detail))
	}
	t.More(2, len(gone), "")
}

// notCopied lists the requested tags of sources that can't be copied.
func (t *planText) notCopied() {
	var all []finding.Finding
	for f := range notReturning(t.Result) {
		all = append(all, f)
	}
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

// notReturning yields the requested tags and untagged manifests of sources that can't be
// copied.
func notReturning(r *check.Result) iter.Seq[finding.Finding] {
	return func(yield func(finding.Finding) bool) {
		for f := range r.Findings {
			if f.Kind == finding.TagFromSource && f.Cure == finding.CureNone && !yield(f) {
				return
			}
		}
	}
}

// lostForGood returns the lost images that were to be restored and can't be.
func lostForGood(r *check.Result) (all []finding.Finding) {
	for f := range r.Findings {
		if f.Kind == finding.ManifestLost && f.Cure == finding.CureNone {
			all = append(all, f)
		}
	}
	return all
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
	t.Table(1, view.Column{Width: 14}, view.Column{Name: "removed", Width: 12, Right: true}, view.Column{Name: "stays", Width: 12, Right: true}, view.Column{Name: "share", Width: 10, Right: true})
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
