package usage

import (
	"regfsck/graph"
	"regfsck/walker"
	"regfsck/walker/manifest"
)

// Role is what a Node is to its parent.
type Role string

// The roles.
const (
	RoleManifest Role = "manifest" // the tag's manifest, or a child of an index
	RoleConfig   Role = "config"
	RoleLayer    Role = "layer"
	RoleReferrer Role = "referrer" // its subject is the parent
)

// Node is an object that a tag leads to.
type Node struct {
	Digest   string
	Role     Role
	Size     int64  // stored bytes; 0 if it isn't stored
	Broken   string // what is wrong with it; "" for nothing
	Again    bool   // it was listed before, with its children
	Children []Node // in the order of the manifest, then referrers by digest
}

// Tree returns all that a tag leads to; ok is false if there is no such tag or its link has
// no target.
func (u *Usage) Tree(repository, tag string) (Node, bool) {
	i, ok := u.m.RepoID[repository]
	if !ok {
		return Node{}, false
	}
	t, ok := u.m.Repos[i].FindTag(tag)
	if !ok || u.m.Repos[i].Tags[t].Target == graph.None {
		return Node{}, false
	}
	tree := tree{f: newFlow(u.m, i), seen: map[uint32]bool{}}
	return tree.manifest(u.m.Repos[i].Tags[t].Target, RoleManifest), true
}

// tree is the state of Tree.
type tree struct {
	f    *flow
	seen map[uint32]bool
}

func (t *tree) manifest(id uint32, role Role) Node {
	n := t.leaf(id, role)
	m, r := t.f.m, t.f.r
	switch state := m.StateAt(id); {
	case state != walker.ManifestGood && n.Broken == "":
		n.Broken = state.String()
	case n.Broken == "" && !r.HasRevision(id):
		n.Broken = "not in this repository"
	}
	if n.Again = t.seen[id]; n.Again {
		return n
	}
	t.seen[id] = true
	for e := range m.In(r, id).References {
		to, child := r.Child(e)
		switch {
		case e.Role() == manifest.Config:
			n.Children = append(n.Children, t.blob(e, RoleConfig))
		case !e.IsEntry(), !child && (e.Role() == manifest.Either || !e.Read()):
			n.Children = append(n.Children, t.blob(e, RoleLayer))
		default:
			n.Children = append(n.Children, t.manifest(to, RoleManifest))
		}
	}
	for _, referrer := range t.f.referrerIDs(id) {
		n.Children = append(n.Children, t.manifest(referrer.id, RoleReferrer))
	}
	return n
}

// blob returns the node of a config or layer, which the repository serves if it links it.
func (t *tree) blob(e graph.Edge, role Role) Node {
	n := t.leaf(e.ID(), role)
	may := e.Role() == manifest.MayBeAbsent || !e.Read() || t.f.m.Cache
	switch linked := t.f.r.HasLink(e.ID()); {
	case may && (n.Broken != "" || !linked):
		n.Broken = ""
	case n.Broken == "" && t.f.m.KnownCorrupt(e.ID()):
		n.Broken = "corrupt"
	case n.Broken == "" && !linked:
		n.Broken = "its link is missing"
	}
	return n
}

// leaf returns a node without children.
func (t *tree) leaf(id uint32, role Role) Node {
	m := t.f.m
	n := Node{Digest: m.NameOf(id), Role: role}
	if id = t.f.r.Resolve(id); m.Present(id) {
		n.Size = m.SizeOf(id)
	} else {
		n.Broken = "missing"
	}
	return n
}
