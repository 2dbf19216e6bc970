package changes

import (
	"cmp"
	"slices"
	"strings"

	"regfsck/backend/words"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
)

// Named is a change of a plan, by the name of a tag or repository.
type Named struct {
	Name  string `json:"name"`
	What  string `json:"what"`
	Why   string `json:"why,omitempty"` // a clause, "" for none
	Bytes int64  `json:"bytes"`
}

// maxApart is the most removed tags that are listed one by one; more are summed up by
// repository, and so are those of a retention policy, which has a reason for each.
const maxApart = 1000

// noRepository is the line for blobs of no repository. It isn't a valid name of one.
const noRepository = "(blobs)"

// holder is a removed repository or tag, or the untagged manifests of a repository, with what
// only it needs.
type holder struct {
	repository, tag string
	whole           bool // the repository is removed from the catalog
	broken          bool // a tag that could not be pulled
	tags, manifests int
	uploads         int
	links           int64 // bytes of all but blobs
	bytes           int64 // bytes of removed blobs that only it needs
	roots           []string
	twin            string // of a tag: another removed tag with the same target
	image           string // of a tag: the state of its image, if no manifest is removed with it
	why             string
}

// name returns "repo" or "repo:tag".
func (h *holder) name() string {
	if h.tag == "" {
		return h.repository
	}
	return h.repository + ":" + h.tag
}

// what describes it and its content.
func (h *holder) what() string {
	var parts []string
	needs := " only it needs"
	switch {
	case h.whole:
		parts, needs = append(parts, "repository"), ""
	case h.tag != "" && h.broken:
		return "broken tag"
	case h.twin != "":
		return "another tag of " + words.Clean(h.twin)
	case h.tag != "" && (h.manifests == 0 || h.image == imageMissing):
		return cmp.Or(h.image, "tag")
	case h.tag != "" && h.bytes == 0:
		return "image; what it needs is shared"
	case h.tag != "":
		parts = append(parts, "image")
	}
	if h.tag == "" {
		if h.tags > 0 {
			parts = append(parts, words.Plural(h.tags, "tag", "tags"))
		}
		switch {
		case h.manifests > 0 && h.tags == 0 && !h.whole:
			parts = append(parts, words.Plural(h.manifests, "untagged manifest", "untagged manifests"))
		case h.manifests > 0:
			parts = append(parts, words.Plural(h.manifests, "manifest", "manifests"))
		}
		if h.uploads > 0 {
			parts = append(parts, words.Plural(h.uploads, "abandoned upload", "abandoned uploads"))
		}
		needs = ""
		if h.tags+h.manifests > 0 && !h.whole {
			needs = " only they need"
		}
	}
	if n := h.bytes + h.links; n > LinkSize*int64(h.tags+h.manifests) {
		parts = append(parts, words.Size(n)+needs)
	}
	return strings.Join(parts, ", ")
}

// holders groups the removals of a plan by tag and repository; blobs are the bytes of removed
// blobs by digest, others counts the rest.
type holders struct {
	p       *Of
	all     []*holder
	at      map[string]*holder
	first   map[string]*holder // by repository and digest: the first with a tag on it
	apart   bool               // each tag has a line
	loose   []*plan.Step
	blobs   map[string]int64
	removed map[string]bool // the digests of all removed blobs
	bad     Named           // corrupt blobs that are moved away
	others  map[finding.Kind]int
}

