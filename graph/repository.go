package graph

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// Repository is one repository: what its links say, by ids.
type Repository struct {
	Name           string
	Layers         []LayerLink
	Revisions      []Revision     // sorted by id once sealed
	Tags           []Tag          // sorted by name once sealed
	LayerManifests []uint32       // manifests that only a layer link gives it; sorted
	LayersUnread   []uint32       // archived blobs that only a layer link gives it, which may be manifests; sorted
	History        []HistoryEntry // sorted by tag and id once sealed
	Aliases        []Alias
	Bad            map[Link]BadLink   // links whose content isn't what their path says
	NamedBefore    []uint32           // what links named at the first look and no longer do
	Uploads        map[string]*Upload // by upload id
	tagID          map[string]uint32  // until sealed
	Exists         bool               // it has one of the directories that make a repository
	InGrace        bool               // something of it is within the grace period
	Pinned         bool               // by its name, a fault below it or a broken alias
	BadName        bool               // no registry accepts its name
	Blind          bool               // something below it could not be read
	has            Parts              // its directories in which anything is, links aside
	Foreign        Parts              // those in which something is that is no part of the layout
}

// LayerLink is a layer link: a blob's id, and one bit that says that the link is
// within the grace period. They are sorted once sealed.
type LayerLink uint32

// NewLayerLink returns the link to a blob, and whether the link is in grace.
func NewLayerLink(id uint32, young bool) LayerLink {
	if young {
		return LayerLink(id<<1 | 1)
	}
	return LayerLink(id << 1)
}

// ID returns the id of the blob.
func (l LayerLink) ID() uint32 { return uint32(l >> 1) }

// InGrace reports whether the link is within the grace period.
func (l LayerLink) InGrace() bool { return l&1 == 1 }

// Revision is a revision link.
type Revision struct {
	ID       uint32
	Modified uint32 // seconds since 1970
}

// Tag is a tag's directory; target is none while its current link names nothing.
type Tag struct {
	Name     string
	Target   uint32
	Modified uint32 // of current/link
	Current  bool   // there is a current/link
	BadName  bool   // no registry accepts its name
}

// HistoryEntry is an entry of a tag's index/.
type HistoryEntry struct {
	Tag      uint32
	ID       uint32
	Modified uint32
}

// Alias is a layer link under another algorithm's digest.
type Alias struct {
	ID       uint32 // of the digest in its path
	Target   uint32 // none if its content names nothing
	Modified uint32
	tarsum   string // the version in the path of a tarsum link: "v1"
}

// Link names a link of a repository.
type Link struct {
	Kind layout.Kind
	Tag  uint32 // index into tags, for TagCurrent and TagHistory
	ID   uint32 // not for TagCurrent
}

// BadLink is what is wrong with a link's content.
type BadLink struct {
	State  walker.LinkState
	Why    string
	Target uint32 // of a mismatch; else none
	Body   string // the content
}

// Upload sums up an upload's files.
type Upload struct {
	Bytes    int64
	modified int64 // of the newest, nanoseconds since 1970
	emptied  int64 // of the newest directory with nothing in it, likewise
	part     int64 // of the newest multipart upload of its data, likewise
	Own      bool  // there is something in it that is part of an upload, or unknown
	Foreign  bool  // there is something in it that is no part of an upload
}

// Newest is the time that counts as an upload's age: that of its files, or where
// there are none of its directories.
func (u *Upload) Newest() int64 {
	if u.modified == 0 {
		return u.emptied
	}
	return u.modified
}

// Touched is when somebody last went on with it, as far as its files and its
// multipart uploads tell.
func (u *Upload) Touched() int64 { return max(u.Newest(), u.part) }

// CompareRevision compares a revision with an id, for a search among the sorted ones.
func CompareRevision(v Revision, id uint32) int { return cmp.Compare(v.ID, id) }

// HasLayer reports whether the repository has a layer link for id.
func (r *Repository) HasLayer(id uint32) bool {
	at, _ := slices.BinarySearch(r.Layers, NewLayerLink(id, false))
	return at < len(r.Layers) && r.Layers[at].ID() == id
}

// HasRevision reports whether the repository has a revision link for id.
func (r *Repository) HasRevision(id uint32) bool {
	_, ok := slices.BinarySearchFunc(r.Revisions, id, CompareRevision)
	return ok
}

// HasLink reports whether the repository has a layer link for id, under whatever name.
func (r *Repository) HasLink(id uint32) bool { return r.HasLayer(id) || r.AliasOf(id) != nil }

