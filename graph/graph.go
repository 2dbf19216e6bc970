// Package graph holds what a store's blobs, links and manifests say of each
// other in as few bytes as it takes, and judges it under a policy: what is
// broken, what of that can be rebuilt, what is kept, and what is left over.
//
// Every digest is held once and known by a small id from then on: a stored
// blob by its rank among all, a digest that is only spoken of by a number past
// those. Sizes, times, marks and references hang off the ids in arrays. A
// graph is filled by the walker's streams, blobs first, and then judged; it is
// no longer written to but for what a second look at the store finds changed.
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

// none stands for "no id".
const none = math.MaxUint32

// motion is how long a push or a delete may take from one file to the next.
const motion = time.Minute

// graph is the whole store.
type graph struct {
	table
	ownSince    int64  // nanoseconds since 1970: folders that were emptied since, regfsck emptied
	motionAfter int64  // nanoseconds since 1970: what was changed since may be half done
	youngAfter  int64  // nanoseconds since 1970: what is newer is within the grace period
	pushes      pushes // the last ones
	linkDates   dates  // of all links
	unreadLinks bool   // there is a link in an archive: nobody knows what it means

	past       []layout.Digest          // digests that no listed blob has, by id less table.len()
	pastID     map[layout.Digest]uint32 // their ids
	foreign    map[layout.Digest]uint32 // ids of digests by other algorithms, by the hash of their text
	names      map[uint32]string        // the texts of those
	late       map[uint32]int64         // blobs that appeared after the listing, with their sizes
	young      bitset                   // by id: the blob or a link to it is within the grace period
	orphanRead bitset                   // by id: read to see whether an orphan is a manifest
	layerRead  bitset                   // by id: read to see whether a layer link is a manifest's
	hashed     bitset                   // by id: the blob's bytes were to be hashed
	verified   map[uint32]walker.Hashed // blobs whose bytes were read, where something is wrong with them

	repos    []repo // sorted by name once sealed
	repoID   map[string]uint32
	reserved map[string]int  // by folder that nobody knows: its place in entries
	entries  []walker.Entry  // what is neither blob nor link
	restored map[uint32]bool // archived blobs that can be read all the same

	archiveSeen  bitset // archived blobs that were asked for
	archiveLooks int    // at them

	markers []walker.Entry  // that make repositories and tags appear
	faults  []walker.Entry  // what could not be listed or read
	faulty  map[string]bool // their keys
	rules   []backend.Rule  // by which the store itself takes files away
	state   *cacheState     // a pull-through cache's own file where no registry starts with it; else nil

	nodes    []node
	nodeOf   []uint32 // by id: index into nodes plus one, or 0
	edges    []edge
	why      map[uint32]error // by node: why it is unparsable or unreadable
	suspects []mismatch

	subjects      []subject // what refers to what as its subject: see referrers
	subjectsKnown bool      // of all nodes as they are

	carriers map[uint32]bool   // manifests that carry bytes of what they refer to, and weren't asked for them
	inline   map[uint32]string // bytes of blobs that manifests carry, by id
	healing

	changed map[spot]bool    // places that a second look found other than the first
	unsure  map[spot]bool    // places of which nothing is to be said: in motion, or unreadable
	recent  map[string]int64 // when folders were emptied since motionAfter, and tags in which anything was changed; nanoseconds since 1970
	settled map[spot]bool    // places that a second look has confirmed
	looked  int              // how many of past have been looked at directly
}

// spot names a link, a tag or a repository of the whole store.
type spot struct {
	repo uint32
	place
}

