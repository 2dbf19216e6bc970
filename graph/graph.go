// Package graph is the model of a registry's storage, and how it is read.
//
// Read lists a store and reads the manifests that its links name. The Graph holds what
// blobs, links and manifests say of each other in as few bytes as it takes: every digest
// is held once and known by a small id from then on, a stored blob by its rank among
// all, a digest that is only named has a number past those. Sizes, times and
// references hang off the ids in arrays. A Repository holds its links by these ids.
//
// relation.go says what a reference means in a repository: what must be kept, what a pull
// is given, what is removed with it. Every walk over manifests uses one of its
// relations.
//
// The graph judges nothing. Package gc marks what is kept of it, package check says what is
// wrong with it, package usage who uses how much of it. It is no longer written to once
// it is read, but for what a second look at the store finds changed.
package graph

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// None stands for "no id".
const None = math.MaxUint32

// PushTime is how long a push or a delete may take from one file to the next.
const PushTime = time.Minute

// Graph is the whole store.
type Graph struct {
	Digests
	ownSince    int64  // nanoseconds since 1970: directories that were emptied since, regfsck emptied
	ChangedFrom int64  // nanoseconds since 1970: what was changed since may be half done
	Age         Age    // what is within the grace period
	LastPushes  pushes // the last ones
	LinkDates   dates  // of all links
	unreadLinks bool   // there is a link in an archive: nobody knows what it means

	InGrace    Bitset                   // by id: the blob or a link to it is within the grace period
	orphanRead Bitset                   // by id: read to see whether an orphan is a manifest
	layerRead  Bitset                   // by id: read to see whether a layer link is a manifest's
	Hashed     Bitset                   // by id: the blob's bytes were to be hashed
	BadHashes  map[uint32]walker.Hashed // blobs whose bytes were read, where something is wrong with them

	Repos    []Repository // sorted by name once sealed
	Copies   []Copy       // the tags of sources that the store hasn't
	RepoID   map[string]uint32
	reserved map[string]int  // by directory that nobody knows: its place in entries
	Entries  []walker.Entry  // what is neither blob nor link
	restored map[uint32]bool // archived blobs that can be read all the same

	archiveSeen  Bitset // archived blobs that were asked for
	archiveLooks int    // at them

	Markers    []walker.Entry  // that make repositories and tags appear
	Faults     []walker.Entry  // what could not be listed or read
	faulty     map[string]bool // their keys
	Rules      []backend.Rule  // by which the store itself takes files away
	CacheState *CacheState     // a pull-through cache's own file where no registry starts with it; else nil

	nodes
	Suspects []Suspect

	subjects      []subject // what refers to what as its subject: see referrers
	subjectsKnown bool      // of all nodes as they are

	Carriers map[uint32]bool   // manifests that carry bytes of what they refer to, and weren't asked for them
	inline   map[uint32]string // bytes of blobs that manifests carry, by id
	Healing

	Changed     map[Ref]bool     // places that a second look found other than the first
	Unconfirmed map[Ref]bool     // places of which nothing is reported: being changed, or unreadable
	recent      map[string]int64 // when directories were emptied since motionAfter, and tags in which anything was changed; nanoseconds since 1970
	confirmed   map[Ref]bool     // places that a second look has confirmed
	looked      int              // how many of past have been looked at directly
}

// Ref names a link of the whole store. Without a kind it is a repository, and without a
// repository a blob.
type Ref struct {
	Repo uint32
	Link
}

// NewGraph returns a graph for a store that is read at the time now. Without a
// grace period nothing is within it.
func NewGraph(now time.Time, grace time.Duration) *Graph {
	return &Graph{
		Digests: Digests{
			pastID:  map[layout.Digest]uint32{},
			foreign: map[layout.Digest]uint32{},
			names:   map[uint32]string{},
			late:    map[uint32]int64{},
		},
		Age:         NewAge(now, grace),
		ownSince:    math.MaxInt64,
		ChangedFrom: now.Add(-PushTime).UnixNano(),
		recent:      map[string]int64{},
		reserved:    map[string]int{},
		BadHashes:   map[uint32]walker.Hashed{},
		restored:    map[uint32]bool{},
		RepoID:      map[string]uint32{},
		nodes:       nodes{Whys: map[uint32]error{}},
		faulty:      map[string]bool{},
		Changed:     map[Ref]bool{},
		Unconfirmed: map[Ref]bool{},
		confirmed:   map[Ref]bool{},
		Carriers:    map[uint32]bool{},
		inline:      map[uint32]string{},
		Healing:     Healing{Heals: map[uint32]*Heal{}, Unable: map[uint32]string{}, Unasked: map[uint32]string{}, stated: map[uint32]int64{}},
	}
}

