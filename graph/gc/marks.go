// Package gc marks what of a registry's storage is kept, and what is removed.
//
// It keeps one promise: nothing that a kept tag needs is ever removed. This is why that is so,
// and what guards each part of it.
//
// A store is read first: all blobs, then all links, then the manifests. A push writes in the
// other order, so a link that was read never has a target that the listing lacks, unless it
// is missing. What seems absent is rechecked by its key (package check:
// TestASingleLieIsNeverBelieved, TestARecheckDropsNothing).
//
// MarkRepository then marks what is kept of one repository after the other (mark.go).
// Its roots are the targets of its tags and, except under --untagged, all its manifests.
// From there it follows what relation.go of package graph defines as needed: children,
// configs, layers, targets of aliases, and referrers. Nothing else defines what a manifest
// needs, and no reference is left out: those that no registry reads are kept too. All that
// is marked is in Referenced, and only other blobs are orphans (TestTheOracleAgrees: an
// independent program judges random stores).
//
// If something isn't certain, more is kept, never less:
//
//   - A tag whose link can't be read may have any manifest of its history as its target,
//     so all of them are roots (TestPossibleTargetsAreKept). A tag is removed with its
//     whole history or not at all.
//   - What a broken or missing manifest needs is unknown. It pins its repository: all
//     manifests and links there are kept, whatever tag is removed
//     (TestABrokenManifestPinsItsRepository, TestABrokenChildPins).
//   - If anything could not be read, no blob of the whole store is an orphan
//     (TestReadErrorsHideButNeverInvent, TestAFaultPinsOnlyWhatIsBelowIt).
//   - A digest of an unknown algorithm may be anything, and pins too
//     (TestAnUnknownAlgorithmPinsItsReferrers, TestADigestWithoutAliasPins,
//     TestATagByAnotherDigestPins).
//   - What is in grace is kept: a push may be in progress (age.go; TestYoungGarbageIsKept).
//   - Objects with names that no registry accepts, and foreign files, are never changed
//     (TestInvalidNamesAreNeverChanged).
//
// Then sweep.go finds what nothing needs: layer links, history entries, and at the end,
// for all repositories, blobs. A Removal only removes roots: what else is removed is what
// nothing needs any more (removal.go; TestTheOracleAgreesOnRemovals,
// TestKeptPartsOfARemovalAreRoots).
//
// This package changes no store. Package apply judges again before a change, and carries
// out only steps that still follow.
package gc

import (
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
	"slices"
)

// Marks is what a policy keeps of a store. Repositories are marked one after the other;
// details are known of the last one.
type Marks struct {
	*graph.Graph
	Terms
	*fixed
	RepositoryMarks                       // of the repository marked last, the current one
	marker          *marker               // of the current repository
	Unreferenced    graph.Bitset          // layer links that nothing needs, by position over all repositories
	FirstLink       []uint32              // by repository: the position of its first layer link
	before          *Marks                // without the removal; nil if there is none
	freed           freed                 // what the removed manifests referred to
	Wholes          graph.Bitset          // repositories that are removed completely
	Rejected        []Rejection           // requests that can't be met
	Signed          map[uint32][]Signed   // by repository: references of legacy signatures that are kept
	ForeignTargets  map[graph.TagRef]bool // tags whose target was never pushed to their repository
}

// RepositoryMarks is what is kept of one repository, and adds to what is kept of the store.
// The arrays are reused.
type RepositoryMarks struct {
	g          *graph.Graph
	Referenced graph.Bitset // by id: something kept needs it, in this repository or an earlier one
	Users      *Users       // nil unless needed

	Current   *graph.Repository
	CurrentID uint32
	Mark      uint32            // CurrentID + 1, the value in the arrays for the current repository
	Removed   *Removed          // what is to be removed of it
	certain   bool              // no tag is ambiguous
	Pinned    bool              // only tags' links are removed of it
	KeptLink  bool              // a layer link is kept for its own sake
	Found     map[uint32]bool   // lost images that are restored in it
	WhyKept   map[uint32]string // of requested removals that are kept: why
	Followed  []followed        // its manifests, in the order in which they were followed
	ByTags    int               // the number of these that its tags lead to
	Needed    []uint32          // by id: Mark, if a kept manifest refers to it
	Reached   []uint32          // by node: Mark, if kept
	tagsBy    struct {          // tags by target
		of   uint32 // its index plus one
		tags map[uint32][]uint32
	}
}

// followed is a manifest whose references were kept, by its node.
type followed struct {
	Node   uint32
	Served bool // the repository serves it, so problems of its references are damage
}

