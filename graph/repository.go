package graph

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// repo is one repository: what its links say, by ids.
type repo struct {
	name           string
	layers         []layer
	revisions      []revision // sorted by id once sealed
	tags           []tag      // sorted by name once sealed
	layerManifests []uint32   // manifests that only a layer link gives it; sorted
	layersUnread   []uint32   // archived blobs that only a layer link gives it, which may be manifests; sorted
	history        []history  // sorted by tag and id once sealed
	aliases        []alias
	odd            map[place]odd      // links whose content isn't what their path says
	held           []uint32           // what links named at the first look and no longer do
	uploads        map[string]*upload // by upload id
	tagID          map[string]uint32  // until sealed
	exists         bool               // it has one of the folders that make a repository
	young          bool               // something of it is within the grace period
	pinned         bool               // by its name, a fault below it or a broken alias
	badName        bool               // no registry accepts its name
	blind          bool               // something below it could not be read
	has            parts              // its folders in which anything is, links aside
	foreign        parts              // those in which something is that is no part of the layout
}

// layer is a layer link: a blob's id, and one bit that says that the link is
// within the grace period. They are sorted once sealed.
type layer uint32

func newLayer(id uint32, young bool) layer {
	if young {
		return layer(id<<1 | 1)
	}
	return layer(id << 1)
}
func (l layer) id() uint32  { return uint32(l >> 1) }
func (l layer) young() bool { return l&1 == 1 }

// revision is a revision link.
type revision struct {
	id       uint32
	modified uint32 // seconds since 1970
}

// tag is a tag's folder; target is none while its current link names nothing.
type tag struct {
	name     string
	target   uint32
	modified uint32 // of current/link
	current  bool   // there is a current/link
	badName  bool   // no registry accepts its name
}

// history is an entry of a tag's index/.
type history struct {
	tag      uint32
	id       uint32
	modified uint32
}

// alias is a layer link under another algorithm's digest.
type alias struct {
	id       uint32 // of the digest in its path
	target   uint32 // none if its content names nothing
	modified uint32
	tarsum   string // the version in the path of a tarsum link: "v1"
}

// place names a link of a repository.
type place struct {
	kind layout.Kind
	tag  uint32 // index into tags, for TagCurrent and TagHistory
	id   uint32 // not for TagCurrent
}

// odd is what is wrong with a link's content.
type odd struct {
	state  walker.LinkState
	why    string
	target uint32 // of a mismatch; else none
	body   string // the content
}

// upload sums up an upload's files.
type upload struct {
	bytes    int64
	modified int64 // of the newest, nanoseconds since 1970
	emptied  int64 // of the newest folder with nothing in it, likewise
	part     int64 // of the newest multipart upload of its data, likewise
	own      bool  // there is something in it that is part of an upload, or unknown
	foreign  bool  // there is something in it that is no part of an upload
}

// newest is the time by which an upload's age goes: that of its files, or where
// there are none of its folders.
func (u *upload) newest() int64 {
	if u.modified == 0 {
		return u.emptied
	}
	return u.modified
}

// touched is when somebody last went on with it, as far as its files and its
// multipart uploads tell.
func (u *upload) touched() int64 { return max(u.newest(), u.part) }

// repository returns the index of the repository, a new one at first sight.
func (g *graph) repository(name string) uint32 {
	i, ok := g.repoID[name]
	if !ok {
		i = uint32(len(g.repos))
		name = strings.Clone(name)
		bad := !layout.ValidRepository(name)
		g.repos = append(g.repos, repo{name: name, pinned: bad, badName: bad})
		g.repoID[name] = i
	}
	return i
}

func (r *repo) tagNamed(name string) uint32 {
	i, ok := r.tagID[name]
	if !ok {
		if r.tagID == nil {
			r.tagID = map[string]uint32{}
		}
		i = uint32(len(r.tags))
		name = strings.Clone(name)
		bad := !layout.ValidTag(name)
		r.tags = append(r.tags, tag{name: name, target: none, badName: bad})
		r.tagID[name] = i
		r.pinned = r.pinned || bad
	}
	return i
}