func (p *Of) holders() *holders {
	h := &holders{p: p, at: map[string]*holder{}, first: map[string]*holder{}, blobs: map[string]int64{}, removed: map[string]bool{}, others: map[finding.Kind]int{}}
	h.apart = !p.Retention && p.Plan.Totals().Tags <= maxApart
	alone := p.tagsByRepository()
	corrupt := 0
	for i := range p.Plan.Steps {
		s := &p.Plan.Steps[i]
		switch {
		case s.Op == plan.Write:
		case s.Finding.TakesRepository():
			o := h.of(s.Repository, "")
			o.whole, o.why = true, s.Reason
			h.add(o, s)
		case s.Kind == plan.Blob && s.Corrupt:
			corrupt++
			h.bad.Bytes += s.Bytes
			h.removed[s.Digest] = true
		case s.Kind == plan.Blob:
			h.blobs[s.Digest] = s.Bytes
			h.removed[s.Digest] = true
		case s.Kind.IsTag():
			tag := s.Tag
			if !h.apart || p.Result.Scan == nil && alone[s.Repository] > 1 {
				tag = ""
			}
			o := h.of(s.Repository, tag)
			o.broken, o.why = s.Finding.Severity() != finding.Asked, s.Reason
			h.add(o, s)
		case s.Kind == plan.RevisionLink:
			h.loose = append(h.loose, s)
		case (s.Finding == finding.UploadStale || s.Op == plan.Abort) && s.Repository != "":
			o := h.of(s.Repository, "")
			o.uploads++
			o.links += s.Bytes
		case s.Kind != plan.TagHistory || s.Finding == finding.TagHistoryStale:
			h.others[s.Finding]++
		}
	}
	if corrupt > 0 {
		h.bad.Name, h.bad.What = noRepository, words.Number(corrupt)+" corrupt, "+words.Size(h.bad.Bytes)+" moved away"
	}
	h.claim()
	return h
}

// of returns the holder of a tag or repository, and adds it if it is new.
func (h *holders) of(repository, tag string) *holder {
	name := repository + ":" + tag
	if h.at[name] == nil {
		h.at[name] = &holder{repository: repository, tag: tag}
		h.all = append(h.all, h.at[name])
	}
	return h.at[name]
}

// add adds a step to a holder.
func (h *holders) add(o *holder, s *plan.Step) {
	switch {
	case s.Kind.IsTag():
		o.tags++
		if first := h.first[s.Repository+"@"+string(s.Content)]; first == nil || first == o {
			h.first[s.Repository+"@"+string(s.Content)] = o
			o.roots = append(o.roots, string(s.Content))
		} else {
			o.twin = first.tag
		}
	case s.Kind == plan.RevisionLink:
		o.manifests++
		o.roots = append(o.roots, s.Digest)
	case s.Kind == plan.Upload:
		o.links += s.Bytes
	}
}

// claim assigns each removed manifest, and each removed blob that only one holder needs, to
// its holder.
func (h *holders) claim() {
	if h.p.Result.Scan == nil {
		h.claimByLinks()
		return
	}
	fell := map[string]*holder{} // by repository and digest of each loose manifest: its holder, nil until it has one
	for _, s := range h.loose {
		fell[s.Repository+"@"+s.Digest] = nil
	}
	owner := map[string]*holder{}
	several := &holder{}
	take := func(o *holder, digest string) {
		if _, removed := h.blobs[digest]; !removed || owner[digest] == o {
			return
		}
		if owner[digest] != nil {
			o = several
		}
		owner[digest] = o
	}
	g := h.p.Result.Scan.Graph
	reach := func(o *holder) {
		at, ok := g.RepoID[o.repository]
		if !ok {
			return
		}
		r := &g.Repos[at]
		var roots []uint32
		for _, d := range o.roots {
			if id := g.KnownIDOf(d); id != graph.None {
				roots = append(roots, id)
			}
		}
		for id := range graph.ReachableFrom(g, r, roots) {
			digest := g.NameOf(id)
			name := o.repository + "@" + digest
			if holder, loose := fell[name]; loose && holder == nil && !o.whole {
				fell[name] = o
				o.manifests++
			}
			take(o, digest)
			for _, to := range g.In(r, id).Needs {
				take(o, g.NameOf(to))
			}
		}
	}
	for _, o := range h.all {
		reach(o)
	}
	for _, o := range h.all {
		if o.tag != "" && len(o.roots) > 0 {
			to, removed := fell[o.repository+"@"+o.roots[0]]
			o.image = imageOf(g, o, to, removed || h.removed[o.roots[0]])
		}
	}
	var rest []*holder
	for _, s := range h.loose {
		if fell[s.Repository+"@"+s.Digest] != nil {
			continue
		}
		o := h.of(s.Repository, "")
		o.manifests++
		o.roots = append(o.roots, s.Digest)
		if !slices.Contains(rest, o) {
			rest = append(rest, o)
		}
	}
	clear(fell)
	for _, o := range rest {
		reach(o)
	}
	for digest, o := range owner {
		if o != several {
			o.bytes += h.blobs[digest]
			delete(h.blobs, digest)
		}
	}
}