// Seconds is backend.Seconds in the 32 bits that these need.
func Seconds(ns int64) uint32 { return uint32(backend.Seconds(ns)) }

func TimeOf(s uint32) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// Edge is one reference of a manifest: a role and whether a registry reads it,
// above an id.
type Edge uint32

const (
	edgeBits = 28
	edgeRead = 1 << edgeBits
)

func newEdge(r manifest.Ref, id uint32) Edge {
	e := Edge(uint32(r.Role)<<(edgeBits+1) | id)
	if r.Read {
		e |= edgeRead
	}
	return e
}

func (e Edge) Role() manifest.Role { return manifest.Role(e >> (edgeBits + 1)) }
func (e Edge) ID() uint32          { return uint32(e) & (1<<edgeBits - 1) }

// Read reports whether a registry reads the reference itself. What is only kept for
// caution is never damage, proves nothing and has nothing rebuilt.
func (e Edge) Read() bool { return e&edgeRead != 0 }

// IsEntry reports whether the reference is an index's, to what is or may be a
// manifest.
func (e Edge) IsEntry() bool { return e.Role() == manifest.Child || e.Role() == manifest.Either }

// Manifest is one manifest that was read, or that could not be.
type Manifest struct {
	ID    uint32
	State walker.ManifestState
	Kind  manifest.Kind
	from  uint32 // its edges: edges[from:to]
	to    uint32
}

// nodes are the manifests that were read, or that could not be, and what they refer to.
type nodes struct {
	Nodes  []Manifest
	NodeOf []uint32 // by id: index into Nodes plus one, or 0
	edges  []Edge
	Whys   map[uint32]error // by node: why it is unparsable or unreadable
}

// NodeAt returns the manifest under id, nil if none was looked for there.
func (g *nodes) NodeAt(id uint32) *Manifest {
	if int(id) >= len(g.NodeOf) || g.NodeOf[id] == 0 {
		return nil
	}
	return &g.Nodes[g.NodeOf[id]-1]
}

// StateAt returns the outcome of reading the manifest under id.
func (g *nodes) StateAt(id uint32) walker.ManifestState {
	if n := g.NodeAt(id); n != nil {
		return n.State
	}
	return walker.ManifestUnread
}

// refs returns a manifest's references.
func (g *nodes) refs(n *Manifest) []Edge { return g.edges[n.from:n.to] }

// place returns the index in Nodes for id, a new one at first. NodeOf grows to ids then, at
// least.
func (g *nodes) place(id uint32, ids int) uint32 {
	for int(id) >= len(g.NodeOf) {
		g.NodeOf = append(g.NodeOf, make([]uint32, max(ids, int(id)+1)-len(g.NodeOf))...)
	}
	if g.NodeOf[id] == 0 {
		g.Nodes = append(g.Nodes, Manifest{})
		g.NodeOf[id] = uint32(len(g.Nodes))
	}
	return g.NodeOf[id] - 1
}

// Suspect is a descriptor that states another size than the blob has.
type Suspect struct {
	Node, ID uint32
	Stated   int64
}

// sortSuspects brings the suspects into an order that doesn't depend on which
// manifest was read first.
func sortSuspects(g *Graph) {
	slices.SortFunc(g.Suspects, func(a, b Suspect) int {
		return cmp.Or(
			g.DigestOf(g.Nodes[a.Node].ID).Compare(g.DigestOf(g.Nodes[b.Node].ID)),
			cmp.Compare(a.ID, b.ID), cmp.Compare(a.Stated, b.Stated))
	})
}

