package gc

import (
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// Policy is what to keep and what to do. The zero Policy keeps every manifest and does all
// that needs no request.
type Policy struct {
	Untagged bool            // untagged revisions are garbage
	Skip     finding.Set     // findings that are not fixed: what they would remove is kept
	Also     finding.Set     // findings whose cure needs a request and has it
	HealAll  bool            // copy from sources also what no tag is known to need
	Keep     map[string]bool // keys to keep: each is a root; also multipart uploads, by plan.FullKey
	Removal  *Removal        // what to remove; nil for nothing
	Usage    bool            // compute the usage: see usage.Of
	UsedOnly bool            // with Usage: skip all that needs a further judgement
}

// Skips reports whether a kind of finding is not fixed. Requested removals are never skipped.
func (p *Policy) Skips(id finding.Kind) bool { return id < finding.NumKinds && p.Skip[id] }

// Cures reports whether a cure that needs a request has it.
func (p *Policy) Cures(id finding.Kind) bool { return id < finding.NumKinds && p.Also[id] }

// Removal is what to remove on request. Its texts are reasons. Objects that aren't in the
// store are ignored.
//
// With a tag, its target is removed, with the target's children and referrers and the targets
// of its referrers tags: all of it that is no longer reachable. Roots are the other tags and
// the manifests that were untagged before. A pin keeps all but the links of tags, unless the
// broken object is itself removed.
type Removal struct {
	Repositories map[string]string            // whole repositories
	Tags         map[string]map[string]string // by repository
	Manifests    map[string]map[string]string // by repository and digest of any algorithm; one that something kept needs is a Rejection
	TagsOnly     bool                         // only the links of tags are removed

	// Planned are the keys that a plan of this removal removes, and why; nil without a plan.
	// Of what was requested exactly these are removed, if they still may be; every other link
	// is a root.
	Planned map[string]finding.Kind
}

// Rejection is a request that can't be met, and why.
type Rejection struct {
	Ref string // "repo", "repo:tag" or "repo@sha256:…"
	Why string // a clause
}

// names reports whether anything of a repository is requested.
func (r *Removal) names(repository string) bool {
	_, whole := r.Repositories[repository]
	return whole || len(r.Tags[repository])+len(r.Manifests[repository]) > 0
}

// Terms is a Policy with what the store requires.
type Terms struct {
	Policy
	Cache     bool                // a pull-through cache: layers may be absent
	NoOrphans bool                // no blob is reported as an orphan
	Seeking   bool                // sources are still asked: all that they have counts as copied
	Revived   map[uint32][]uint32 // lost images that get a tag, by repository
}

// TermsOf adds to a policy what the store requires.
func TermsOf(s *graph.Scan, p Policy) Terms {
	return Terms{Policy: p, Cache: s.Cache, NoOrphans: s.InDatabase != ""}
}

// fixed is what is kept whatever needs it: by the policy's Keep, or because a plan of a
// removal doesn't remove it.
type fixed struct {
	keep     map[string]bool            // Policy.Keep
	planKeys map[string]finding.Kind    // Removal.Planned
	kept     map[graph.Ref]bool         // the blobs and links of Keep
	Planned  map[graph.Ref]finding.Kind // those that the plan removes; nil without a plan
}

func newFixed(g *graph.Graph, p *Policy) *fixed {
	f := &fixed{keep: p.Keep, kept: map[graph.Ref]bool{}}
	for key := range p.Keep {
		if ref, ok := g.FindRef(key); ok {
			f.kept[ref] = true
		}
	}
	if p.Removal != nil && p.Removal.Planned != nil {
		f.planKeys, f.Planned = p.Removal.Planned, make(map[graph.Ref]finding.Kind, len(p.Removal.Planned))
		for key, id := range f.planKeys {
			if ref, ok := g.FindRef(key); ok {
				f.Planned[ref] = id
			}
		}
	}
	return f
}

// keepsRef reports whether a link is kept. The tag is 0 for links that aren't a tag's.
func (f *fixed) keepsRef(ref graph.Ref) bool {
	_, planned := f.Planned[ref]
	return f.kept[ref] || f.Planned != nil && !planned
}

// keepsKey is keepsRef for keys that aren't links.
func (f *fixed) keepsKey(key string) bool {
	return f.keep[key] || f.Planned != nil && !f.Plans(key)
}

// Plans reports whether the plan removes a key.
func (f *fixed) Plans(key string) bool {
	_, planned := f.planKeys[key]
	return planned
}

// Signed is a reference of a legacy signature.
type Signed struct {
	By   uint32
	kept bool // it is kept though its repository is removed
}

// findSigned returns, by repository, the references of kept legacy signatures.
func findSigned(m *Marks) map[uint32][]Signed {
	all := map[uint32][]Signed{}
	for i := range m.Entries {
		e := &m.Entries[i]
		if e.Kind != walker.EntrySignature {
			continue
		}
		fixed := m.keepsKey(e.Key)
		if !fixed && !m.Age.Covers(e.Modified) && !m.Skip[finding.SignatureLegacy] {
			continue
		}
		if key, err := layout.Parse(e.Key); err == nil {
			if d, ok := layout.ParseHex(key.SignatureHex); ok && m.KnownID(d) != graph.None {
				repo := m.RepoID[e.Repository]
				all[repo] = append(all[repo], Signed{m.KnownID(d), fixed})
			}
		}
	}
	return all
}
