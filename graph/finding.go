package graph

import (
	"iter"
	"time"
)

// Severity grades a finding. It follows from the finding's ID alone.
type Severity uint8

// The severities, worst first.
const (
	Fatal   Severity = iota // something is unknown: nothing may be deleted
	Error                   // an image can't be pulled, or soon can't be
	Warning                 // odd, legal or in motion: a person should look
	Garbage                 // takes space and nothing needs it; not damage
	Asked                   // is to go because somebody asked for it; no check finds it
)

var severityNames = [...]string{"fatal", "error", "warning", "garbage", "asked"}

// String returns the severity's stable name.
func (s Severity) String() string { return severityNames[s] }

// ID names a kind of finding. Its text form is stable and never reused.
type ID uint8

// The kinds of findings, in the order in which they are reported.
const (
	StoreUnreadable ID = iota
	ManifestMissing
	ManifestCorrupt
	ManifestUnparsable
	TagTargetForeign
	TagDangling
	LinkInvalid
	LinkMismatch
	RevisionLinkMissing
	LayerLinkMissing
	BlobMissing
	BlobCorrupt
	BlobArchived
	CacheStateInvalid
	StoreChanged
	LifecycleExpiry
	TagWithoutCurrent
	IndexChildMissing
	SignatureOrphaned
	ManifestLost
	DescriptorWrong
	NameInvalid
	ForeignFile
	BlobOrphan
	LayerLinkUnreferenced
	LayerLinkDangling
	ManifestUntagged
	TagHistoryStale
	RepoEmpty
	CatalogMarker
	UploadStale
	MultipartStale
	TmpStale
	FolderEmpty
	SignatureLegacy

	// NumIDs is how many kinds a check can find.
	NumIDs
)

// What a Removal names and takes along, and what is withdrawn on request. Nothing
// of it is found by a check.
const (
	RepositoryRemoved ID = NumIDs + iota // a whole repository, with all that is in it
	TagRemoved                           // a tag that is named
	TagUnneeded                          // a tag sha256-<hex>… whose subject goes
	ManifestRemoved                      // a manifest that is named
	ManifestUnneeded                     // one that nothing leads to then
	TagWithdrawn                         // a tag whose image can't be pulled, so that every client pushes it whole
	ManifestWithdrawn                    // likewise the manifest

	// NumReasons is how many reasons a change can have.
	NumReasons
)

var ids = [NumReasons]struct {
	name     string
	severity Severity
}{
	StoreUnreadable:       {"store-unreadable", Fatal},
	ManifestMissing:       {"manifest-missing", Error},
	ManifestCorrupt:       {"manifest-corrupt", Error},
	ManifestUnparsable:    {"manifest-unparsable", Error},
	TagTargetForeign:      {"tag-target-foreign", Error},
	TagDangling:           {"tag-dangling", Error},
	LinkInvalid:           {"link-invalid", Error},
	LinkMismatch:          {"link-mismatch", Error},
	RevisionLinkMissing:   {"revision-link-missing", Error},
	LayerLinkMissing:      {"layer-link-missing", Error},
	BlobMissing:           {"blob-missing", Error},
	BlobCorrupt:           {"blob-corrupt", Error},
	BlobArchived:          {"blob-archived", Error},
	CacheStateInvalid:     {"cache-state-invalid", Error},
	StoreChanged:          {"store-changed", Warning},
	LifecycleExpiry:       {"lifecycle-expiry", Warning},
	TagWithoutCurrent:     {"tag-without-current", Warning},
	IndexChildMissing:     {"index-child-missing", Warning},
	SignatureOrphaned:     {"signature-orphaned", Warning},
	ManifestLost:          {"manifest-lost", Warning},
	DescriptorWrong:       {"descriptor-wrong", Warning},
	NameInvalid:           {"name-invalid", Warning},
	ForeignFile:           {"foreign-file", Warning},
	BlobOrphan:            {"blob-orphan", Garbage},
	LayerLinkUnreferenced: {"layer-link-unreferenced", Garbage},
	LayerLinkDangling:     {"layer-link-dangling", Garbage},
	ManifestUntagged:      {"manifest-untagged", Garbage},
	TagHistoryStale:       {"tag-history-stale", Garbage},
	RepoEmpty:             {"repo-empty", Garbage},
	CatalogMarker:         {"catalog-marker", Garbage},
	UploadStale:           {"upload-stale", Garbage},
	MultipartStale:        {"multipart-stale", Garbage},
	TmpStale:              {"tmp-stale", Garbage},
	FolderEmpty:           {"folder-empty", Garbage},
	SignatureLegacy:       {"signature-legacy", Garbage},
	RepositoryRemoved:     {"repository-removed", Asked},
	TagRemoved:            {"tag-removed", Asked},
	TagUnneeded:           {"tag-unneeded", Asked},
	ManifestRemoved:       {"manifest-removed", Asked},
	ManifestUnneeded:      {"manifest-unneeded", Asked},
	TagWithdrawn:          {"tag-withdrawn", Asked},
	ManifestWithdrawn:     {"manifest-withdrawn", Asked},
}

