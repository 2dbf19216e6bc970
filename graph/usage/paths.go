package usage

import (
	"iter"
	"slices"
	"strings"

	"regfsck/graph"
	"regfsck/graph/gc"
	"regfsck/walker"
	"regfsck/walker/manifest"
)

// Hold is the kind of root that a Path begins with.
type Hold string

// The holds. Only the first is a tag.
const (
	HoldTag       Hold = "tag"
	HoldUntagged  Hold = "untagged"  // a revision that no tag leads to, and that isn't removed
	HoldYoung     Hold = "young"     // a link in grace
	HoldPinned    Hold = "pinned"    // a link of a pinned repository
	HoldMismatch  Hold = "mismatch"  // a mismatched link with this digest as its content
	HoldHistory   Hold = "history"   // a tag's history
	HoldSignature Hold = "signature" // a signature of the first schema
)

// Path is one way in which a repository keeps a digest.
type Path struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag"` // of HoldTag and HoldHistory
	Hold       Hold   `json:"held_by"`
	Steps      []Step `json:"steps"` // from the root's manifest to the digest; the digest alone if a link keeps it
}

// Step is an object on a Path; its role is relative to the previous step.
type Step struct {
	Digest string `json:"digest"`
	Role   Role   `json:"role"`
	Index  bool   `json:"index"` // it is a manifest with references
}

// Match returns at most limit digests of the store that begin with the hex digits, sorted.
// Digests of other algorithms than sha256 are returned only if they are stored.
func (u *Usage) Match(hex string, limit int) (digests []string) {
	m := u.m
	for id := range uint32(m.Len() + len(m.Unlisted)) {
		if m.IsForeign(id) && !m.Present(id) {
			continue
		}
		if name := m.NameOf(id); strings.HasPrefix(name[strings.IndexByte(name, ':')+1:], hex) {
			digests = append(digests, name)
		}
	}
	slices.Sort(digests)
	return digests[:min(limit, len(digests))]
}

// Paths returns all ways in which repositories keep a digest, by repository and tag; those
// without a tag come last. With repository, only its paths are returned. There is a path
// exactly if the blob is kept.
func (u *Usage) Paths(digest, repository string) iter.Seq[Path] {
	return func(yield func(Path) bool) {
		id := u.m.KnownIDOf(digest)
		if id == graph.None {
			return
		}
		p := &paths{m: u.m, id: id, yield: yield}
		p.above()
		for i := range u.m.Repos {
			if r := &u.m.Repos[i]; (repository == "" || r.Name == repository) && !p.repository(uint32(i)) {
				return
			}
		}
	}
}

// paths is the state of Paths.
type paths struct {
	m     *gc.Marks
	id    uint32
	up    graph.Bitset // by id: it leads to the digest, or is it
	yield func(Path) bool

	r       *graph.Repository
	ri      uint32
	path    Path
	told    int             // paths found in this repository
	cycles  int             // paths that were cut because of a cycle
	visited map[uint32]bool // manifests visited in this repository
	dead    map[uint32]bool // manifests that don't lead to the digest in this repository
	on      map[uint32]bool // manifests on the current path
}

// above finds all that leads to the digest in any repository.
func (p *paths) above() {
	m := p.m
	first, from := turned(m)
	todo := []uint32{p.id}
	p.up.Add(p.id)
	add := func(id uint32) {
		if p.up.Add(id) {
			todo = append(todo, id)
		}
	}
	stands := map[uint32][]uint32{} // aliases, by their targets
	for i := range m.Repos {
		for _, a := range m.Repos[i].Aliases {
			if a.Target != graph.None {
				stands[a.Target] = append(stands[a.Target], a.ID)
			}
		}
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, n := range from[first[id]:first[id+1]] {
			add(m.Nodes[n].ID)
		}
		for _, alias := range stands[id] {
			add(alias)
		}
		for of := range m.In(nil, id).Subjects { // a subject keeps its referrers
			add(of)
		}
	}
}

// turned returns the reversed references of all manifests: those with a reference to id are
// from[first[id]:first[id+1]], by node. Subjects are left out.
func turned(m *gc.Marks) (first, from []uint32) {
	return grouped(m.Len()+len(m.Unlisted), func(add func(id, node uint32)) {
		for n := range m.Nodes {
			for e := range m.In(nil, m.Nodes[n].ID).References {
				add(e.ID(), uint32(n))
			}
		}
	})
}

// grouped groups values by keys below n: those of a key are values[first[key]:first[key+1]].
// It calls each twice.
func grouped(n int, each func(add func(key, value uint32))) (first, values []uint32) {
	first = make([]uint32, n+1)
	each(func(key, _ uint32) { first[key+1]++ })
	for key := range n {
		first[key+1] += first[key]
	}
	values = make([]uint32, first[n])
	at := slices.Clone(first)
	each(func(key, value uint32) {
		values[at[key]] = value
		at[key]++
	})
	return first, values
}

