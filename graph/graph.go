// Package graph is the model of a registry's storage, and reads it.
//
// Read lists a store and reads the manifests that its links refer to. The Graph has blobs,
// links and manifests in little memory: every digest is stored once and has a small id, a
// stored blob by its rank and another digest by a number beyond those. Sizes, times and
// references are in arrays by id. A Repository has its links by these ids.
//
// relation.go defines what a reference means in a repository: what must be kept, what a pull
// is served, and what is removed with a manifest. Every walk over manifests uses one of its
// relations.
//
// The graph judges nothing. Package gc marks what is kept, package check finds what is wrong,
// package usage computes sizes. It isn't changed after it was read, except by rechecks.
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

// None is no id.
const None = math.MaxUint32

// PushTime is the longest time between two files of a push or delete.
const PushTime = time.Minute

// Graph is the model of a store.
type Graph struct {
	Digests
	ownSince    int64  // nanoseconds since 1970: directories that were emptied since were emptied by regfsck
	ChangedFrom int64  // nanoseconds since 1970: a change since may be in progress
	Age         Age    // the grace period
	LastPushes  pushes // the last ones
	LinkDates   dates  // of all links
	unreadLinks bool   // there is an archived link, whose target is unknown

	InGrace    Bitset                   // by id: the blob or a link to it is in grace
	orphanRead Bitset                   // by id: read to find out whether an orphan is a manifest
	layerRead  Bitset                   // by id: read to find out whether a layer link is a manifest's
	Hashed     Bitset                   // by id: the blob's bytes were to be hashed
	BadHashes  map[uint32]walker.Hashed // blobs that were read and whose bytes are wrong

	Repos    []Repository // sorted by name once sealed
	Copies   []Copy       // the tags of sources that the store lacks
	RepoID   map[string]uint32
	reserved map[string]int  // by unknown directory: its index in Entries
	Entries  []walker.Entry  // all that is neither blob nor link
	restored map[uint32]bool // archived blobs that can be read

	archiveSeen     Bitset // archived blobs that were rechecked
	archiveRechecks int    // the number of those rechecks

	Markers    []walker.Entry  // that list repositories and tags in the catalog
	Faults     []walker.Entry  // what could not be listed or read
	faulty     map[string]bool // their keys
	Rules      []backend.Rule  // by which the store itself removes files
	CacheState *CacheState     // a pull-through cache's state file with which no registry starts; else nil

	nodes
	Suspects []Suspect

	subjects      []subject // of all nodes; see sortSubjects
	subjectsKnown bool      // subjects is up to date

	Carriers map[uint32]bool   // manifests that contain bytes of their references, and were not read for them
	inline   map[uint32]string // bytes of blobs that manifests contain, by id
	Healing

	Changed           map[Ref]bool     // refs that a recheck found changed
	Unconfirmed       map[Ref]bool     // refs that changed or could not be read again: nothing is reported of them
	changedAt         map[string]int64 // when directories were emptied since ChangedFrom, and tags changed; nanoseconds since 1970
	confirmed         map[Ref]bool     // refs that a recheck has confirmed
	unlistedRechecked int              // how many unlisted digests were rechecked
}

// Ref is a link of the store. Without a kind it is a repository, and without a repository a
// blob.
type Ref struct {
	Repo uint32
	Link
}

// NewGraph returns an empty graph for a scan at the time now. With grace 0, nothing is in
// grace.
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
		changedAt:   map[string]int64{},
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

// Seconds is backend.Seconds as 32 bits.
func Seconds(ns int64) uint32 { return uint32(backend.Seconds(ns)) }

func TimeOf(s uint32) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// Edge is a reference of a manifest: its id, role, and whether a registry reads it.
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

// Read reports whether a registry reads the reference. Other references are kept as a
// precaution: they are never damage, prove nothing, and nothing is rebuilt for them.
func (e Edge) Read() bool { return e&edgeRead != 0 }

// IsEntry reports whether the reference is an index's, to something that is or may be a
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

// nodes are all manifests, read or not, with their references.
type nodes struct {
	Nodes  []Manifest
	NodeOf []uint32 // by id: index into Nodes plus one, or 0
	edges  []Edge
	Whys   map[uint32]error // by node: why it is unparsable or unreadable
}

// NodeAt returns the manifest under id, nil if there is none.
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

// place returns the index in Nodes for id, a new one if it has none. It grows NodeOf to at
// least ids.
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

// Suspect is a descriptor whose size differs from the blob's.
type Suspect struct {
	Node, ID uint32
	Stated   int64
}

// sortSuspects sorts the suspects, so that their order doesn't depend on the order of
// reading.
func sortSuspects(g *Graph) {
	slices.SortFunc(g.Suspects, func(a, b Suspect) int {
		return cmp.Or(
			g.DigestOf(g.Nodes[a.Node].ID).Compare(g.DigestOf(g.Nodes[b.Node].ID)),
			cmp.Compare(a.ID, b.ID), cmp.Compare(a.Stated, b.Stated))
	})
}

// FindRef returns the ref of a blob or link; ok is false if the graph doesn't have it. The
// tag is 0 for links that aren't a tag's.
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

// UploadOf returns the summary of an upload's files, nil for none.
func (g *Graph) UploadOf(key layout.Key) *Upload {
	if i, ok := g.RepoID[key.Repository]; ok {
		return g.Repos[i].Uploads[key.Upload]
	}
	return nil
}

// subject is a reference of a manifest to its subject.
type subject struct{ of, node uint32 }

// sortSubjects updates subjects if manifests were read since.
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

// Add adds i and reports whether it was not in the set.
func (b *Bitset) Add(i uint32) bool {
	for int(i/64) >= len(*b) {
		*b = append(*b, 0)
	}
	was := (*b)[i/64]
	(*b)[i/64] = was | 1<<(i%64)
	return was&(1<<(i%64)) == 0
}

// Remove removes i.
func (b Bitset) Remove(i uint32) {
	if int(i/64) < len(b) {
		b[i/64] &^= 1 << (i % 64)
	}
}

// LinkBytes is the size of a link with a sha256 digest.
const LinkBytes = 71