// tagsByRepository counts the removed tags.
func (p *Of) tagsByRepository() map[string]int {
	n := map[string]int{}
	for i := range p.Plan.Steps {
		if s := &p.Plan.Steps[i]; s.Op != plan.Write && s.Kind.IsTag() {
			n[s.Repository]++
		}
	}
	return n
}

// claimByLinks is claim from the steps alone, without a scan: a blob whose removed links are
// all in one repository is that repository's, which has one holder then.
func (h *holders) claimByLinks() {
	of := map[string]*holder{} // by repository
	for _, o := range h.all {
		if of[o.repository] == nil || o.whole {
			of[o.repository] = o
		}
	}
	for _, s := range h.loose {
		if of[s.Repository] == nil {
			of[s.Repository] = h.of(s.Repository, "")
		}
		of[s.Repository].manifests++
	}
	owner := map[string]*holder{}
	several := &holder{}
	for i := range h.p.Plan.Steps {
		s := &h.p.Plan.Steps[i]
		if s.Op != plan.Remove || s.Kind != plan.LayerLink && s.Kind != plan.RevisionLink {
			continue
		}
		o, linked := of[s.Repository], owner[s.Digest]
		if o == nil || linked != nil && linked != o {
			o = several
		}
		owner[s.Digest] = o
	}
	for digest, bytes := range h.blobs {
		if o := owner[digest]; o != nil && o != several {
			o.bytes += bytes
			delete(h.blobs, digest)
		}
	}
}

const imageMissing = "tag; its image is missing"

// imageOf describes the state of a removed tag's manifest that isn't removed with that tag:
// to is what it is removed with, nil if unknown.
func imageOf(g *graph.Graph, o, to *holder, removed bool) string {
	id := g.KnownIDOf(o.roots[0])
	at, known := g.RepoID[o.repository]
	switch {
	case known && !g.Blind() && (id == graph.None || !g.Present(id) || !removed && !g.Repos[at].Serves(id)):
		return imageMissing
	case to != nil && to != o:
		return "image, removed with " + words.Clean(to.name())
	case removed:
		return "image"
	case g.Blind() || !known:
		return "tag"
	}
	return "tag; its image is kept"
}

// Removals returns what the plan removes by name, largest first, then the rest.
func (p *Of) Removals() []Named {
	h := p.holders()
	var all []Named
	for _, o := range h.all {
		n := Named{Name: o.name(), What: o.what(), Bytes: o.bytes + o.links}
		if p.Policy.Removal != nil && !p.Retention {
			n.Why = o.why
		}
		all = append(all, n)
	}
	var bytes int64
	for _, n := range h.blobs {
		bytes += n
	}
	if n := len(h.blobs); n > 0 {
		all = append(all, Named{Name: noRepository, What: words.Number(n) + " unused, " + words.Size(bytes), Bytes: bytes})
	}
	slices.SortStableFunc(all, func(a, b Named) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Name, b.Name))
	})
	if h.bad.Name != "" {
		all = append(all, h.bad)
	}
	var others []string
	for k := range finding.All {
		if n := h.others[k]; n > 0 {
			name, ok := partNames[k]
			if !ok {
				name = [2]string{k.String(), k.String()}
			}
			others = append(others, words.Plural(n, name[0], name[1]))
		}
	}
	if len(others) > 0 {
		all = append(all, Named{Name: "other files", What: strings.Join(others, ", ")})
	}
	return all
}

