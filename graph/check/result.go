package check

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/walker"
)

// Totals describes the store. Fields are numbers of objects, except those named bytes.
type Totals struct {
	Repositories        int   `json:"repositories"`
	Tags                int   `json:"tags"`
	TagsBroken          int   `json:"tags_broken"`  // can't be pulled
	TagsUnknown         int   `json:"tags_unknown"` // state unknown: something they need could not be read or parsed
	TagsSchema1         int   `json:"tags_schema1"` // of images of schema 1, which registry 3.x refuses
	Revisions           int   `json:"revisions"`
	Untagged            int   `json:"untagged"` // revisions that no tag, index or kept subject refers to
	LayerLinks          int   `json:"layer_links"`
	Blobs               int   `json:"blobs"`
	Bytes               int64 `json:"bytes"`
	ReferencedBlobs     int   `json:"referenced_blobs"` // blobs that are needed
	ReferencedBytes     int64 `json:"referenced_bytes"`
	ReclaimableBytes    int64 `json:"reclaimable_bytes"`          // that a fix under the same policy would free
	UntaggedReclaimable int   `json:"untagged_reclaimable"`       // manifests that a fix with Untagged would remove in addition
	UntaggedBytes       int64 `json:"untagged_reclaimable_bytes"` // that it would free in addition
	LostImages          int   `json:"-"`                          // complete images among the orphans that were read
	MoreLost            bool  `json:"-"`                          // there may be more
	Uploads             int   `json:"uploads"`
	SpareHeals          int   `json:"-"`            // blobs that a source has and no tag is known to need: Policy.HealAll copies them
	CacheAbsent         int   `json:"cache_absent"` // pull-through cache: layers, children and links whose absence is legal

	Prospect Prospect `json:"-"` // of the broken tags
}

// Result is the result of a check. Its sequences can be iterated more than once and don't
// change. Under a Removal, damage, totals and doubts are those of the store without it, and
// garbage is what the removal makes and removes.
type Result struct {
	Complete          bool // false if something is unknown: see store-unreadable
	Totals            Totals
	Counts            [finding.NumKinds]finding.Count
	Doubts            Doubts
	Broken            iter.Seq[finding.BrokenTag] // sorted by repository, then tag
	Unknown           iter.Seq[finding.BrokenTag] // the tags of TagsUnknown, sorted likewise
	Findings          iter.Seq[finding.Finding]   // by kind, then path, then tag; those in grace too
	Notes             []string                    // sentences about the store as a whole
	Rejected          []gc.Rejection              // of a Removal: what can't be removed; if any, there is no plan
	Cache             bool                        // a pull-through cache: the next pull fetches what is missing
	OrphanedReferrers []OrphanedReferrer          // of a Removal: kept signatures whose image is removed, by repository and tag
	Marks             *gc.Marks                   // what is kept
	Interrupted       bool                        // the check was interrupted while it hashed blobs
	Scan              *graph.Scan                 // the scan that was checked; nil of a saved report
	Sources           []string                    // that were asked for missing or corrupt blobs
	Policy            gc.Policy                   // the policy of the check
	Proofs            *graph.Proofs               // the verified blobs; nil without a ledger
	Unproven          iter.Seq[graph.Blob]        // the blobs that aren't verified although all should be; nil for none
}

// Damaged reports whether there is a finding of severity Error, or a tag that can't be
// pulled.
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

// Doubts are signs that garbage may not be garbage, because links or tags are kept in a
// database.
type Doubts struct {
	Database  string   // the mark or setting that puts the links into one; "" for none
	Linkless  int      // blobs whose links seem to be in a database; see linkless
	Tagless   []string // repositories with revisions but without tags, sorted
	Overtaken []string // repositories whose tags seem to be kept elsewhere since some day, sorted; see overtaken
}

// doubter finds the Doubts.
type doubter struct{ *checker }

