// Package gc says what of a registry's storage is kept, and what is removed.
//
// It keeps one promise: nothing that a kept tag needs is ever removed. This is why it
// holds, and what guards each part of it.
//
// What a store has is read before this package is asked: all blobs, then all links,
// then the manifests that these name. A push writes in the other order, so a link that
// was read never names a blob of which the listing knows nothing, unless it is gone.
// What seems absent is looked for again, by its key, before it is believed (package
// check: TestASingleLieIsNeverBelieved, TestASecondLookDropsNothing).
//
// MarkRepository then marks what is kept of one repository after the other (mark.go).
// Its roots are what the tags mean and, but under --untagged, every manifest that the
// repository holds. From there it follows what relation.go, of package graph, says that
// a manifest needs: children, configs, layers, what an alias names, and referrers. There
// is no other list of what a manifest needs, and no reference is left out: what no
// registry reads is kept too. Whatever is marked is in Referenced, and a blob is only an
// orphan that is not (TestTheOracleAgrees: another program, which shares no code with
// this one, judges stores of chance).
//
// Where something isn't certain, more is kept, never less:
//
//   - A tag whose link can't be read may mean any manifest of its history, so all of
//     these are roots (TestWhatATagMayMeanIsKept). A tag is removed with its whole history or
//     not at all.
//   - A manifest that is broken or missing needs nobody knows what. It pins its
//     repository: all manifests and links there are kept, whatever tag is removed
//     (TestABrokenManifestPinsItsRepository, TestABrokenChildPins).
//   - Where anything could not be read, no blob of the whole store is an orphan
//     (TestReadErrorsHideButNeverInvent, TestAFaultPinsWhatIsBelowItAndNothingBeside).
//   - A digest of an unknown algorithm may be anything, and pins too
//     (TestAnUnknownAlgorithmPinsWhoNamesIt, TestADigestThatNothingExplainsPins).
//   - What was written within the grace period is kept: a push may be under way (age.go;
//     TestYoungGarbageIsKept).
//   - What a registry would not accept by its name, and what isn't a registry's, is
//     never touched (TestNothingIsTouchedWhereANameIsOdd).
//
// Then sweep.go finds what nothing needs: layer links, entries of histories, and in the
// end, over all repositories, blobs. A Removal takes roots away and nothing else: what
// else is removed is what nothing needs any more (removal.go; TestTheOracleAgreesOnRemovals,
// TestWhatIsKeptOfARemovalIsARoot).
//
// Nothing here changes a store. Package apply judges once more before it does, and takes
// only steps that follow again.
package gc

import (
	"regfsck/graph"
	"regfsck/graph/finding"
)

// Marks says what a policy keeps of a store. Repositories are marked one after the
// other; of the last one it is known how it came to that, too.
type Marks struct {
	*graph.Graph
	Terms
	Referenced     graph.Bitset               // by id: something kept needs it
	Unreferenced   graph.Bitset               // layer links that nothing needs, by position over all repositories
	FirstLink      []uint32                   // by repository: the position of its first layer link
	kept           map[graph.Ref]bool         // the policy's Keep
	Planned        map[graph.Ref]finding.Kind // what the plan of a removal takes; nil while there is none
	before         *Marks                     // of the store as it is, where something is to be removed; else nil
	freed          freed                      // of a removal: what it takes used
	Wholes         graph.Bitset               // repositories that are removed as a whole
	Rejected       []Rejection                // what can't be removed that was named
	Signed         map[uint32][]Signed        // by repository: what legacy signatures that are kept refer to
	ForeignTargets map[graph.TagRef]bool      // tags whose target was never pushed to their repository
	Users          *Users                     // nil unless it is asked for

	// The repository that was marked last.
	Current      *graph.Repository
	CurrentID    uint32
	Mark         uint32            // CurrentID + 1, what stands in the arrays for "in this repository"
	Removed      *Removed          // what is to be removed of it
	certain      bool              // it is known what each of its tags means
	Pinned       bool              // nothing is removed of it but its tags' links
	KeptLink     bool              // a layer link is kept for itself
	Found        map[uint32]bool   // lost images that it gets back
	WhyKept      map[uint32]string // of what was to be removed and is kept: why
	Followed     []followed        // its manifests, in the order in which they were followed
	ByTags       int               // so many of these are led to by its tags
	Needed       []uint32          // by id: mark, if a kept manifest refers to it
	Reached      []uint32          // by node: mark, if kept
	keptUnserved []uint32          // by node: mark, if its references are kept all the same
	explained    map[uint32]uint32 // by id of a digest that stands for another: mark, if that was followed
	todo         []uint32          // nodes that are kept, and whose references weren't followed yet
	todoUnserved []uint32          // likewise, of manifests that the repository can't serve
	tagsBy       struct {          // the tags of a repository by their target
		of   uint32 // its index plus one
		tags map[uint32][]uint32
	}
}

// NewMarks returns the marks of a graph before any of its repositories is marked.
// before are those of the store as it is, where the policy has a Removal.
func NewMarks(g *graph.Graph, p Terms, before *Marks) *Marks {
	ids := g.Len() + len(g.Unlisted)
	g.NodeOf = append(g.NodeOf, make([]uint32, ids-len(g.NodeOf))...)
	g.ApplyHeals(p.Seeking, p.HealAll, func(kind finding.Kind, key string) bool { // what could not be copied is kept
		return p.Removal == nil && !p.Skips(kind) && !p.Keep[key]
	})
	m := &Marks{
		Graph: g, Terms: p, before: before,
		Referenced:     graph.NewBitset(ids),
		Needed:         make([]uint32, ids),
		Reached:        make([]uint32, len(g.Nodes)),
		keptUnserved:   make([]uint32, len(g.Nodes)),
		explained:      map[uint32]uint32{},
		ForeignTargets: map[graph.TagRef]bool{},
		Found:          map[uint32]bool{},
		FirstLink:      make([]uint32, 1, len(g.Repos)+1),
	}
	for id := m.Table.First[256]; int(id) < m.Len(); id++ {
		if !m.Provable(id) {
			m.Referenced.Add(id)
		}
	}
	m.NoOrphans = m.NoOrphans || g.Blind()
	m.Untagged = m.Untagged && !m.Skip[finding.ManifestUntagged]
	m.findKept()
	m.findPlanned()
	m.findSigned()
	if p.Usage {
		m.Users = NewUsers(ids, len(g.Repos))
	}
	return m
}

// Release gives up what is known of the repository that was marked last.
func (m *Marks) Release() { m.Needed, m.Reached, m.keptUnserved = nil, nil, nil }

// TagsOn returns the tags of a repository whose target is id.
func (m *Marks) TagsOn(repo, id uint32) []uint32 {
	if m.tagsBy.of != repo+1 {
		m.tagsBy.of, m.tagsBy.tags = repo+1, map[uint32][]uint32{}
		for i := range m.Repos[repo].Tags {
			if to := m.Repos[repo].Tags[i].Target; to != graph.None {
				m.tagsBy.tags[to] = append(m.tagsBy.tags[to], uint32(i))
			}
		}
	}
	return m.tagsBy.tags[id]
}