// partNames name a file that is removed for a kind of finding, and several.
var partNames = map[finding.Kind][2]string{
	finding.LayerLinkUnreferenced: {"unused layer link", "unused layer links"},
	finding.LayerLinkDangling:     {"layer link to a missing blob", "layer links to missing blobs"},
	finding.TagHistoryStale:       {"stale entry of a tag's history", "stale entries of tags' histories"},
	finding.TmpStale:              {"temporary file", "temporary files"},
	finding.DirectoryEmpty:        {"empty directory", "empty directories"},
	finding.SignatureLegacy:       {"schema 1 signature", "schema 1 signatures"},
	finding.MultipartStale:        {"unfinished multipart upload", "unfinished multipart uploads"},
	finding.CatalogMarker:         {"directory marker", "directory markers"},
}

// Repairs returns the tags that the plan repairs, each with what is written, and then other
// writes.
func (p *Of) Repairs() (all []Named) {
	type key struct {
		kind finding.Kind
		key  string
	}
	writes := map[key]*plan.Step{}
	for i := range p.Plan.Steps {
		if s := &p.Plan.Steps[i]; s.Op == plan.Write {
			writes[key{s.Finding, s.Key}] = s
		}
	}
	if len(writes) == 0 {
		return nil
	}
	used := map[*plan.Step]bool{}
	for b := range p.Result.Broken {
		if b.Outlook != finding.Mended && b.Outlook != finding.MendedByCopy {
			continue
		}
		var steps []*plan.Step
		for _, why := range b.Because {
			id, path, _ := strings.Cut(why, " ")
			kind, _ := finding.Parse(id)
			for _, path := range []string{path, path + "/current/link"} {
				if s := writes[key{kind, path}]; s != nil {
					steps, used[s] = append(steps, s), true
				}
			}
		}
		what := "pulls again"
		if len(steps) > 0 {
			what += " (" + writing(steps) + ")"
		}
		all = append(all, Named{Name: b.Ref(), What: what})
	}
	rest := map[string][]*plan.Step{}
	for i := range p.Plan.Steps {
		switch s := &p.Plan.Steps[i]; {
		case s.Op != plan.Write || used[s]:
		case s.Kind == plan.FoundTag && s.Finding == finding.TagFromSource:
			all = append(all, Named{Name: s.Repository + ":" + s.Tag, What: "is restored from the source"})
		case s.Finding == finding.TagFromSource && s.Tag != "":
		case s.Kind == plan.FoundTag:
			all = append(all, Named{Name: s.Repository + ":" + s.Tag, What: "lost image, gets this tag"})
		case s.Kind == plan.FoundHistory || s.Finding == finding.ManifestLost:
		default:
			name := cmp.Or(s.Repository, noRepository)
			rest[name] = append(rest[name], s)
		}
	}
	for name, steps := range rest {
		all = append(all, Named{Name: name, What: writing(steps)})
	}
	slices.SortStableFunc(all, func(a, b Named) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// writing describes what steps write.
func writing(steps []*plan.Step) string {
	links, rebuilt, copied, bytes := 0, 0, 0, int64(0)
	for _, s := range steps {
		switch s.Kind {
		case plan.HealedBlob:
			copied++
			bytes += s.Bytes
		case plan.RebuiltBlob:
			rebuilt++
		default:
			links++
		}
	}
	var parts []string
	if links > 0 {
		parts = append(parts, words.Plural(links, "link", "links")+" rebuilt")
	}
	if rebuilt > 0 {
		parts = append(parts, words.Plural(rebuilt, "blob", "blobs")+" rebuilt")
	}
	if copied > 0 {
		parts = append(parts, words.Plural(copied, "blob", "blobs")+" copied, "+words.Size(bytes))
	}
	return strings.Join(parts, ", ")
}