func (j doubter) doubts() Doubts {
	d := Doubts{Overtaken: j.overtaken()}
	named := graph.NewBitset(j.Len() + len(j.Unlisted))
	for i := range j.Repos {
		r := &j.Repos[i]
		if len(r.Tags) == 0 && len(r.Revisions)+len(r.LayerManifests) > 0 {
			d.Tagless = append(d.Tagless, r.Name)
		}
		r.Named(func(id uint32) { named.Add(id) })
	}
	d.Linkless = j.linkless(named)
	return d
}

// linkless returns the number of blobs whose links seem to be in a database: from the day
// that GitLab's registry uses one, it writes no links, while the store keeps the old ones.
// named are the blobs with links.
//
// Blobs without links are compared with the last pushes that wrote links, not with the newest
// link. A push writes a blob and then its link, so it is recognized by a link whose blob is
// as new. A link to an older blob proves nothing: it may have been touched, restored or
// rebuilt. A push writes at least three such pairs: manifest, config and layer. So blobs
// newer than the third newest pair came after the last push with links. A crashed push leaves
// a few of these; those left by deletions are older, or mixed with pushes.
//
// If all files have the same date, because they were copied, the dates show nothing and the
// share of such blobs decides.
func (j doubter) linkless(named graph.Bitset) (n int) {
	last, dates := j.LastPushes[0].At, j.LinkDates
	lone := func(id int) bool { return !named.Has(uint32(id)) && !j.Referenced.Has(uint32(id)) }
	all := 0
	for id, modified := range j.Modified {
		dates.Note(modified)
		if lone(id) {
			all++
			if modified > last {
				n++
			}
		}
	}
	if dates.Last-dates.First < uint32(graph.PushTime/time.Second) && 10*all > 9*j.Len() {
		return all
	}
	return n
}

// head is when the newest manifest of a repository with tags was pushed, and whether no tag
// followed.
type head struct {
	repo      uint32
	pushed    uint32
	overtaken bool
}

// noteHead records the head of the current repository; led reports whether its tags lead to a
// manifest. A repository is overtaken if no tag leads to a manifest of the last push and all
// tags are older. A push writes its tag last, so a push that moved a tag isn't counted, even
// if earlier builds lost theirs.
func (j doubter) noteHead(led func(id uint32) bool) {
	if len(j.Current.Tags) == 0 || len(j.Current.Revisions) == 0 {
		return
	}
	h := head{repo: j.CurrentID, overtaken: true}
	for _, v := range j.Current.Revisions {
		h.pushed = max(h.pushed, v.Modified)
	}
	for _, t := range j.Current.Tags {
		h.overtaken = h.overtaken && t.Modified < h.pushed
	}
	for _, v := range j.Current.Revisions {
		if v.Modified == h.pushed && (led(v.ID) || j.StateAt(v.ID) != walker.ManifestGood) {
			h.overtaken = false
		}
	}
	j.heads = append(j.heads, h)
}

// few is the most repositories that may look overtaken in a store with tags in files: their
// newest tag may just have been deleted.
const few = 5

// overtaken returns the repositories whose tags seem to be in a database since some day:
// Harbor 2.15 and later write no tag links, while the store keeps the old ones. From that
// day, no push has a tag. So there must be a day since which more than few repositories were
// overtaken, at least three quarters of all with pushes. A single tag written since doesn't
// rule it out, and single repositories that lost their newest tag don't show it.
func (j doubter) overtaken() (names []string) {
	slices.SortFunc(j.heads, func(a, b head) int { return cmp.Compare(b.pushed, a.pushed) })
	n, since := 0, 0
	for i, h := range j.heads {
		if h.overtaken {
			n++
		}
		if n > few && 4*n >= 3*(i+1) {
			since = i + 1
		}
	}
	for _, h := range j.heads[:since] {
		if h.overtaken {
			names = append(names, j.Repos[h.repo].Name)
		}
	}
	slices.Sort(names)
	return names
}
