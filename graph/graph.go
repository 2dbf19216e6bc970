// Package graph is the model of a registry's storage, and how it is read.
//
// Read lists a store and reads the manifests that its links name. The Graph holds what
// blobs, links and manifests say of each other in as few bytes as it takes: every digest
// is held once and known by a small id from then on, a stored blob by its rank among
// all, a digest that is only spoken of by a number past those. Sizes, times and
// references hang off the ids in arrays. A Repository holds its links by these ids.
//
// relation.go says what a reference means in a repository: what must stay, what a pull
// is given, what goes along with a removal. Every walk over manifests goes by one of its
// relations.
//
// The graph judges nothing. Package gc marks what stays of it, package check says what is
// wrong with it, package usage who uses how much of it. It is no longer written to once
// it is read, but for what a second look at the store finds changed.
package graph

import (
	"cmp"
	"fmt"
	"iter"
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
	Table
	ownSince    int64  // nanoseconds since 1970: directories that were emptied since, regfsck emptied
	ChangedFrom int64  // nanoseconds since 1970: what was changed since may be half done
	Age         Age    // what is within the grace period
	LastPushes  pushes // the last ones
	LinkDates   dates  // of all links
	unreadLinks bool   // there is a link in an archive: nobody knows what it means

	Unlisted   []layout.Digest          // digests that no listed blob has, by id less table.len()
	pastID     map[layout.Digest]uint32 // their ids
	foreign    map[layout.Digest]uint32 // ids of digests by other algorithms, by the hash of their text
	names      map[uint32]string        // the texts of those
	late       map[uint32]int64         // blobs that appeared after the listing, with their sizes
	InGrace    Bitset                   // by id: the blob or a link to it is within the grace period
	orphanRead Bitset                   // by id: read to see whether an orphan is a manifest
	layerRead  Bitset                   // by id: read to see whether a layer link is a manifest's
	Hashed     Bitset                   // by id: the blob's bytes were to be hashed
	BadHashes  map[uint32]walker.Hashed // blobs whose bytes were read, where something is wrong with them

	Repos    []Repository // sorted by name once sealed
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

	Nodes    []Manifest
	NodeOf   []uint32 // by id: index into nodes plus one, or 0
	edges    []Edge
	Whys     map[uint32]error // by node: why it is unparsable or unreadable
	Suspects []Suspect

	subjects      []subject // what refers to what as its subject: see referrers
	subjectsKnown bool      // of all nodes as they are

	Carriers map[uint32]bool   // manifests that carry bytes of what they refer to, and weren't asked for them
	inline   map[uint32]string // bytes of blobs that manifests carry, by id
	Healing

	Changed     map[Ref]bool     // places that a second look found other than the first
	Unconfirmed map[Ref]bool     // places of which nothing is to be said: in motion, or unreadable
	recent      map[string]int64 // when directories were emptied since motionAfter, and tags in which anything was changed; nanoseconds since 1970
	confirmed   map[Ref]bool     // places that a second look has confirmed
	looked      int              // how many of past have been looked at directly
}

// Ref names a link, a tag or a repository of the whole store.
type Ref struct {
	Repo uint32
	Link
}

// NewGraph returns a graph for a store that is read at the time now. Without a
// grace period nothing is within it.
func NewGraph(now time.Time, grace time.Duration) *Graph {
	return &Graph{
		Age:         NewAge(now, grace),
		ownSince:    math.MaxInt64,
		ChangedFrom: now.Add(-PushTime).UnixNano(),
		recent:      map[string]int64{},
		reserved:    map[string]int{},
		pastID:      map[layout.Digest]uint32{},
		foreign:     map[layout.Digest]uint32{},
		names:       map[uint32]string{},
		late:        map[uint32]int64{},
		BadHashes:   map[uint32]walker.Hashed{},
		restored:    map[uint32]bool{},
		RepoID:      map[string]uint32{},
		Whys:        map[uint32]error{},
		faulty:      map[string]bool{},
		Changed:     map[Ref]bool{},
		Unconfirmed: map[Ref]bool{},
		confirmed:   map[Ref]bool{},
		Carriers:    map[uint32]bool{},
		inline:      map[uint32]string{},
		Healing:     Healing{Heals: map[uint32]*Heal{}, Unable: map[uint32]string{}, stated: map[uint32]int64{}},
	}
}

// Blobs takes in listed blobs; all of them before the first link.
func (g *Graph) Blobs(blobs []walker.Blob) error {
	for _, b := range blobs {
		if b.Other != "" {
			g.others = append(g.others, other{strings.Clone(b.Other), Seconds(b.Modified), b.Archived, b.Size})
			continue
		}
		g.add(record{b.Digest, Seconds(b.Modified), b.Archived, b.Size})
	}
	return nil
}