// repository yields the paths in one repository. It returns false if the iteration has
// stopped.
func (p *paths) repository(i uint32) bool {
	p.r, p.ri, p.told = &p.m.Repos[i], i, 0
	p.visited, p.dead, p.on = map[uint32]bool{}, map[uint32]bool{}, map[uint32]bool{}
	for t := range p.r.Tags {
		for _, id := range means(p.r, uint32(t)) {
			p.path = Path{Repository: p.r.Name, Hold: HoldTag, Tag: p.r.Tags[t].Name}
			if !p.down(id, RoleManifest) {
				return false
			}
		}
	}
	return p.untagged() && p.mismatches() && p.links()
}

// means returns the targets of a tag; of an ambiguous tag, all targets in its history.
func means(r *graph.Repository, t uint32) (ids []uint32) {
	if target := r.Tags[t].Target; target != graph.None {
		return []uint32{target}
	}
	for _, h := range graph.HistoryOf(r, t) {
		ids = append(ids, h.ID)
	}
	return ids
}

// down follows all paths from a manifest to the digest. A manifest that doesn't lead there is
// searched once.
func (p *paths) down(id uint32, role Role) (more bool) {
	if p.on[id] {
		p.cycles++
	}
	if !p.up.Has(id) || p.on[id] || p.dead[id] {
		return true
	}
	told, cycles := p.told, p.cycles
	p.path.Steps = append(p.path.Steps, step(p.m, id, role))
	p.on[id], p.visited[id] = true, true
	more = p.through(id)
	p.path.Steps = p.path.Steps[:len(p.path.Steps)-1]
	delete(p.on, id)
	if p.told == told && p.cycles == cycles {
		p.dead[id] = true
	}
	return more
}

// through follows the references of a manifest on the path.
func (p *paths) through(id uint32) (more bool) {
	if id == p.id && !p.tell() {
		return false
	}
	for e, needed := range p.m.In(p.r, id).Needs {
		if !p.reference(e, needed) {
			return false
		}
	}
	for m := range p.m.In(p.r, id).Referrers {
		if !p.down(m, RoleReferrer) {
			return false
		}
	}
	return true
}

func step(m *gc.Marks, id uint32, role Role) Step {
	n := m.NodeAt(id)
	blob := role == RoleConfig || role == RoleLayer
	return Step{Digest: m.NameOf(id), Role: role, Index: n != nil && n.Kind == manifest.Index && !blob}
}

// reference follows one reference of a manifest.
func (p *paths) reference(e graph.Edge, needed uint32) (more bool) {
	switch {
	case e.IsEntry():
		return p.down(needed, RoleManifest)
	case needed != p.id:
		return true
	case e.Role() == manifest.Config:
		return p.leaf(RoleConfig)
	}
	return p.leaf(RoleLayer)
}

// leaf yields the path to the digest as a blob of the current manifest.
func (p *paths) leaf(role Role) bool {
	p.path.Steps = append(p.path.Steps, step(p.m, p.id, role))
	more := p.tell()
	p.path.Steps = p.path.Steps[:len(p.path.Steps)-1]
	return more
}

func (p *paths) tell() bool {
	p.told++
	told := p.path
	told.Steps = slices.Clone(p.path.Steps)
	return p.yield(told)
}

// alone yields the path of a link that keeps the digest itself.
func (p *paths) alone(hold Hold, tag string) bool {
	p.path = Path{Repository: p.r.Name, Hold: hold, Tag: tag}
	role := RoleLayer
	if p.m.NodeAt(p.id) != nil {
		role = RoleManifest
	}
	return p.leaf(role)
}

// untagged follows the kept revisions that no tag leads to. One that another of them leads to
// is on that one's path.
func (p *paths) untagged() (more bool) {
	var ids []uint32
	for v := range p.r.Manifests() {
		if keptUntagged(p.m, p.ri, v) && p.up.Has(v.ID) && !p.visited[v.ID] {
			ids = append(ids, v.ID)
		}
	}
	slices.SortFunc(ids, p.m.CompareIDs)
	below := p.below(ids)
	for _, tops := range []bool{true, false} { // second round: those that were not visited are in a cycle
		for _, id := range ids {
			p.path = Path{Repository: p.r.Name, Hold: HoldUntagged}
			if below[id] != tops && !p.visited[id] && !p.down(id, RoleManifest) {
				return false
			}
		}
	}
	return true
}

// keptUntagged reports whether a repository keeps a revision that no tag leads to.
func keptUntagged(m *gc.Marks, repository uint32, v graph.Revision) bool {
	return !m.Untagged || m.Users.KeepsAll(repository) || m.RevisionInGrace(v) || m.UnclearSubject(v.ID)
}