// newGraph returns a graph for a store that is read at the time now. Without a
// grace period nothing is young.
func newGraph(now time.Time, grace time.Duration) *graph {
	youngAfter := int64(math.MaxInt64)
	if grace > 0 {
		youngAfter = now.Add(-grace).UnixNano()
	}
	return &graph{
		youngAfter:  youngAfter,
		ownSince:    math.MaxInt64,
		motionAfter: now.Add(-motion).UnixNano(),
		recent:      map[string]int64{},
		reserved:    map[string]int{},
		pastID:      map[layout.Digest]uint32{},
		foreign:     map[layout.Digest]uint32{},
		names:       map[uint32]string{},
		late:        map[uint32]int64{},
		verified:    map[uint32]walker.Hashed{},
		restored:    map[uint32]bool{},
		repoID:      map[string]uint32{},
		why:         map[uint32]error{},
		faulty:      map[string]bool{},
		changed:     map[spot]bool{},
		unsure:      map[spot]bool{},
		settled:     map[spot]bool{},
		carriers:    map[uint32]bool{},
		inline:      map[uint32]string{},
		healing:     healing{heals: map[uint32]*heal{}, unable: map[uint32]string{}, stated: map[uint32]int64{}},
	}
}

// Blobs takes in listed blobs; all of them before the first link.
func (g *graph) Blobs(blobs []walker.Blob) error {
	for _, b := range blobs {
		if b.Other != "" {
			g.others = append(g.others, other{strings.Clone(b.Other), seconds(b.Modified), b.Archived, b.Size})
			continue
		}
		g.add(record{b.Digest, seconds(b.Modified), b.Archived, b.Size})
	}
	return nil
}

// sealBlobs gives out the ids. The blobs' youth is noted by id.
func (g *graph) sealBlobs() error {
	for i, name := range g.seal() {
		id := g.first[256] + uint32(i)
		g.foreign[layout.Sum([]byte(name))], g.names[id] = id, name
	}
	if g.len() >= 1<<(edgeBits-1) {
		return fmt.Errorf("%d blobs are more than one run can hold", g.len())
	}
	g.young = newBitset(g.len())
	for id, s := range g.modified {
		if newer(s, g.youngAfter) {
			g.young.add(uint32(id))
		}
	}
	return nil
}

// seconds is backend.Seconds in the 32 bits that these need.
func seconds(ns int64) uint32 { return uint32(backend.Seconds(ns)) }

// newer reports whether a time in seconds, as seconds has made it, is after one in
// nanoseconds. The last of the seconds stands for all that come after it, and is
// newer than anything but the end of time, by which nothing is.
func newer(s uint32, ns int64) bool {
	if s == math.MaxUint32 {
		return ns < math.MaxInt64
	}
	return int64(s)*1e9 > ns
}