// FindRef finds the place of a blob or link; false where the graph hasn't heard of
// what the key names. The tag of a link that is no tag's is 0.
func (g *Graph) FindRef(name string) (s Ref, ok bool) {
	key, err := layout.Parse(name)
	if err != nil {
		return s, false
	}
	s.Repo, s.Kind, s.ID = None, key.Kind, None
	if key.Kind == layout.Tarsum {
		s.Kind, key.Algorithm = layout.LayerLink, "tarsum."+key.Version+"+"+key.Algorithm
	}
	if d, ok := key.Digest(); ok {
		s.ID = g.KnownID(d)
	} else {
		s.ID = g.KnownIDOf(key.Algorithm + ":" + key.Hex)
	}
	if key.Kind == layout.Blob {
		return s, s.ID != None
	}
	if s.Repo, ok = g.RepoID[key.Repository]; !ok {
		return s, false
	}
	switch s.Kind {
	case layout.TagCurrent, layout.TagHistory:
		if s.Tag, ok = g.Repos[s.Repo].FindTag(key.Tag); !ok {
			return s, false
		}
		if s.Kind == layout.TagCurrent {
			s.ID = 0
		}
	case layout.Revision, layout.LayerLink:
	default:
		return s, false
	}
	return s, s.ID != None
}

// KeyOf returns the key of a blob, a repository or a link.
func (g *Graph) KeyOf(s Ref) string {
	if s.Repo == None {
		return g.BlobKey(s.ID)
	}
	r := &g.Repos[s.Repo]
	if s.Kind == 0 {
		return layout.RepositoryKey(r.Name)
	}
	k := layout.Key{Kind: s.Kind, Repository: r.Name}
	if s.Kind == layout.TagCurrent || s.Kind == layout.TagHistory {
		k.Tag = r.Tags[s.Tag].Name
	}
	if s.Kind == layout.TagCurrent {
		return k.String()
	}
	k.Algorithm, k.Hex, _ = strings.Cut(g.NameOf(s.ID), ":")
	if a := r.AliasOf(s.ID); a != nil && a.tarsum != "" && s.Kind == layout.LayerLink {
		k.Kind, k.Version = layout.Tarsum, a.tarsum
		k.Algorithm = strings.TrimPrefix(k.Algorithm, "tarsum."+a.tarsum+"+")
	}
	return k.String()
}

// Knows reports whether the graph has the link.
func (g *Graph) Knows(r *Repository, p Link) bool {
	switch p.Kind {
	case layout.Revision:
		return r.HasRevision(p.ID)
	case layout.TagCurrent:
		return r.Tags[p.Tag].Current
	case layout.TagHistory:
		return slices.ContainsFunc(HistoryOf(r, p.Tag), func(h HistoryEntry) bool { return h.ID == p.ID })
	}
	return r.HasLayer(p.ID) || r.AliasOf(p.ID) != nil
}

// UploadOf returns what the files say of an upload, nil where there are none.
func (g *Graph) UploadOf(key layout.Key) *Upload {
	if i, ok := g.RepoID[key.Repository]; ok {
		return g.Repos[i].Uploads[key.Upload]
	}
	return nil
}

// subject is a manifest that refers to another as its subject.
type subject struct{ of, node uint32 }

// sortSubjects makes the list by which referrers are found, where a manifest was read
// since it was last made.
func (g *Graph) sortSubjects() {
	if g.subjectsKnown {
		return
	}
	g.subjects, g.subjectsKnown = g.subjects[:0], true
	for i := range g.Nodes {
		for of := range g.In(nil, g.Nodes[i].ID).Subjects {
			g.subjects = append(g.subjects, subject{of, uint32(i)})
		}
	}
	slices.SortFunc(g.subjects, func(a, b subject) int {
		return cmp.Or(cmp.Compare(a.of, b.of), g.CompareIDs(g.Nodes[a.node].ID, g.Nodes[b.node].ID))
	})
}

// Bitset is a set of small numbers, a bit each. It grows as needed.
type Bitset []uint64

func NewBitset(n int) Bitset { return make(Bitset, (n+63)/64) }

func (b Bitset) Has(i uint32) bool {
	return int(i/64) < len(b) && b[i/64]&(1<<(i%64)) != 0
}

// Add puts i into the set and reports whether it is new there.
func (b *Bitset) Add(i uint32) bool {
	for int(i/64) >= len(*b) {
		*b = append(*b, 0)
	}
	was := (*b)[i/64]
	(*b)[i/64] = was | 1<<(i%64)
	return was&(1<<(i%64)) == 0
}

// Remove takes i out of the set.
func (b Bitset) Remove(i uint32) {
	if int(i/64) < len(b) {
		b[i/64] &^= 1 << (i % 64)
	}
}

// LinkBytes is what a link to a sha256 digest takes.
const LinkBytes = 71
