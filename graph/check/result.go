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

// Totals describes the store. All are numbers of things but those in bytes.
type Totals struct {
	Repositories        int   `json:"repositories"`
	Tags                int   `json:"tags"`
	TagsBroken          int   `json:"tags_broken"`  // can't be pulled
	TagsUnknown         int   `json:"tags_unknown"` // nobody can say: something they need could not be read or understood
	TagsSchema1         int   `json:"tags_schema1"` // tags of images of schema 1, which registry 3.x answers with an error
	Revisions           int   `json:"revisions"`
	Untagged            int   `json:"untagged"` // revisions that no tag, index or kept subject leads to
	LayerLinks          int   `json:"layer_links"`
	Blobs               int   `json:"blobs"`
	Bytes               int64 `json:"bytes"`
	ReferencedBlobs     int   `json:"referenced_blobs"` // blobs that something kept needs
	ReferencedBytes     int64 `json:"referenced_bytes"`
	ReclaimableBytes    int64 `json:"reclaimable_bytes"`          // what a fix under the same policy would free
	UntaggedReclaimable int   `json:"untagged_reclaimable"`       // manifests that it would take besides if Untagged were its policy
	UntaggedBytes       int64 `json:"untagged_reclaimable_bytes"` // what it would free besides
	LostImages          int   `json:"-"`                          // whole images among the orphans, as far as anybody looked
	MoreLost            bool  `json:"-"`                          // there may be more
	Uploads             int   `json:"uploads"`
	SpareHeals          int   `json:"-"`            // blobs that a source has and no tag is known to need: a fix copies them with Policy.HealAll
	CacheAbsent         int   `json:"cache_absent"` // pull-through cache: layers, children and links that are legally absent

	Prospect Prospect `json:"-"` // of the tags that can't be pulled
}

// Result is what a judgement says about a store. Its sequences may be run
// through more than once and give the same each time. Under a Removal, damage,
// totals and doubts are those of the store as it is, and garbage is what the
// removal makes, with what it takes away itself.
type Result struct {
	Complete          bool // false: something is unknown, see store-unreadable
	Totals            Totals
	Counts            [finding.NumKinds]finding.Count
	Doubts            Doubts
	Broken            iter.Seq[finding.BrokenTag] // sorted by repository, then tag
	Unknown           iter.Seq[finding.BrokenTag] // the tags of TagsUnknown, sorted likewise
	Findings          iter.Seq[finding.Finding]   // by kind, then path, then tag; young ones too
	Notes             []string                    // sentences about the store as a whole, for people
	Rejected          []gc.Rejection              // of a Removal: what can't be removed; then nothing is planned
	Cache             bool                        // a pull-through cache: what is gone comes back with the next pull
	OrphanedReferrers []OrphanedReferrer          // of a Removal: signatures that are kept and whose image is removed, by repository and tag
	Marks             *gc.Marks                   // what of the store is kept
	Scan              *graph.Scan                 // what was judged
	Sources           []string                    // what was asked for the blobs that are missing or corrupt
	Policy            gc.Policy                   // under which it was
	Proofs            *graph.Proofs               // which blobs are what their digests name; nil without a ledger
	Unproven          iter.Seq[graph.Blob]        // those that aren't proven where all are to be; nil for none
}

// Stopped reports whether the check was interrupted while it hashed blobs, so that not all
// of them are hashed.
func (r *Result) Stopped() bool { return r.Scan != nil && r.Scan.Stopped }

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

// Doubts are signs that what looks like garbage is none: that the store's links
// or tags are kept in a database, of which nothing here knows.
type Doubts struct {
	Database  string   // what says that the links are in one, "" for nothing: GitLab's mark, or the configuration
	Linkless  int      // blobs that look as if a database held their links; see linkless
	Tagless   []string // repositories that have revisions and no tag at all, sorted
	Overtaken []string // repositories whose tags look as if they were kept elsewhere since some day, sorted; see overtaken
}

// doubter looks for signs that what looks like garbage is none.
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

// linkless returns how many blobs look as if a database held their links: GitLab's
// registry writes none from the day on that it uses one, over a store that may have
// old ones. named are the blobs that a link names.
//
// The blobs that nothing names are compared with the last pushes that wrote links,
// and not with the newest link: a push writes a blob and then a link to it, so it is
// known by a link whose blob is as new. A link to an older blob proves nothing. It
// may have been touched or restored, or a run of regfsck has rebuilt it, with the
// time of that where a time can't be set; however many there are, none of them counts. And a single
// new pair of a blob and a link is no push, which has three at least: a manifest, a
// config and a layer. So what is newer than the third of such pairs, counted from
// the newest, came after the last push that wrote links. A push that crashed leaves
// a few of these; what deletions have left is mixed with pushes, or older.
//
// Where all files of a store carry one date, since they were copied without theirs,
// it tells nothing, and the share decides.
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

// head is when the newest manifest of a repository with tags was pushed, and
// whether no tag followed it.
type head struct {
	repo      uint32
	pushed    uint32
	overtaken bool
}

// noteHead notes the head of the repository being judged; led reports to which
// manifests its tags lead. It is overtaken where no tag leads to any manifest that was
// pushed last, and every tag is older. A push writes its tag last; so one that moved
// any tag, latest say, is no such case, however many builds lost theirs before it.
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

// few is how many repositories may be overtaken in a store whose tags are files: of
// so many the newest tag may just have been deleted.
const few = 5

// overtaken returns the repositories whose tags a database seems to hold since some
// day: Harbor from 2.15 on writes no tag, over a store whose old tags are still
// there. Since such a day nothing that was pushed anywhere has a tag. So there has to
// be a day since which more than a few repositories were overtaken, and they are
// three in four at least of those that anything was pushed to: a tag that was
// touched or written by hand since then clears nobody, and the repositories that
// lost their newest tag in a store of which most go on by tags are no sign.
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