// Links takes in links of one repository.
func (g *graph) Links(name string, links []walker.Link) error {
	r := &g.repos[g.repository(name)]
	r.exists = true
	for i := range links {
		g.addLink(r, &links[i])
	}
	return nil
}

func (g *graph) addLink(r *repo, l *walker.Link) {
	young := l.Modified > g.youngAfter
	r.young = r.young || young
	g.linkDates.note(seconds(l.Modified))
	if l.Kind == layout.TagCurrent || l.Kind == layout.TagHistory {
		g.addTagLink(r, l)
		return
	}
	if l.IsAlias() {
		g.addAlias(r, l)
		return
	}
	id := g.idOfPath(l)
	if young {
		g.young.add(id)
	}
	if int(id) < g.len() {
		g.pushes.note(id, seconds(l.Modified), g.modified[id])
	}
	if l.Kind == layout.Revision {
		r.revisions = append(r.revisions, revision{id, seconds(l.Modified)})
	} else {
		r.layers = append(r.layers, newLayer(id, young))
	}
	g.note(r, place{kind: l.Kind, id: id}, l)
}

// idOfPath returns the id of the digest in a link's path.
func (g *graph) idOfPath(l *walker.Link) uint32 {
	return g.idOfAny(layout.AnyDigest{Digest: l.Path, Other: l.Alias})
}

func (g *graph) addTagLink(r *repo, l *walker.Link) {
	t := r.tagNamed(l.Tag)
	p := place{kind: l.Kind, tag: t}
	if l.Kind == layout.TagHistory {
		p.id = g.idOfPath(l)
		if l.Modified > g.youngAfter {
			g.young.add(p.id)
		}
		r.history = append(r.history, history{t, p.id, seconds(l.Modified)})
		g.note(r, p, l)
		return
	}
	r.tags[t].current, r.tags[t].modified, r.tags[t].target = true, seconds(l.Modified), none
	if l.State == walker.LinkGood {
		r.tags[t].target = g.idOfAny(l.Target)
		if l.Modified > g.youngAfter {
			g.young.add(r.tags[t].target)
		}
	}
	g.note(r, p, l)
}

func (g *graph) addAlias(r *repo, l *walker.Link) {
	a := alias{id: g.idOfName(l.Alias), target: none, modified: seconds(l.Modified), tarsum: strings.Clone(l.Version)}
	if l.State == walker.LinkGood {
		a.target = g.idOfAny(l.Target)
		if l.Modified > g.youngAfter {
			g.young.add(a.target)
		}
	} else {
		r.pinned = true
	}
	r.aliases = append(r.aliases, a)
	g.note(r, place{kind: layout.LayerLink, id: a.id}, l)
}

// note keeps what is odd about a link's content, and forgets what was before.
func (g *graph) note(r *repo, p place, l *walker.Link) {
	if g.namesUnknown(l) {
		r.pinned = true
	}
	if l.State == walker.LinkArchived { // it may mean any manifest
		r.pinned, g.unreadLinks = true, true
	}
	if l.State == walker.LinkGood {
		delete(r.odd, p)
		return
	}
	if r.odd == nil {
		r.odd = map[place]odd{}
	}
	o := odd{state: l.State, why: l.Why, target: none, body: string(l.Body)}
	if l.State == walker.LinkMismatch {
		o.target = g.idOfAny(l.Target)
	}
	r.odd[p] = o
}

// namesUnknown reports whether a link names what is stored by an algorithm that
// isn't known: that may be a manifest, and nobody can say what it needs.
func (g *graph) namesUnknown(l *walker.Link) bool {
	unknown := func(d layout.AnyDigest) bool { return !d.Provable() }
	return unknown(l.Target) || !l.IsAlias() && unknown(layout.AnyDigest{Other: l.Alias})
}

