package check

import (
	"iter"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
)

// Totals describes the store. All are numbers of things but those in bytes.
type Totals struct {
	Repositories     int   `json:"repositories"`
	Tags             int   `json:"tags"`
	TagsBroken       int   `json:"tags_broken"`  // can't be pulled
	TagsUnknown      int   `json:"tags_unknown"` // nobody can say: something they need could not be read or understood
	TagsSchema1      int   `json:"tags_schema1"` // tags of images of schema 1, which registry 3.x answers with an error
	Revisions        int   `json:"revisions"`
	Untagged         int   `json:"untagged"` // revisions that no tag, index or kept subject leads to
	LayerLinks       int   `json:"layer_links"`
	Blobs            int   `json:"blobs"`
	Bytes            int64 `json:"bytes"`
	ReferencedBlobs  int   `json:"referenced_blobs"` // blobs that something kept needs
	ReferencedBytes  int64 `json:"referenced_bytes"`
	ReclaimableBytes int64 `json:"reclaimable_bytes"`          // what a fix under the same policy would free
	UntaggedGoing    int   `json:"untagged_reclaimable"`       // manifests that it would take besides if Untagged were its policy
	UntaggedBytes    int64 `json:"untagged_reclaimable_bytes"` // what it would free besides
	LostImages       int   `json:"-"`                          // whole images among the orphans, as far as anybody looked
	MoreLost         bool  `json:"-"`                          // there may be more
	Uploads          int   `json:"uploads"`
	CacheAbsent      int   `json:"cache_absent"` // pull-through cache: layers, children and links that are legally absent

	Prospect Prospect `json:"-"` // of the tags that can't be pulled
}

// Result is what a judgement says about a store. Its sequences may be run
// through more than once and give the same each time. Under a Removal, damage,
// totals and doubts are those of the store as it is, and garbage is what the
// removal makes, with what it takes away itself.
type Result struct {
	Complete bool // false: something is unknown, see store-unreadable
	Totals   Totals
	Counts   [finding.NumKinds]finding.Count
	Doubts   Doubts
	Broken   iter.Seq[finding.BrokenTag] // sorted by repository, then tag
	Unknown  iter.Seq[finding.BrokenTag] // the tags of TagsUnknown, sorted likewise
	Findings iter.Seq[finding.Finding]   // by kind, then path, then tag; young ones too
	Notes    []string                    // sentences about the store as a whole, for people
	Rejected []gc.Rejection              // of a Removal: what can't go; then nothing is planned
	Cache    bool                        // a pull-through cache: what is gone comes back with the next pull
	Bereft   []Bereft                    // of a Removal: signatures that stay and whose image goes, by repository and tag
	Marks    *gc.Marks                   // what of the store is kept
	Scan     *graph.Scan                 // what was judged
	Sources  []string                    // what was asked for the blobs that are missing or corrupt
	Policy   gc.Policy                   // under which it was
}

// Damaged reports whether anything of severity Error was found, or a tag that
// can't be pulled for whatever reason.
func (r *Result) Damaged() bool {
	if r.Totals.TagsBroken > 0 {
		return true
	}
	for id := range finding.Kinds {
		if id.Severity() == finding.Error && r.Counts[id].Count > 0 {
			return true
		}
	}
	return false
}