// String returns the id's stable, kebab-case text form.
func (id ID) String() string { return ids[id].name }

// Severity returns the id's severity.
func (id ID) Severity() Severity { return ids[id].severity }

// ParseID returns the ID whose text form is s.
func ParseID(s string) (ID, bool) {
	for id := range NumReasons {
		if ids[id].name == s {
			return id, true
		}
	}
	return 0, false
}

// Cure says what a fix would do about a finding.
type Cure string

// The cures. OnRequest marks those that need --also.
const (
	CureNone        Cure = "none"         // nothing on this disk can put it right
	CureRemove      Cure = "remove"       // removed
	CureAbort       Cure = "abort"        // given up, which nothing can take back
	CureRebuild     Cure = "rebuild"      // written anew from what the disk proves
	CureRemoveAsk   Cure = "remove-ask"   // removed on request
	CureMoveAsk     Cure = "move-ask"     // moved away on request, so that a push heals it
	CureWriteAsk    Cure = "write-ask"    // a link is written on request
	CureWithdrawAsk Cure = "withdraw-ask" // the images that need it are withdrawn on request, so that every client pushes them whole
)

// Asks reports whether it is done only on request.
func (c Cure) Asks() bool {
	return c == CureRemoveAsk || c == CureMoveAsk || c == CureWriteAsk || c == CureWithdrawAsk
}

// Finding is one thing that a check found. Strings are as they stand in the
// store: whoever prints them escapes control characters.
type Finding struct {
	ID           ID
	Path         string // key below the root; a folder without a trailing slash
	Repository   string // "" where the thing belongs to no single repository
	Tag          string // "" likewise
	Digest       string // "sha256:…", or ""
	Bytes        int64  // what the thing takes in the store
	Modified     time.Time
	Detail       string   // one clause of plain words, "" where the id says all
	Affects      []string // the first tags ("repo:tag") that can't be pulled because of it, by repository and tag
	AffectsCount int      // how many there are in all
	Cure         Cure
	Link         *Link    // of a finding about a link or a tag: what a fix goes by; else nil
	Found        []Link   // of a lost image: all links that it gets, those of its tag last; none where it gets no tag
	Blob         *Blob    // of a blob that is written anew: what a fix goes by; else nil
	Upload       string   // of multipart-stale: the multipart upload's id, which may be any text; Modified is when it began
	Folders      []string // of repo-empty and a repository that is removed: its folders that go, such as "_layers"; not those with something foreign in them
	Young        bool     // garbage within the grace period: counted, not listed in text, kept by a fix
	Withdrawn    bool     // every image that needs it is withdrawn, as was asked for
}