// addLayer puts a link into its place among the sorted ones.
func (r *repo) addLayer(id uint32, young bool) {
	at, _ := slices.BinarySearch(r.layers, newLayer(id, false))
	if !r.hasLayer(id) {
		r.layers = slices.Insert(r.layers, at, newLayer(id, young))
	}
}

// addRevision puts a link into its place among the sorted ones.
func (r *repo) addRevision(id, modified uint32) {
	at, ok := slices.BinarySearchFunc(r.revisions, id, compareRevision)
	if !ok {
		r.revisions = slices.Insert(r.revisions, at, revision{id, modified})
	}
}

// addHistory puts an entry of a tag's history into its place among the sorted ones.
func (r *repo) addHistory(h history) {
	at, ok := slices.BinarySearchFunc(r.history, h, func(a, b history) int {
		return cmp.Or(cmp.Compare(a.tag, b.tag), cmp.Compare(a.id, b.id))
	})
	if !ok {
		r.history = slices.Insert(r.history, at, h)
	}
}

func compareRevision(v revision, id uint32) int { return cmp.Compare(v.id, id) }

// hasLayer reports whether the repository has a layer link for id.
func (r *repo) hasLayer(id uint32) bool {
	at, _ := slices.BinarySearch(r.layers, newLayer(id, false))
	return at < len(r.layers) && r.layers[at].id() == id
}

// hasRevision reports whether the repository has a revision link for id.
func (r *repo) hasRevision(id uint32) bool {
	_, ok := slices.BinarySearchFunc(r.revisions, id, compareRevision)
	return ok
}

// links reports whether the repository has a layer link for id, under whatever name.
func (r *repo) links(id uint32) bool { return r.hasLayer(id) || r.aliasOf(id) != nil }

func compareAlias(a alias, id uint32) int { return cmp.Compare(a.id, id) }

// isTarsum reports whether a digest is a tarsum, of which no bytes are stored.
func (g *graph) isTarsum(id uint32) bool { return strings.HasPrefix(g.names[id], "tarsum.") }

// aliasOf returns the alias under id, nil if there is none.
func (r *repo) aliasOf(id uint32) *alias {
	at, ok := slices.BinarySearchFunc(r.aliases, id, compareAlias)
	if !ok {
		return nil
	}
	return &r.aliases[at]
}

// sealLinks sorts the repositories and what they hold.
func (g *graph) sealLinks() {
	slices.SortFunc(g.repos, func(a, b repo) int { return cmp.Compare(a.name, b.name) })
	for i := range g.repos {
		g.repoID[g.repos[i].name] = uint32(i)
		r := &g.repos[i]
		r.seal()
		for t := range r.tags {
			if d, ok := layout.SubjectOf(r.tags[t].name); ok {
				g.idOf(d)
			}
		}
	}
}

func (r *repo) seal() {
	slices.Sort(r.layers)
	slices.Reverse(r.layers) // of a link that was listed twice the young one stays
	r.layers = slices.CompactFunc(r.layers, func(a, b layer) bool { return a.id() == b.id() })
	slices.Reverse(r.layers)
	slices.SortFunc(r.revisions, func(a, b revision) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(b.modified, a.modified))
	})
	r.revisions = slices.CompactFunc(r.revisions, func(a, b revision) bool { return a.id == b.id })
	r.sealAliases()
	r.sealTags()
	slices.SortFunc(r.history, func(a, b history) int {
		return cmp.Or(cmp.Compare(a.tag, b.tag), cmp.Compare(a.id, b.id))
	})
	r.tagID = nil
	r.layers, r.revisions, r.history = exact(r.layers), exact(r.revisions), exact(r.history)
}

// exact returns s in an array that is no larger than it need be.
func exact[T any](s []T) []T {
	if cap(s)-len(s) <= len(s)/8 {
		return s
	}
	return append(make([]T, 0, len(s)), s...)
}

