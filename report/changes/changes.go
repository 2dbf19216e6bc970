// Package changes lists what a plan changes: key by key, as the lines of a diff, by kind of
// finding, and by the names of tags and repositories.
package changes

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"regfsck/backend/words"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// Of is a plan whose changes are listed.
type Of struct {
	Result    *check.Result // of the plan's check
	Policy    gc.Policy
	Plan      *plan.Plan
	Retention bool // a retention policy selected what is removed
}

// The signs of a diff's lines.
const (
	Removed   = "-"
	Written   = "+"
	Undecided = "!"
)

// Change is a line of a diff.
type Change struct {
	Sign, Repository, Name, Reason string
	Kind                           finding.Kind
	Bytes                          int64
	Blob                           bool // it is of the part of blobs
	ownDirectory                   bool
	thing                          string       // the object that it is a part of, "" if it is whole
	cure                           finding.Cure // if it needs a decision
}

// isOwnDirectory reports whether a step removes one of a repository's own directories.
func isOwnDirectory(s *plan.Step) bool {
	return s.Kind == plan.Directory && s.Finding.TakesRepository()
}

// Decisions returns the findings whose cure needs a request, in order; none for a removal.
func (p *Of) Decisions() iter.Seq[finding.Finding] {
	if p.Policy.Removal != nil {
		return func(func(finding.Finding) bool) {}
	}
	return finding.Where(p.Result.Findings, func(f *finding.Finding) bool {
		return f.Cure.Asks() && !f.InGrace && !p.Policy.Cures(f.Kind) && !p.Policy.Skips(f.Kind)
	})
}

// Changes returns the lines of the diff: repositories by name, then what is of no repository,
// then blobs; in each, changes in order of execution, then what needs a decision.
func (p *Of) Changes() []Change {
	var all []Change
	for i := range p.Plan.Steps {
		s := &p.Plan.Steps[i]
		c := Change{
			Sign: Removed, Repository: s.Repository, Name: nameOf(s.Repository, s.Key), Reason: s.Reason, Kind: s.Finding, Bytes: s.Bytes,
			Blob: s.Kind == plan.Blob || s.Kind == plan.RebuiltBlob || s.Kind == plan.HealedBlob, ownDirectory: isOwnDirectory(s),
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
			case c.Blob:
				c.Bytes = int64(len(s.Body))
			}
		case plan.Abort: // without the digest: a blob at the same key is kept
			c.Name = pathOf(s.Repository, s.Key)
		}
		if last := len(all) - 1; last >= 0 && isOwnDirectory(s) && all[last].ownDirectory && all[last].Repository == c.Repository {
			all[last].Name += " " + c.Name // the directories of a repository are one line
			continue
		}
		all = append(all, c)
	}
	for f := range p.Decisions() {
		all = append(all, Change{
			Sign: Undecided, Repository: f.Repository, Name: nameOf(f.Repository, f.Path), Reason: f.Detail, Kind: f.Kind, Bytes: f.Bytes,
			Blob: f.Repository == "", cure: f.Cure,
		})
	}
	slices.SortStableFunc(all, func(a, b Change) int {
		return cmp.Or(cmp.Compare(Part(&a), Part(&b)), cmp.Compare(a.Repository, b.Repository))
	})
	return all
}

// Part returns the rank of a change's part of the diff: 0 of a repository, 1 outside of
// repositories, 2 of blobs.
func Part(c *Change) int {
	switch {
	case c.Blob:
		return 2
	case c.Repository == "":
		return 1
	}
	return 0
}

// Groups splits sorted changes by part.
func Groups(all []Change) [][]Change {
	return Split(all, func(a, b *Change) bool { return Part(a) == Part(b) && (a.Blob || a.Repository == b.Repository) })
}

// Split splits a sorted list into groups of neighbours that belong together.
func Split[T any](all []T, together func(a, b *T) bool) (groups [][]T) {
	from := 0
	for i := range all {
		if i+1 == len(all) || !together(&all[i], &all[i+1]) {
			groups, from = append(groups, all[from:i+1]), i+1
		}
	}
	return groups
}

// Title returns the title of a change's part.
func Title(c *Change) string {
	switch Part(c) {
	case 1:
		return "outside of repositories"
	case 2:
		return "blobs"
	}
	return words.Clean(c.Repository)
}

// LinkSize is the size of a link, which isn't shown.
const LinkSize = 71

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

// Sum is the number of changes with one sign and kind of finding.
type Sum struct {
	Sign  string       `json:"sign"`
	Kind  finding.Kind `json:"finding"`
	Cure  finding.Cure `json:"-"` // if it needs a decision
	Count int          `json:"count"`
	Bytes int64        `json:"bytes"`
}

// Sums counts the objects of the diff by sign and kind, in the order of kinds; those that
// need a decision are last.
func Sums(all []Change) iter.Seq[Sum] {
	counts := map[string]map[finding.Kind]*Sum{Removed: {}, Written: {}, Undecided: {}}
	type part struct {
		kind  finding.Kind
		thing string
	}
	parted := map[part]bool{}
	for _, c := range all {
		s := counts[c.Sign][c.Kind]
		if s == nil {
			s = &Sum{}
			counts[c.Sign][c.Kind] = s
		}
		if of := (part{c.Kind, c.thing}); c.thing == "" || !parted[of] {
			s.Count++
			parted[of] = c.thing != ""
		}
		s.Cure = c.cure
		s.Bytes += c.Bytes
	}
	return func(yield func(Sum) bool) {
		for _, sign := range []string{Written, Removed, Undecided} {
			for id := range finding.All {
				if s := counts[sign][id]; s != nil && !yield(Sum{sign, id, s.Cure, s.Count, s.Bytes}) {
					return
				}
			}
		}
	}
}

// Uncured yields the findings of a kind that nothing cures: of TagFromSource the tags and
// untagged manifests that can't be copied, of ManifestLost the images that can't be restored.
func Uncured(r *check.Result, kind finding.Kind) iter.Seq[finding.Finding] {
	return finding.Where(r.Findings, func(f *finding.Finding) bool { return f.Kind == kind && f.Cure == finding.CureNone })
}