// SealBlobs gives out the ids. Which blobs are in grace is noted by id.
func (g *Graph) SealBlobs() error {
	for i, name := range g.seal() {
		id := g.First[256] + uint32(i)
		g.foreign[layout.Sum([]byte(name))], g.names[id] = id, name
	}
	if g.Len() >= 1<<(edgeBits-1) {
		return fmt.Errorf("%d blobs are more than one run can hold", g.Len())
	}
	g.InGrace = NewBitset(g.Len())
	for id, s := range g.Modified {
		if g.Age.CoversSeconds(s) {
			g.InGrace.Add(uint32(id))
		}
	}
	return nil
}

// Seconds is backend.Seconds in the 32 bits that these need.
func Seconds(ns int64) uint32 { return uint32(backend.Seconds(ns)) }

// IDOf returns d's id, a new one if no blob was listed under it.
func (g *Graph) IDOf(d layout.Digest) uint32 {
	if id, ok := g.find(d); ok {
		return id
	}
	id, ok := g.pastID[d]
	if !ok {
		id = g.newID(d)
		g.pastID[d] = id
	}
	return id
}

// KnownID returns d's id, none if nothing speaks of it.
func (g *Graph) KnownID(d layout.Digest) uint32 {
	if id, ok := g.find(d); ok {
		return id
	}
	if id, ok := g.pastID[d]; ok {
		return id
	}
	return None
}

// idOfName returns the id of a digest by another algorithm than sha256.
func (g *Graph) idOfName(name string) uint32 {
	key := layout.Sum([]byte(name))
	id, ok := g.foreign[key]
	if !ok {
		id = g.newID(layout.Digest{})
		g.foreign[key] = id
		g.names[id] = strings.Clone(name)
	}
	return id
}

func (g *Graph) newID(d layout.Digest) uint32 {
	g.Unlisted = append(g.Unlisted, d)
	return uint32(g.Len() + len(g.Unlisted) - 1)
}

// idOfRef returns the id of what a manifest refers to.
func (g *Graph) idOfRef(r manifest.Ref) uint32 {
	return g.idOfAny(layout.AnyDigest{Digest: r.Digest, Other: r.Other})
}

// idOfAny is idOf for a digest by any algorithm.
func (g *Graph) idOfAny(d layout.AnyDigest) uint32 {
	if d.Other != "" {
		return g.idOfName(d.Other)
	}
	return g.IDOf(d.Digest)
}

// KnownIDOf is knownID for the text of a digest by any algorithm.
func (g *Graph) KnownIDOf(text string) uint32 {
	d, ok := layout.ParseAnyDigest(text)
	if !ok {
		return None
	}
	if d.Other == "" {
		return g.KnownID(d.Digest)
	}
	if id, ok := g.foreign[layout.Sum([]byte(text))]; ok {
		return id
	}
	return None
}

// DigestOf returns the digest of any id; zero for another algorithm's.
func (g *Graph) DigestOf(id uint32) layout.Digest {
	if int(id) < g.Len() {
		return g.digest(id)
	}
	return g.Unlisted[int(id)-g.Len()]
}

// AnyOf returns the digest of any id.
func (g *Graph) AnyOf(id uint32) layout.AnyDigest {
	return layout.AnyDigest{Digest: g.DigestOf(id), Other: g.names[id]}
}

// BlobKey returns the key of the bytes of any id.
func (g *Graph) BlobKey(id uint32) string { return g.AnyOf(id).BlobKey() }

// Provable reports whether bytes can be held against the digest of the id. What
// can't be proven is present, never corrupt and never garbage.
func (g *Graph) Provable(id uint32) bool {
	return !g.IsForeign(id) || g.AnyOf(id).Provable()
}

// IsForeign reports whether the id is of a digest by another algorithm.
func (g *Graph) IsForeign(id uint32) bool {
	_, foreign := g.names[id]
	return foreign
}

// digests returns the digests of ids. It may be called from any goroutine, also
// while new ids are given out.
func (g *Graph) digests(ids []uint32) func(i int) layout.AnyDigest {
	past, names := g.Unlisted, map[uint32]string{}
	for _, id := range ids {
		if g.IsForeign(id) {
			names[id] = g.names[id]
		}
	}
	return func(i int) layout.AnyDigest {
		id := ids[i]
		if int(id) < g.Len() {
			return layout.AnyDigest{Digest: g.digest(id), Other: names[id]}
		}
		return layout.AnyDigest{Digest: past[int(id)-g.Len()], Other: names[id]}
	}
}

// NameOf returns the digest of any id as text.
func (g *Graph) NameOf(id uint32) string {
	if name, ok := g.names[id]; ok {
		return name
	}
	return g.DigestOf(id).String()
}

// Present reports whether a blob is stored under the id.
func (g *Graph) Present(id uint32) bool {
	if int(id) < g.Len() {
		return true
	}
	_, ok := g.late[id]
	return ok
}