// NewMarks returns the marks of a graph before any repository is marked. before are those
// without the Removal, if there is one.
func NewMarks(g *graph.Graph, p Terms, before *Marks) *Marks {
	ids := g.Len() + len(g.Unlisted)
	g.NodeOf = append(g.NodeOf, make([]uint32, ids-len(g.NodeOf))...)
	g.ApplyHeals(p.Seeking, p.HealAll, func(kind finding.Kind, key string) bool { // what could not be copied is kept
		return p.Removal == nil && !p.Skips(kind) && !p.Keep[key]
	})
	m := &Marks{
		Graph: g, Terms: p, fixed: newFixed(g, &p.Policy), before: before,
		RepositoryMarks: RepositoryMarks{
			g:          g,
			Referenced: graph.NewBitset(ids),
			Needed:     make([]uint32, ids),
			Reached:    make([]uint32, len(g.Nodes)),
			Found:      map[uint32]bool{},
		},
		ForeignTargets: map[graph.TagRef]bool{},
		FirstLink:      make([]uint32, 1, len(g.Repos)+1),
	}
	m.marker = &marker{
		Graph: g, RepositoryMarks: &m.RepositoryMarks, cache: p.Cache, tagsOnly: p.Removal != nil && p.Removal.TagsOnly,
		revived: p.Revived, foreignTargets: m.ForeignTargets,
		keptUnserved: make([]uint32, len(g.Nodes)), explained: map[uint32]uint32{},
	}
	for ref := range m.kept {
		if ref.Kind == layout.Blob {
			m.Referenced.Add(ref.ID)
		}
	}
	for id := m.Table.First[256]; int(id) < m.Len(); id++ {
		if !m.Provable(id) {
			m.Referenced.Add(id)
		}
	}
	m.NoOrphans = m.NoOrphans || g.Blind()
	m.Untagged = m.Untagged && !m.Skip[finding.ManifestUntagged]
	m.Signed = findSigned(m)
	if p.Usage {
		m.Users = NewUsers(ids, len(g.Repos))
	}
	return m
}

// Release frees what is known of the current repository.
func (m *Marks) Release() { m.Needed, m.Reached, m.marker = nil, nil, nil }

// begin makes a repository the current one.
func (m *Marks) begin(i uint32) {
	m.Current, m.CurrentID, m.Mark = &m.Repos[i], i, i+1
	m.Followed, m.Removed = m.Followed[:0], nil
	if m.Removal == nil {
		return
	}
	remover := remover{Graph: m.Graph, fixed: m.fixed, removal: m.Removal, current: m.Current, id: i}
	m.Removed = remover.removedOf()
	m.Rejected = append(m.Rejected, remover.rejected...)
	if m.Removed.Whole {
		m.Wholes.Add(i)
	}
}

// RemovesUntagged reports whether the repository's untagged manifests are removed. A removal
// does so in repositories that it names.
func (m *Marks) RemovesUntagged() bool {
	if r := m.Removal; m.Untagged && r != nil {
		return r.Planned == nil && r.names(m.Current.Name)
	}
	return m.Untagged
}

// IsKept reports whether a link of the repository is kept whatever needs it: the policy keeps
// it, or there is a plan that doesn't remove it.
func (m *Marks) IsKept(p graph.Link) bool { return m.keepsRef(graph.Ref{Repo: m.CurrentID, Link: p}) }

// PinnedBy returns why only tags' links are removed of the repository, "" if it isn't pinned.
func (m *Marks) PinnedBy(repository uint32) string {
	if !m.Users.KeepsAll(repository) {
		return ""
	}
	return explainer{m.Graph, &m.RepositoryMarks}.pin(&m.Repos[repository], func(uint32) bool { return false })
}

// IsReached reports whether the manifest under id is kept in the repository.
func (m *RepositoryMarks) IsReached(id uint32) bool {
	n := m.g.NodeOf[id]
	return n != 0 && m.Reached[n-1] == m.Mark
}

// Uploaded reports whether the repository has a manifest only by a layer link, and no tag on
// it. Any bytes can be uploaded as a blob, and registries don't look for their references;
// before they write a tag, they do.
func (m *RepositoryMarks) Uploaded(id uint32) bool {
	return m.Current.IsLayerManifest(id) && len(m.TagsOn(m.CurrentID, id)) == 0
}

// linkKept reports whether the repository has a manifest only by a layer link whose content
// is another digest: it is kept until it is repaired, and so is the manifest.
func (m *RepositoryMarks) linkKept(id uint32) bool {
	return m.Current.IsLayerManifest(id) && graph.LinkMismatches(m.Current, id)
}

// UnclearSubject reports whether a manifest's subject is a digest of another algorithm, so
// that it is unknown which manifest that is.
func (m *RepositoryMarks) UnclearSubject(id uint32) bool {
	for of := range m.g.In(m.Current, id).Subjects {
		if m.g.IsForeign(of) {
			return true
		}
	}
	return false
}

// keepsBroken reports whether a broken manifest is kept that was to be removed.
func (m *RepositoryMarks) keepsBroken() bool {
	return m.Removed != nil && slices.ContainsFunc(m.Removed.broken, m.IsReached)
}

// RemovesManifest reports whether a manifest of the repository is removed: it was to be, and
// nothing kept leads to it.
func (m *RepositoryMarks) RemovesManifest(id uint32) bool {
	return m.Removed.has(id) && m.g.NodeOf[id] != 0 && !m.IsReached(id)
}

// RemovesTag reports whether a tag of the repository is removed, once its marks are complete.
func (m *RepositoryMarks) RemovesTag(t uint32) bool {
	if m.Removed == nil {
		return false
	}
	subject, tied := m.Removed.Subject[t]
	_, removed := m.Removed.Tags[t]
	return removed || tied && m.RemovesManifest(subject)
}

// TagsOn returns the tags of a repository whose target is id.
func (m *RepositoryMarks) TagsOn(repo, id uint32) []uint32 {
	if m.tagsBy.of != repo+1 {
		m.tagsBy.of, m.tagsBy.tags = repo+1, map[uint32][]uint32{}
		for i := range m.g.Repos[repo].Tags {
			if to := m.g.Repos[repo].Tags[i].Target; to != graph.None {
				m.tagsBy.tags[to] = append(m.tagsBy.tags[to], uint32(i))
			}
		}
	}
	return m.tagsBy.tags[id]
}

// refer marks id as referenced by the repository.
func (m *RepositoryMarks) refer(id uint32) {
	m.Referenced.Add(id)
	if m.Users != nil {
		m.Users.use(m, id)
	}
}