// sealTags sorts the tags and renumbers what points to them.
func (r *repo) sealTags() {
	order := make([]uint32, len(r.tags))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return cmp.Compare(r.tags[a].name, r.tags[b].name) })
	number := make([]uint32, len(order))
	tags := make([]tag, len(order))
	for to, from := range order {
		number[from] = uint32(to)
		tags[to] = r.tags[from]
	}
	r.tags = tags
	for i := range r.history {
		r.history[i].tag = number[r.history[i].tag]
	}
	r.renumber(number)
}

func (r *repo) renumber(number []uint32) {
	if len(r.odd) == 0 {
		return
	}
	was := r.odd
	r.odd = make(map[place]odd, len(was))
	for p, o := range was {
		if p.kind == layout.TagCurrent || p.kind == layout.TagHistory {
			p.tag = number[p.tag]
		}
		r.odd[p] = o
	}
}

func (r *repo) sealAliases() {
	slices.SortFunc(r.aliases, func(a, b alias) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.tarsum, b.tarsum))
	})
}

// parts are some of a repository's own folders.
type parts uint8

const (
	partLayers parts = 1 << iota // in the order of partNames
	partManifests
)

// partNames are the folders' names, by their bits.
var partNames = [...]string{"_layers", "_manifests", "_uploads"}

// partOf returns the folder of its repository in which a key lies; 0 for none.
func partOf(repository, key string) parts {
	rest, ok := strings.CutPrefix(key, layout.RepositoryKey(repository)+"/")
	if !ok {
		return 0
	}
	name, _, _ := strings.Cut(rest, "/")
	if at := slices.Index(partNames[:], name); at >= 0 {
		return 1 << at
	}
	return 0
}

// goes returns the repository's folders that can be removed as a whole once
// nothing needs it.
func (r *repo) goes() parts {
	has := r.has
	if len(r.layers)+len(r.aliases) > 0 {
		has |= partLayers
	}
	if len(r.revisions) > 0 {
		has |= partManifests
	}
	return has &^ r.foreign
}

// without names the folders that aren't among the parts.
func (p parts) without() (names []string) {
	for at, name := range partNames {
		if p&(1<<at) == 0 {
			names = append(names, name)
		}
	}
	return names
}

// historyOf returns the entries of a tag's index/.
func historyOf(r *repo, t uint32) []history {
	from, _ := slices.BinarySearchFunc(r.history, t, func(h history, t uint32) int { return cmp.Compare(h.tag, t) })
	to := from
	for to < len(r.history) && r.history[to].tag == t {
		to++
	}
	return r.history[from:to]
}

// uploadBytes adds up what the repository's uploads take.
func (r *repo) uploadBytes() (sum int64) {
	for _, u := range r.uploads {
		sum += u.bytes
	}
	return sum
}

// pushed returns the time of the newest tag.
func (r *repo) pushed() time.Time {
	newest := uint32(0)
	for i := range r.tags {
		newest = max(newest, r.tags[i].modified)
	}
	return timeOf(newest)
}

// named calls each with every id that a link of the repository names, by its
// path or by its content.
func (r *repo) named(each func(id uint32)) {
	for _, l := range r.layers {
		each(l.id())
	}
	for _, v := range r.revisions {
		each(v.id)
	}
	for _, h := range r.history {
		each(h.id)
	}
	for i := range r.tags {
		if r.tags[i].target != none {
			each(r.tags[i].target)
		}
	}
	for _, a := range r.aliases {
		if a.target != none {
			each(a.target)
		}
	}
	for _, o := range r.odd {
		if o.target != none {
			each(o.target)
		}
	}
}

// tagRef names a tag of the whole store.
type tagRef struct{ repo, tag uint32 }

// linkMismatches reports whether a layer link holds another digest than its path says.
func linkMismatches(r *repo, id uint32) bool {
	o, ok := r.odd[place{kind: layout.LayerLink, id: id}]
	return ok && o.state == walker.LinkMismatch
}

// tagIndex returns the index of a tag, once the repository is sealed.
func (r *repo) tagIndex(name string) (uint32, bool) {
	at, ok := slices.BinarySearchFunc(r.tags, name, func(t tag, name string) int { return strings.Compare(t.name, name) })
	return uint32(at), ok
}
