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

// Repository has the links of one repository, by ids.
type Repository struct {
	Name           string
	Layers         []LayerLink
	Revisions      []Revision     // sorted by id once sealed
	Tags           []Tag          // sorted by name once sealed
	LayerManifests []uint32       // manifests with only a layer link; sorted
	LayersUnread   []uint32       // archived blobs with only a layer link, which may be manifests; sorted
	History        []HistoryEntry // sorted by tag and id once sealed
	Aliases        []Alias
	Bad            map[Link]BadLink   // links whose content is wrong
	NamedBefore    []uint32           // targets that a recheck found replaced
	Uploads        map[string]*Upload // by upload id
	tagID          map[string]uint32  // until sealed
	Exists         bool               // it has a directory that makes it a repository
	InGrace        bool               // something of it is in grace
	Pinned         bool               // because of its name, a fault in it or a broken alias
	BadName        bool               // no registry accepts its name
	Blind          bool               // something below it could not be read
	has            Parts              // its directories with any content, links aside
	Foreign        Parts              // its directories with foreign files
}

// LayerLink is a layer link: the blob's id, and a bit that is set if the link is in grace.
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

// Tag is a tag; Target is None if its current link is missing or invalid.
type Tag struct {
	Name     string
	Target   uint32
	Modified uint32 // of current/link
	Current  bool   // current/link exists
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
	Target   uint32 // None if its content is invalid
	Modified uint32
	tarsum   string // the version in the path of a tarsum link: "v1"
}

// Link names a link of a repository.
type Link struct {
	Kind layout.Kind
	Tag  uint32 // index into tags, for TagCurrent and TagHistory
	ID   uint32 // not for TagCurrent
}

// BadLink is the wrong content of a link.
type BadLink struct {
	State  walker.LinkState
	Why    string
	Target uint32 // of a mismatched link; else None
	Body   string // the content
}

// Upload sums up an upload's files.
type Upload struct {
	Bytes    int64
	modified int64 // of the newest, nanoseconds since 1970
	emptied  int64 // of the newest directory with nothing in it, likewise
	part     int64 // of the newest multipart upload of its data, likewise
	Own      bool  // it has a file of an upload, or an unknown one
	Foreign  bool  // it has a file that isn't an upload's
}

// Newest returns the time that counts as the upload's age: of its newest file or, without
// files, of its directories.
func (u *Upload) Newest() int64 {
	if u.modified == 0 {
		return u.emptied
	}
	return u.modified
}

// Touched returns when the upload was last continued, by its files and multipart uploads.
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

// HasLink reports whether the repository has a layer link for id, or an alias.
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

// PartOf returns the own directory of its repository that a key is in; 0 for none.
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

// OwnParts returns the repository's own directories that can be removed as a whole.
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

// Without returns the names of the own directories that aren't among p.
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

// UploadBytes returns the bytes of the repository's uploads.
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

// Targets yields the targets of the tags.
func (r *Repository) Targets(yield func(id uint32) bool) {
	for i := range r.Tags {
		if to := r.Tags[i].Target; to != None && !yield(to) {
			return
		}
	}
}

// Named calls each with every id in a path or content of the repository's links.
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

// Mismatched yields the targets of mismatched links, and those that a recheck found replaced.
func (r *Repository) Mismatched(yield func(id uint32) bool) {
	for _, o := range r.Bad {
		if o.State == walker.LinkMismatch && !yield(o.Target) {
			return
		}
	}
	for _, id := range r.NamedBefore {
		if !yield(id) {
			return
		}
	}
}

// TagRef names a tag of the whole store.
type TagRef struct{ Repo, Tag uint32 }

// LinkMismatches reports whether a layer link's content differs from its path.
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

// Manifests yields the revisions and the manifests with only a layer link; times of the
// latter are only known to be in grace or not.
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

// LinkTo returns the link by which the repository has a manifest.
func (r *Repository) LinkTo(id uint32) Link {
	if r.IsLayerManifest(id) {
		return Link{Kind: layout.LayerLink, ID: id}
	}
	return Link{Kind: layout.Revision, ID: id}
}