// below returns those manifests to which others of them lead.
func (p *paths) below(ids []uint32) map[uint32]bool {
	below, among := map[uint32]bool{}, map[uint32]bool{}
	for _, id := range ids {
		among[id] = true
	}
	for _, id := range ids {
		for e, needed := range p.m.In(p.r, id).Needs {
			if e.IsEntry() {
				below[needed] = true
			}
		}
		for of := range p.m.In(p.r, id).Subjects {
			below[id] = below[id] || among[of]
		}
	}
	return below
}

// mismatches follows the digests in mismatched links.
func (p *paths) mismatches() (more bool) {
	for _, id := range slices.Compact(slices.SortedFunc(p.r.Mismatched, p.m.CompareIDs)) {
		p.path = Path{Repository: p.r.Name, Hold: HoldMismatch}
		if !p.visited[id] && !p.down(id, RoleManifest) {
			return false
		}
	}
	return true
}

// links yields the links of the repository that keep the digest, if no manifest does.
func (p *paths) links() (more bool) {
	m, r := p.m, p.r
	pinned := m.Users.Pinned.Has(p.ri)
	if p.told > 0 {
		return true
	}
	at, ok := slices.BinarySearchFunc(r.Layers, p.id, func(l graph.LayerLink, id uint32) int { return int(int64(l.ID()) - int64(id)) })
	switch {
	case ok && r.Layers[at].InGrace():
		return p.alone(HoldYoung, "")
	case ok && graph.LinkMismatches(r, p.id):
		return p.alone(HoldMismatch, "")
	case ok && !m.Unreferenced.Has(m.FirstLink[p.ri]+uint32(at)):
		return p.alone(HoldPinned, "")
	}
	for _, a := range r.Aliases {
		young := m.Age.CoversSeconds(a.Modified)
		if a.Target != p.id || !pinned && !young {
			continue
		}
		return p.alone(map[bool]Hold{true: HoldYoung, false: HoldPinned}[young], "")
	}
	for _, h := range r.History {
		if h.ID == p.id && keepsHistory(m, r, h) {
			return p.alone(HoldHistory, r.Tags[h.Tag].Name)
		}
	}
	if slices.ContainsFunc(m.Signed[p.ri], func(s gc.Signed) bool { return s.By == p.id }) {
		return p.alone(HoldSignature, "")
	}
	return true
}

// keepsHistory reports whether an entry of a tag's history keeps its digest, if nothing else
// of the repository does: it is in grace, or not stale.
func keepsHistory(m *gc.Marks, r *graph.Repository, h graph.HistoryEntry) bool {
	t := &r.Tags[h.Tag]
	stale := t.Target != graph.None && t.Target != h.ID && (!r.HasRevision(h.ID) || m.Untagged && m.StateAt(h.ID) == walker.ManifestGood)
	return m.Age.CoversSeconds(h.Modified) || !stale || r.BadName || t.BadName
}

// Known describes a digest of a store.
type Known struct {
	Stored   bool
	Manifest bool  // it was parsed as a manifest
	Corrupt  bool  // its bytes don't hash to the digest, if they were hashed
	Size     int64 // in bytes; 0 if it isn't stored
	Kept     bool  // it is referenced or kept
	Young    bool  // it, or a link to it, is in grace
}

// Known describes a digest; ok is false if the store doesn't have it.
func (u *Usage) Known(digest string) (k Known, ok bool) {
	id := u.m.KnownIDOf(digest)
	if id == graph.None {
		return k, false
	}
	k = Known{
		Stored: u.m.Present(id), Manifest: u.m.StateAt(id) == walker.ManifestGood, Corrupt: u.m.KnownCorrupt(id),
		Kept: u.m.Referenced.Has(id) || u.m.NoOrphans, Young: u.m.InGrace.Has(id),
	}
	if k.Stored {
		k.Size = u.m.SizeOf(id)
	}
	return k, true
}

// Own returns the bytes that a removal of a manifest frees, with what only it leads to; 0 if
// the repository doesn't keep it. pinned returns why nothing would be removed. ok is false if
// the repository has no such manifest.
func (u *Usage) Own(repository, digest string) (bytes int64, pinned string, ok bool) {
	i, known := u.m.RepoID[repository]
	id := u.m.KnownIDOf(digest)
	if !known || id == graph.None {
		return 0, "", false
	}
	f := flowOf(u.m, i)
	v, ok := f.number[vertex{manifestVertex, id}]
	if !ok {
		return 0, "", u.m.Repos[i].Serves(id)
	}
	if pinned = u.m.PinnedBy(i); pinned != "" {
		return 0, pinned, true
	}
	return f.exclusive()[v], "", true
}