// Link is what a fix goes by at a link.
type Link struct {
	Stored  string    // the bytes that stand there; "" for none
	Wanted  string    // the bytes that it should have, "" where nobody can say
	Time    time.Time // that a rebuilt link is to have; zero where nothing tells
	History []Link    // of a tag: the entries of its history, which go with it
	Path    string    // of an entry of History, and of a lost image's link
	Present bool      // there is a file, empty perhaps
}

// Blob is what a fix goes by that writes a blob anew.
type Blob struct {
	Body    string    // its bytes, which hash to its digest
	Present bool      // there is a file, with other bytes
	Time    time.Time // that it is to have: that of what stands there, or else of a manifest that needs it
}

// MaxAffects is how many tags Finding.Affects names at most.
const MaxAffects = 10

// BrokenTag is a tag that can't be pulled, and why; or one of which nobody can say
// whether it can be, and what that depends on.
type BrokenTag struct {
	Repository, Tag string

	// Because are findings and their keys, "blob-missing docker/registry/v2/…", sorted;
	// at most MaxAffects, and as many of what could not be judged: "store-unreadable …",
	// and "changed …" where a key was written or removed meanwhile.
	Because []string
}

// Ref returns the tag's usual notation, "repo:tag".
func (b BrokenTag) Ref() string { return b.Repository + ":" + b.Tag }

// Count sums up the findings of one id.
type Count struct {
	Count int   // without the young
	Bytes int64 // without the young
	Young int   // garbage within the grace period: kept
}

// Totals describes the store. All are numbers of things but those in bytes.
type Totals struct {
	Repositories     int
	Tags             int
	TagsBroken       int // can't be pulled
	TagsUnknown      int // nobody can say: something they need could not be read or understood
	TagsSchema1      int // tags of images of schema 1, which registry 3.x answers with an error
	Revisions        int
	Untagged         int // revisions that no tag, index or kept subject leads to
	LayerLinks       int
	Blobs            int
	Bytes            int64
	ReferencedBlobs  int // blobs that something kept needs
	ReferencedBytes  int64
	ReclaimableBytes int64 // what a fix under the same policy would free
	UntaggedGoing    int   // manifests that it would take besides if Untagged were its policy
	UntaggedBytes    int64 // what it would free besides
	LostImages       int   // whole images among the orphans, as far as anybody looked
	MoreLost         bool  // there may be more
	Uploads          int
	CacheAbsent      int // pull-through cache: layers, children and links that are legally absent
}

// Result is what a judgement says about a store. Its sequences may be run
// through more than once and give the same each time. Under a Removal, damage,
// totals and doubts are those of the store as it is, and garbage is what the
// removal makes, with what it takes away itself.
type Result struct {
	Complete bool // false: something is unknown, see store-unreadable
	Totals   Totals
	Counts   [NumIDs]Count
	Doubts   Doubts
	Broken   iter.Seq[BrokenTag] // sorted by repository, then tag
	Unknown  iter.Seq[BrokenTag] // the tags of TagsUnknown, sorted likewise
	Findings iter.Seq[Finding]   // by id, then path, then tag; young ones too
	Notes    []string            // sentences about the store as a whole, for people
	Denied   []Denial            // of a Removal: what can't go; then nothing is planned
	Cache    bool                // a pull-through cache: what is gone comes back with the next pull
	Bereft   []Bereft            // of a Removal: signatures that stay and whose image goes, by repository and tag
	Usage    *Usage              // who uses how much; nil unless the policy asked for it
	Scan     *Scan               // what was judged
}

// Damaged reports whether anything of severity Error was found, or a tag that
// can't be pulled for whatever reason.
func (r *Result) Damaged() bool {
	if r.Totals.TagsBroken > 0 {
		return true
	}
	for id := range NumIDs {
		if id.Severity() == Error && r.Counts[id].Count > 0 {
			return true
		}
	}
	return false
}