// AliasOf returns the alias under id, nil if there is none.
func (r *Repository) AliasOf(id uint32) *Alias {
	at, ok := slices.BinarySearchFunc(r.Aliases, id, func(a Alias, id uint32) int { return cmp.Compare(a.ID, id) })
	if !ok {
		return nil
	}
	return &r.Aliases[at]
}

// Parts are some of a repository's own directories.
type Parts uint8

const (
	partLayers Parts = 1 << iota // in the order of partNames
	partManifests
)

// partNames are the directories' names, by their bits.
var partNames = [...]string{"_layers", "_manifests", "_uploads"}

// PartOf returns the directory of its repository in which a key lies; 0 for none.
func PartOf(repository, key string) Parts {
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

// OwnParts returns the repository's directories that can be removed as a whole once
// nothing needs it.
func (r *Repository) OwnParts() Parts {
	has := r.has
	if len(r.Layers)+len(r.Aliases) > 0 {
		has |= partLayers
	}
	if len(r.Revisions) > 0 {
		has |= partManifests
	}
	return has &^ r.Foreign
}

// Without names the directories that aren't among the parts.
func (p Parts) Without() (names []string) {
	for at, name := range partNames {
		if p&(1<<at) == 0 {
			names = append(names, name)
		}
	}
	return names
}

// HistoryOf returns the entries of a tag's index/.
func HistoryOf(r *Repository, t uint32) []HistoryEntry {
	from, _ := slices.BinarySearchFunc(r.History, t, func(h HistoryEntry, t uint32) int { return cmp.Compare(h.Tag, t) })
	to := from
	for to < len(r.History) && r.History[to].Tag == t {
		to++
	}
	return r.History[from:to]
}

// UploadBytes adds up what the repository's uploads take.
func (r *Repository) UploadBytes() (sum int64) {
	for _, u := range r.Uploads {
		sum += u.Bytes
	}
	return sum
}

// Pushed returns the time of the newest tag.
func (r *Repository) Pushed() time.Time {
	newest := uint32(0)
	for i := range r.Tags {
		newest = max(newest, r.Tags[i].Modified)
	}
	return TimeOf(newest)
}

// Targets yields what the current links of the tags name, tag after tag.
func (r *Repository) Targets(yield func(id uint32) bool) {
	for i := range r.Tags {
		if to := r.Tags[i].Target; to != None && !yield(to) {
			return
		}
	}
}

// Named calls each with every id that a link of the repository names, by its
// path or by its content.
func (r *Repository) Named(each func(id uint32)) {
	for _, l := range r.Layers {
		each(l.ID())
	}
	for _, v := range r.Revisions {
		each(v.ID)
	}
	for _, h := range r.History {
		each(h.ID)
	}
	for id := range r.Targets {
		each(id)
	}
	for _, a := range r.Aliases {
		if a.Target != None {
			each(a.Target)
		}
	}
	for _, o := range r.Bad {
		if o.Target != None {
			each(o.Target)
		}
	}
}

// TagRef names a tag of the whole store.
type TagRef struct{ Repo, Tag uint32 }

// LinkMismatches reports whether a layer link holds another digest than its path says.
func LinkMismatches(r *Repository, id uint32) bool {
	o, ok := r.Bad[Link{Kind: layout.LayerLink, ID: id}]
	return ok && o.State == walker.LinkMismatch
}

// FindTag returns the index of a tag, once the repository is sealed.
func (r *Repository) FindTag(name string) (uint32, bool) {
	at, ok := slices.BinarySearchFunc(r.Tags, name, func(t Tag, name string) int { return strings.Compare(t.Name, name) })
	return uint32(at), ok
}

// IsLayerManifest reports whether the repository has the manifest by a layer
// link.
func (r *Repository) IsLayerManifest(id uint32) bool {
	_, ok := slices.BinarySearch(r.LayerManifests, id)
	return ok
}

// Serves reports whether the repository has a manifest, by whichever link.
func (r *Repository) Serves(id uint32) bool { return r.HasRevision(id) || r.IsLayerManifest(id) }

// Manifests are the repository's revisions, and the manifests that it has by a
// layer link, whose times nobody knows but for their youth.
func (r *Repository) Manifests() iter.Seq[Revision] {
	return func(yield func(Revision) bool) {
		for _, v := range r.Revisions {
			if !yield(v) {
				return
			}
		}
		for _, id := range r.LayerManifests {
			if !yield(Revision{ID: id}) {
				return
			}
		}
	}
}

// LinkTo returns the place of the link by which the repository has a manifest.
func (r *Repository) LinkTo(id uint32) Link {
	if r.IsLayerManifest(id) {
		return Link{Kind: layout.LayerLink, ID: id}
	}
	return Link{Kind: layout.Revision, ID: id}
}