// idOf returns d's id, a new one if no blob was listed under it.
func (g *graph) idOf(d layout.Digest) uint32 {
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

// knownID returns d's id, none if nothing speaks of it.
func (g *graph) knownID(d layout.Digest) uint32 {
	if id, ok := g.find(d); ok {
		return id
	}
	if id, ok := g.pastID[d]; ok {
		return id
	}
	return none
}

// idOfName returns the id of a digest by another algorithm than sha256.
func (g *graph) idOfName(name string) uint32 {
	key := layout.Sum([]byte(name))
	id, ok := g.foreign[key]
	if !ok {
		id = g.newID(layout.Digest{})
		g.foreign[key] = id
		g.names[id] = strings.Clone(name)
	}
	return id
}

func (g *graph) newID(d layout.Digest) uint32 {
	g.past = append(g.past, d)
	return uint32(g.len() + len(g.past) - 1)
}

// idOfRef returns the id of what a manifest refers to.
func (g *graph) idOfRef(r manifest.Ref) uint32 {
	return g.idOfAny(layout.AnyDigest{Digest: r.Digest, Other: r.Other})
}

// idOfAny is idOf for a digest by any algorithm.
func (g *graph) idOfAny(d layout.AnyDigest) uint32 {
	if d.Other != "" {
		return g.idOfName(d.Other)
	}
	return g.idOf(d.Digest)
}

// knownIDOf is knownID for the text of a digest by any algorithm.
func (g *graph) knownIDOf(text string) uint32 {
	d, ok := layout.ParseAnyDigest(text)
	if !ok {
		return none
	}
	if d.Other == "" {
		return g.knownID(d.Digest)
	}
	if id, ok := g.foreign[layout.Sum([]byte(text))]; ok {
		return id
	}
	return none
}

// digestOf returns the digest of any id; zero for another algorithm's.
func (g *graph) digestOf(id uint32) layout.Digest {
	if int(id) < g.len() {
		return g.digest(id)
	}
	return g.past[int(id)-g.len()]
}

// anyOf returns the digest of any id.
func (g *graph) anyOf(id uint32) layout.AnyDigest {
	return layout.AnyDigest{Digest: g.digestOf(id), Other: g.names[id]}
}

// blobKey returns the key of the bytes of any id.
func (g *graph) blobKey(id uint32) string { return g.anyOf(id).BlobKey() }

// provable reports whether bytes can be held against the digest of the id. What
// can't be proven is present, never corrupt and never garbage.
func (g *graph) provable(id uint32) bool {
	return !g.isForeign(id) || g.anyOf(id).Provable()
}

// isForeign reports whether the id is of a digest by another algorithm.
func (g *graph) isForeign(id uint32) bool {
	_, foreign := g.names[id]
	return foreign
}

// digests returns the digests of ids. It may be called from any goroutine, also
// while new ids are given out.
func (g *graph) digests(ids []uint32) func(i int) layout.AnyDigest {
	past, names := g.past, map[uint32]string{}
	for _, id := range ids {
		if g.isForeign(id) {
			names[id] = g.names[id]
		}
	}
	return func(i int) layout.AnyDigest {
		id := ids[i]
		if int(id) < g.len() {
			return layout.AnyDigest{Digest: g.digest(id), Other: names[id]}
		}
		return layout.AnyDigest{Digest: past[int(id)-g.len()], Other: names[id]}
	}
}

// nameOf returns the digest of any id as text.
func (g *graph) nameOf(id uint32) string {
	if name, ok := g.names[id]; ok {
		return name
	}
	return g.digestOf(id).String()
}

// present reports whether a blob is stored under the id.
func (g *graph) present(id uint32) bool {
	if int(id) < g.len() {
		return true
	}
	_, ok := g.late[id]
	return ok
}

// sizeOf returns the stored bytes of a present blob.
func (g *graph) sizeOf(id uint32) int64 {
	if int(id) < g.len() {
		return g.sizes[id]
	}
	return g.late[id]
}

// modifiedOf returns a blob's own time; zero where it wasn't listed.
func (g *graph) modifiedOf(id uint32) time.Time {
	if int(id) < g.len() {
		return timeOf(g.modified[id])
	}
	return time.Time{}
}

func timeOf(s uint32) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// edge is one reference of a manifest: a role and whether a registry reads it,
// above an id.
type edge uint32

const (
	edgeBits = 28
	edgeRead = 1 << edgeBits
)

func newEdge(r manifest.Ref, id uint32) edge {
	e := edge(uint32(r.Role)<<(edgeBits+1) | id)
	if r.Read {
		e |= edgeRead
	}
	return e
}

func (e edge) role() manifest.Role { return manifest.Role(e >> (edgeBits + 1)) }
func (e edge) id() uint32          { return uint32(e) & (1<<edgeBits - 1) }

// read reports whether a registry reads the reference itself. What is only kept for
// caution is never damage, proves nothing and has nothing rebuilt.
func (e edge) read() bool { return e&edgeRead != 0 }

// isEntry reports whether the reference is an index's, to what is or may be a
// manifest.
func (e edge) isEntry() bool { return e.role() == manifest.Child || e.role() == manifest.Either }

// node is one manifest that was read, or that could not be.
type node struct {
	id    uint32
	state walker.ManifestState
	kind  manifest.Kind
	from  uint32 // its edges: edges[from:to]
	to    uint32
}

// mismatch is a descriptor that states another size than the blob has.
type mismatch struct {
	node, id uint32
	stated   int64
}

// nodeAt returns the manifest under id, nil if none was looked for there.
func (g *graph) nodeAt(id uint32) *node {
	if int(id) >= len(g.nodeOf) || g.nodeOf[id] == 0 {
		return nil
	}
	return &g.nodes[g.nodeOf[id]-1]
}

// stateAt returns what reading the manifest under id came to.
func (g *graph) stateAt(id uint32) walker.ManifestState {
	if n := g.nodeAt(id); n != nil {
		return n.state
	}
	return walker.ManifestUnread
}

// refs returns a manifest's references.
func (g *graph) refs(n *node) []edge { return g.edges[n.from:n.to] }

// addManifest takes in what reading the manifest under id came to, in place of
// what was known of it.
func (g *graph) addManifest(id uint32, m walker.Manifest) {
	if m.State != walker.ManifestMissing && m.State != walker.ManifestUnreadable && !g.present(id) {
		g.late[id] = m.Size
	}
	g.addNode(id, m)
}

// addNode is addManifest, whether or not a blob is stored under the id.
func (g *graph) addNode(id uint32, m walker.Manifest) {
	at := g.place(id)
	n := &g.nodes[at]
	g.subjectsKnown = false
	*n = node{id: id, state: m.State, kind: m.Manifest.Kind, from: uint32(len(g.edges))}
	if m.Err != nil {
		g.why[at] = m.Err
	}
	for _, r := range m.Manifest.Refs {
		ref := g.idOfRef(r)
		g.edges = append(g.edges, newEdge(r, ref))
		if r.Read && r.Size >= 0 && int(ref) < g.len() && g.sizes[ref] != r.Size {
			g.suspects = append(g.suspects, mismatch{at, ref, r.Size})
		}
		if r.Read && r.Size >= 0 && int(ref) >= g.len() {
			if known, ok := g.stated[ref]; ok && known != r.Size {
				g.stated[ref] = -1
			} else {
				g.stated[ref] = r.Size
			}
		}
	}
	n.to = uint32(len(g.edges))
	if m.Manifest.Inline {
		g.carriers[id] = true
	}
}

// place returns the index in nodes for id.
func (g *graph) place(id uint32) uint32 {
	for int(id) >= len(g.nodeOf) {
		g.nodeOf = append(g.nodeOf, make([]uint32, max(g.len(), int(id)+1)-len(g.nodeOf))...)
	}
	if g.nodeOf[id] == 0 {
		g.nodes = append(g.nodes, node{})
		g.nodeOf[id] = uint32(len(g.nodes))
	}
	return g.nodeOf[id] - 1
}

// sortSuspects brings the suspects into an order that doesn't depend on which
// manifest was read first.
func (g *graph) sortSuspects() {
	slices.SortFunc(g.suspects, func(a, b mismatch) int {
		return cmp.Or(
			g.digestOf(g.nodes[a.node].id).Compare(g.digestOf(g.nodes[b.node].id)),
			cmp.Compare(a.id, b.id), cmp.Compare(a.stated, b.stated))
	})
}

// bitset is a set of small numbers, a bit each. It grows as needed.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) has(i uint32) bool {
	return int(i/64) < len(b) && b[i/64]&(1<<(i%64)) != 0
}