// SizeOf returns the stored bytes of a present blob.
func (g *Graph) SizeOf(id uint32) int64 {
	if int(id) < g.Len() {
		return g.Sizes[id]
	}
	return g.late[id]
}

// ModifiedOf returns a blob's own time; zero where it wasn't listed.
func (g *Graph) ModifiedOf(id uint32) time.Time {
	if int(id) < g.Len() {
		return TimeOf(g.Modified[id])
	}
	return time.Time{}
}

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

// Suspect is a descriptor that states another size than the blob has.
type Suspect struct {
	Node, ID uint32
	Stated   int64
}

// NodeAt returns the manifest under id, nil if none was looked for there.
func (g *Graph) NodeAt(id uint32) *Manifest {
	if int(id) >= len(g.NodeOf) || g.NodeOf[id] == 0 {
		return nil
	}
	return &g.Nodes[g.NodeOf[id]-1]
}

// StateAt returns what reading the manifest under id came to.
func (g *Graph) StateAt(id uint32) walker.ManifestState {
	if n := g.NodeAt(id); n != nil {
		return n.State
	}
	return walker.ManifestUnread
}

// refs returns a manifest's references.
func (g *Graph) refs(n *Manifest) []Edge { return g.edges[n.from:n.to] }

// AddManifest takes in what reading the manifest under id came to, in place of
// what was known of it.
func (g *Graph) AddManifest(id uint32, m walker.Manifest) {
	if m.State != walker.ManifestMissing && m.State != walker.ManifestUnreadable && !g.Present(id) {
		g.late[id] = m.Size
	}
	g.addNode(id, m)
}

// addNode is addManifest, whether or not a blob is stored under the id.
func (g *Graph) addNode(id uint32, m walker.Manifest) {
	at := g.place(id)
	n := &g.Nodes[at]
	g.subjectsKnown = false
	*n = Manifest{ID: id, State: m.State, Kind: m.Manifest.Kind, from: uint32(len(g.edges))}
	if m.Err != nil {
		g.Whys[at] = m.Err
	}
	for _, r := range m.Manifest.Refs {
		ref := g.idOfRef(r)
		g.edges = append(g.edges, newEdge(r, ref))
		if r.Read && r.Size >= 0 && int(ref) < g.Len() && g.Sizes[ref] != r.Size {
			g.Suspects = append(g.Suspects, Suspect{at, ref, r.Size})
		}
		if r.Read && r.Size >= 0 && int(ref) >= g.Len() {
			if known, ok := g.stated[ref]; ok && known != r.Size {
				g.stated[ref] = -1
			} else {
				g.stated[ref] = r.Size
			}
		}
	}
	n.to = uint32(len(g.edges))
	if m.Manifest.Inline {
		g.Carriers[id] = true
	}
}

// place returns the index in nodes for id.
func (g *Graph) place(id uint32) uint32 {
	for int(id) >= len(g.NodeOf) {
		g.NodeOf = append(g.NodeOf, make([]uint32, max(g.Len(), int(id)+1)-len(g.NodeOf))...)
	}
	if g.NodeOf[id] == 0 {
		g.Nodes = append(g.Nodes, Manifest{})
		g.NodeOf[id] = uint32(len(g.Nodes))
	}
	return g.NodeOf[id] - 1
}

// sortSuspects brings the suspects into an order that doesn't depend on which
// manifest was read first.
func (g *Graph) sortSuspects() {
	slices.SortFunc(g.Suspects, func(a, b Suspect) int {
		return cmp.Or(
			g.DigestOf(g.Nodes[a.Node].ID).Compare(g.DigestOf(g.Nodes[b.Node].ID)),
			cmp.Compare(a.ID, b.ID), cmp.Compare(a.Stated, b.Stated))
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

func (g *Graph) CompareIDs(a, b uint32) int {
	if a == b {
		return 0
	}
	if a == None || b == None {
		return cmp.Compare(a+1, b+1)
	}
	return cmp.Or(g.DigestOf(a).Compare(g.DigestOf(b)), cmp.Compare(g.names[a], g.names[b]))
}

// LinkBytes is what a link to a sha256 digest takes.
const LinkBytes = 71

// BytesOfLink is what a link takes whose content is the digest of its path.
func (g *Graph) BytesOfLink(id uint32) int64 {
	if name, foreign := g.names[id]; foreign {
		return int64(len(name))
	}
	return LinkBytes
}

// EveryBlob are the ids of all blobs that are there.
func (g *Graph) EveryBlob() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for id := range uint32(g.Len()) {
			if !yield(id) {
				return
			}
		}
		for id := range g.late {
			if !yield(id) {
				return
			}
		}
	}
}

// Fits returns an error where there are more digests than one run can hold.
func (g *Graph) Fits() error {
	if n := g.Len() + len(g.Unlisted); n >= 1<<edgeBits {
		return fmt.Errorf("%d digests are more than one run can hold", n)
	}
	return nil
}
