package gc

import (
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// Policy says what is to be kept, and what is to be done. The zero Policy keeps
// every manifest, and does all that needs no request.
type Policy struct {
	Untagged bool                   // revisions that no tag leads to are garbage
	Skip     [finding.NumKinds]bool // findings that nothing is to be done about: what they would remove is kept
	Also     [finding.NumKinds]bool // findings whose cure needs a request, and has it
	HealAll  bool                   // what no tag is known to need is copied from sources too
	Keep     map[string]bool        // keys that are to be kept, whatever they are: each is a root; and multipart uploads, as plan.FullKey names them
	Removal  *Removal               // what is to be removed, whatever refers to it; nil for nothing
	Usage    bool                   // sum up who uses how much: see UsageOf
	UsedOnly bool                   // of Usage: nothing else is asked that would cost another judgement
}

// Skips reports whether nothing is to be done about a kind of finding. What
// somebody asked for is never left.
func (p *Policy) Skips(id finding.Kind) bool { return id < finding.NumKinds && p.Skip[id] }

// Cures reports whether a cure that needs a request has it.
func (p *Policy) Cures(id finding.Kind) bool { return id < finding.NumKinds && p.Also[id] }

// Removal says what is to be removed, whatever refers to it. Its texts are reasons, for
// people. What is named here and isn't in the store is passed over.
//
// With a tag the manifest is removed that it means, with that its children in an
// index, whatever has it as its subject and the targets of its tags
// sha256-<hex>…: all of it that nothing leads to any more that is kept. Roots are
// the other tags and the manifests that no tag led to before. A pin keeps all
// but the links of tags, unless what is broken is what is removed.
type Removal struct {
	Repositories map[string]string            // whole repositories, whatever is in them
	Tags         map[string]map[string]string // by repository
	Manifests    map[string]map[string]string // by repository and digest, of any algorithm; what is kept and needs one is a Rejection
	TagsOnly     bool                         // the links of tags are removed, and nothing else

	// Planned are the keys that a plan of this removal takes away, and why; nil
	// while there is none. Of what is named exactly these go, where they still
	// may, and every other link is kept and is a root.
	Planned map[string]finding.Kind
}

// Rejection is why something can't be removed that was named.
type Rejection struct {
	Ref string // "repo", "repo:tag" or "repo@sha256:…"
	Why string // a clause
}

// names reports whether anything of a repository is named.
func (r *Removal) names(repository string) bool {
	_, whole := r.Repositories[repository]
	return whole || len(r.Tags[repository])+len(r.Manifests[repository]) > 0
}

// Terms is a Policy and what the store itself asks for.
type Terms struct {
	Policy
	Cache     bool                // a pull-through cache: layers may be absent
	NoOrphans bool                // never say of a blob that nothing needs it
	Seeking   bool                // sources are still asked: all that they have counts as copied
	Revived   map[uint32][]uint32 // lost images that get a tag again, by repository
}

// TermsOf adds to a policy what the store itself asks for.
func TermsOf(s *graph.Scan, p Policy) Terms {
	return Terms{Policy: p, Cache: s.Cache, NoOrphans: s.InDatabase != ""}
}

// fixed is what is kept whatever needs it: the policy's Keep names it, or there is a plan
// of a removal that doesn't take it away.
type fixed struct {
	keep     map[string]bool            // Policy.Keep
	planKeys map[string]finding.Kind    // Removal.Planned
	kept     map[graph.Ref]bool         // the blobs and links that Keep names
	Planned  map[graph.Ref]finding.Kind // those that the plan takes away; nil while there is none
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

// keepsRef reports whether a link is kept. Of one that isn't a tag's the tag is 0.
func (f *fixed) keepsRef(ref graph.Ref) bool {
	_, goes := f.Planned[ref]
	return f.kept[ref] || f.Planned != nil && !goes
}

// keepsKey is keepsRef for what is no link.
func (f *fixed) keepsKey(key string) bool {
	return f.keep[key] || f.Planned != nil && !f.Plans(key)
}

// Plans reports whether a plan takes a key away.
func (f *fixed) Plans(key string) bool {
	_, goes := f.planKeys[key]
	return goes
}

// Signed is what a legacy signature refers to.
type Signed struct {
	By   uint32
	kept bool // it is kept though its repository is removed
}

// findSigned returns, by repository, what the legacy signatures that are kept refer to.
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