// add puts i into the set and reports whether it is new there.
func (b *bitset) add(i uint32) bool {
	for int(i/64) >= len(*b) {
		*b = append(*b, 0)
	}
	was := (*b)[i/64]
	(*b)[i/64] = was | 1<<(i%64)
	return was&(1<<(i%64)) == 0
}

func (g *graph) compareIDs(a, b uint32) int {
	if a == b {
		return 0
	}
	if a == none || b == none {
		return cmp.Compare(a+1, b+1)
	}
	return cmp.Or(g.digestOf(a).Compare(g.digestOf(b)), cmp.Compare(g.names[a], g.names[b]))
}

// linkBytes is what a link to a sha256 digest takes.
const linkBytes = 71

// bytesOfLink is what a link takes whose content is the digest of its path.
func (g *graph) bytesOfLink(id uint32) int64 {
	if name, foreign := g.names[id]; foreign {
		return int64(len(name))
	}
	return linkBytes
}

// everyBlob are the ids of all blobs that are there.
func (g *graph) everyBlob() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for id := range uint32(g.len()) {
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

// fits returns an error where there are more digests than one run can hold.
func (g *graph) fits() error {
	if n := g.len() + len(g.past); n >= 1<<edgeBits {
		return fmt.Errorf("%d digests are more than one run can hold", n)
	}
	return nil
}
