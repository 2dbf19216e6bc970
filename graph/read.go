package graph

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"slices"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/cache"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// Options say how a store is read and judged.
type Options struct {
	Workers          int           // files read at once; 0 for the default
	Grace            time.Duration // garbage younger than this is counted apart
	UploadsOlderThan time.Duration // uploads that nobody wrote to for so long are stale
	Now              time.Time
	Thorough         bool                  // look beside blobs and links
	Cache            bool                  // a pull-through cache: layers may be absent
	Database         string                // what says that the registry keeps its links in a database, besides a mark in the store; "" for nothing
	UnlessMarked     bool                  // Database holds only where no mark says that the store's links are files
	OwnSince         time.Time             // folders emptied since were emptied by regfsck itself, whose run was broken off; zero for none
	Removed          func(key string) bool // keys that were removed not long ago, which the listing may name all the same; nil for none
	Verify           Verify
	Again            bool         // the links will be listed again: see Scan.Same
	Known            *cache.Cache // manifests that were read before; nil for none
	Progress         Progress     // nil for none
	Lost             int          // how many orphans are read at most to count the whole images among them; 0 counts none

	// Wait waits for what is in motion, so that it can be judged. It is called once
	// at most; an error of it ends the check. nil judges at once, and says of what is
	// in motion that nobody knows.
	Wait func(context.Context, Motion) error

	Policy // how a Check judges

	// Choose is called by a Check once the store is read, and says what is to go:
	// the Policy's Removal. An error of it is the Check's, as it is. nil leaves the
	// Policy alone.
	Choose func(*Scan) (*Removal, error)
}

// Policy says what is to be kept, and what is to be done. The zero Policy keeps
// every manifest, and does all that needs no request.
type Policy struct {
	Untagged bool                   // revisions that no tag leads to are garbage
	Left     [finding.NumKinds]bool // findings that nothing is to be done about: what they would remove is kept
	Also     [finding.NumKinds]bool // findings whose cure needs a request, and has it
	Keep     map[string]bool        // keys that are to stay, whatever they are: each is a root; and multipart uploads, as plan.FullKey names them
	Removal  *Removal               // what is to go, whatever refers to it; nil for nothing
	Usage    bool                   // sum up who uses how much: see Result.Usage
}

// Leaves reports whether nothing is to be done about a kind of finding. What
// somebody asked for is never left.
func (p *Policy) Leaves(id finding.Kind) bool { return id < finding.NumKinds && p.Left[id] }

// Cures reports whether a cure that needs a request has it.
func (p *Policy) Cures(id finding.Kind) bool { return id < finding.NumKinds && p.Also[id] }

// Verify says whose bytes are hashed besides those of all manifests.
type Verify struct {
	All     bool
	Percent float64 // of the blobs, the same ones each time
}

// Progress is told how far a check is. Calls may come at once from several
// goroutines.
type Progress interface {
	Phase(name string)          // a new phase begins
	Total(n int64, unit string) // how much there is to do in it; "bytes" or a plural of things
	Add(n int64)                // so much more is done
}

// Phase is a phase that has ended.
type Phase struct {
	Name     string
	Count    int64
	Unit     string
	Duration time.Duration
}

// maxRounds bounds how often a check looks again at what it saw change.
const maxRounds = 3

// Scan is a store that has been read, and can be judged under any policy.
type Scan struct {
	Options
	w      *walker.Walker
	g      *graph
	phases []Phase
	under  string    // the phase under way
	unit   string    // of what it goes through, "" before that is known
	extent int64     // how much it goes through, as far as is known
	opened time.Time // when the first phase began
	waited bool      // for what was in motion
	began  time.Time
	count  int64       // of the phase under way
	links  fingerprint // of the listing of links
	inDB   string      // what says that the registry keeps its links in a database, "" for nothing

	unseen   error // why nobody knows what stands above the store's own directories
	unlisted error // why multipart uploads could not be listed
	unruled  error // why nobody knows of the store's own rules

	lost       *lostImages   // those that the last judgement went by; nil for none
	untagged   *judgement    // what a fix would make of manifests without a tag; nil until it is asked
	untaggedGo map[spot]bool // the revisions that go by it
}

// Check reads a store and judges it. It changes nothing. An error means that
// nothing can be said: the listing can't be trusted, or ctx has ended. The
// phases that have ended are returned in any case.
func Check(ctx context.Context, r backend.Reader, o Options) (*Result, []Phase, error) {
	s, err := Read(ctx, r, o)
	if err != nil {
		return nil, s.phases, err
	}
	if err := s.readRules(ctx); err != nil {
		return nil, s.phases, err
	}
	if o.Choose != nil {
		if s.Policy.Removal, err = o.Choose(s); err != nil {
			return nil, s.phases, err
		}
	}
	result, err := s.Judge(ctx, s.Policy)
	if err == nil {
		s.weighUntagged(result)
	}
	return result, s.phases, err
}

// Phases are those that have ended so far.
func (c *Scan) Phases() []Phase { return c.phases }

// Read reads a store: all blobs, then all links, then the manifests they name.
// The scan is returned with an error too, for its phases.
func Read(ctx context.Context, r backend.Reader, o Options) (*Scan, error) {
	c := &Scan{
		Options: o,
		w:       &walker.Walker{Reader: r, Workers: o.Workers, Thorough: o.Thorough, Removed: o.Removed, Cache: o.Known},
		g:       newGraph(o.Now, o.Grace),
		opened:  time.Now(),
	}
	c.links.seed = maphash.MakeSeed()
	if !o.OwnSince.IsZero() {
		c.g.ownSince = o.OwnSince.UnixNano()
	}
	steps := []struct {
		name, unit string
		do         func(context.Context) error
	}{
		{"blobs", "blobs", c.listBlobs},
		{"links", "links", c.listLinks},
		{"manifests", "manifests", c.readManifests},
		{"verify", "bytes", c.verify},
	}
	for _, s := range steps {
		if err := c.phase(ctx, s.name, s.unit, s.do); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Judge judges the store, and looks again at every key that seems to be absent
// or broken. It can be called more than once.
func (c *Scan) Judge(ctx context.Context, p Policy) (*Result, error) {
	var j *judgement
	err := c.phase(ctx, "judge", "problems", func(ctx context.Context) (err error) {
		j, err = c.judge(ctx, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	result := j.result(c.notes(j.judged()[0]))
	j.release()
	result.Scan, result.Cache, result.Doubts.Database = c, c.Cache, c.inDB
	return result, nil
}

// phase carries one phase out and notes what it came to.
func (c *Scan) phase(ctx context.Context, name, unit string, do func(context.Context) error) error {
	c.began, c.count = time.Now(), 0
	c.under, c.unit, c.extent = name, "", 0
	if c.Progress != nil {
		c.Progress.Phase(name)
	}
	err := do(ctx)
	if c.count > 0 || name != "verify" {
		c.phases = append(c.phases, Phase{name, c.count, unit, time.Since(c.began)})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// more says that the phase goes through n more than was known before; below 0:
// nobody knows how many. Where it turns to things of another unit, counting
// begins anew.
func (c *Scan) more(n int64, unit string) {
	if c.Progress == nil {
		return
	}
	if c.unit != unit && c.unit != "" {
		c.Progress.Phase(c.under)
		c.extent = 0
	}
	c.unit, c.extent = unit, c.extent+n
	c.Progress.Total(c.extent, unit)
}

func (c *Scan) add(n int64) {
	c.count += n
	c.show(n)
}

// show moves the progress on; from any goroutine.
func (c *Scan) show(n int64) {
	if c.Progress != nil {
		c.Progress.Add(n)
	}
}

// policyOf adds to a policy what the store itself asks for.
func (c *Scan) policyOf(asked Policy) judging {
	return judging{
		policy:       policy{Policy: asked, cache: c.Cache, noOrphans: c.inDB != ""},
		uploadsAfter: c.Now.Add(-c.UploadsOlderThan).UnixNano(),
	}
}

// judge judges the graph, looks again at all that seems to be absent or
// broken, and judges once more where the store has changed, a few times.
func (c *Scan) judge(ctx context.Context, asked Policy) (*judgement, error) {
	p := c.policyOf(asked)
	look := looker{g: c.g, w: c.w}
	for round := 1; ; round++ {
		if n := c.g.len() + len(c.g.past); n >= 1<<edgeBits {
			return nil, fmt.Errorf("%d digests are more than one run can hold", n)
		}
		j := c.g.judge(p)
		c.count = int64(len(j.problems))
		look.pending = c.patience()
		amended, err := look.settle(ctx, j, round > maxRounds)
		if err != nil {
			return j, err
		}
		if amended {
			c.lost, p.lost = nil, nil
		}
		if !amended {
			switch found, err := c.readInline(ctx, j); {
			case err != nil:
				return j, err
			case found:
				round--
				continue
			}
			if p.lost == nil && c.seeksLost(j) {
				lost, read, err := c.findLost(ctx, j)
				if err != nil {
					return j, err
				}
				c.lost, p.lost = lost, lost
				if read || j.Also[finding.ManifestLost] { // then judge anew, by that
					round--
					continue
				}
				j.countLost(lost)
			}
			waited, err := c.wait(ctx, look.pending)
			if err != nil || !waited {
				return j, err
			}
			round = 0
			continue
		}
		if round > maxRounds {
			return c.g.judge(p), nil
		}
		if err := c.readManifests(ctx); err != nil {
			return nil, err
		}
		if err := c.verify(ctx); err != nil {
			return nil, err
		}
	}
}

// notes are sentences about the store as a whole.
func (c *Scan) notes(j *judgement) []string {
	var notes []string
	if c.inDB != "" {
		notes = append(notes, "This registry keeps its links in a database, says "+c.inDB+": nothing here can tell which blobs are garbage, so none is called that.")
	}
	if c.Cache {
		notes = append(notes, "This is a pull-through cache: what it hasn't fetched yet is no damage.")
	}
	if j.totals.Repositories == 0 && j.totals.Blobs > 0 && !j.blind() {
		notes = append(notes, "There are blobs and no repository: is this the whole store? A disk that isn't mounted looks like this.")
	}
	if c.unlisted != nil {
		notes = append(notes, "Unfinished multipart uploads could not be listed, so none is reported: "+c.unlisted.Error())
	}
	if c.unseen != nil {
		notes = append(notes, "What may stand beside the store's own directories could not be listed: "+c.unseen.Error())
	}
	if c.unruled != nil {
		notes = append(notes, "Whether a rule of the bucket removes what the registry needs isn't known: "+c.unruled.Error())
	}
	if n := j.totals.TagsSchema1; n > 0 {
		const named = 3
		var refs []string
		for _, ref := range j.schema1[:min(n, named)] {
			r := &j.repos[ref.repo]
			refs = append(refs, r.name+":"+r.tags[ref.tag].name)
		}
		what := "1 tag is"
		if n > 1 {
			what = fmt.Sprint(n) + " tags are"
		}
		if n > named {
			refs = append(refs, "…")
		}
		notes = append(notes, what+" of schema 1, Docker's first image format ("+strings.Join(refs, ", ")+"): registry 2.x serves it, and 3.x can't. Push such images again with a client of today before an upgrade.")
	}
	if !c.Thorough {
		notes = append(notes, "What may stand beside a blob or a link wasn't looked for (--thorough does).")
	}
	return notes
}

// counting passes a listing on to the graph and counts it.
type counting struct {
	*graph
	c *Scan
}

func (s counting) Blobs(b []walker.Blob) error {
	s.c.add(int64(len(b)))
	return s.graph.Blobs(b)
}

func (s counting) Links(repository string, l []walker.Link) error {
	s.c.add(int64(len(l)))
	if s.c.Again {
		s.c.links.links(repository, l)
	}
	return s.graph.Links(repository, l)
}

// linkSide is counting for what the listing of links brings.
type linkSide struct{ counting }

func (s linkSide) Entry(e walker.Entry) error {
	if s.c.Again {
		s.c.links.entry(&e)
	}
	return s.graph.Entry(e)
}

func (c *Scan) listBlobs(ctx context.Context) error {
	c.more(-1, "blobs")
	if err := c.w.ListBlobs(ctx, counting{c.g, c}); err != nil {
		return err
	}
	return c.g.sealBlobs()
}

func (c *Scan) listLinks(ctx context.Context) error {
	c.more(-1, "links")
	if err := c.w.ListLinks(ctx, linkSide{counting{c.g, c}}); err != nil {
		return err
	}
	if err := c.listMultiparts(ctx); err != nil {
		return err
	}
	if c.unseen = c.w.ListAbove(ctx, counting{c.g, c}); ctx.Err() != nil {
		return ctx.Err()
	}
	c.g.sealLinks()
	c.g.sealFaults()
	if err := c.findDatabase(ctx); err != nil {
		return err
	}
	cache, err := c.exists(ctx, layout.SchedulerKey)
	c.Cache = c.Cache || cache
	if err != nil || !cache {
		return err
	}
	return c.readCacheState(ctx)
}

// findDatabase finds out what says that the registry keeps its links in a
// database: GitLab's mark in the store, or else what is known of its configuration.
func (c *Scan) findDatabase(ctx context.Context) error {
	mark := layout.Key{Kind: layout.Lock, Rest: "database-in-use"}.String()
	marked, err := c.exists(ctx, mark)
	switch {
	case err != nil:
		return err
	case marked:
		c.inDB = mark
		return nil
	}
	c.inDB = c.Database
	if c.inDB == "" || !c.UnlessMarked {
		return nil
	}
	files, err := c.exists(ctx, layout.Key{Kind: layout.Lock, Rest: "filesystem-in-use"}.String())
	if files {
		c.inDB = ""
	}
	return err
}

// exists looks at one key, twice before it is called absent. What can't be read
// is a fault.
func (c *Scan) exists(ctx context.Context, key string) (bool, error) {
	_, err := c.w.Reader.Stat(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = c.w.Reader.Stat(ctx, key)
	}
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case !errors.Is(err, fs.ErrNotExist):
		c.g.fault(key, err)
	}
	return false, nil
}

// readManifests reads every manifest that a link names, then those that
// indexes name, until nothing new comes up; and looks for the blobs that they
// name and that the listing didn't have.
func (c *Scan) readManifests(ctx context.Context) error {
	for wave := c.g.wanted(); ; {
		if len(wave) == 0 {
			var err error
			if wave, err = c.readLayerManifests(ctx); err != nil {
				return err
			}
			if len(wave) == 0 {
				break
			}
		}
		c.more(int64(len(wave)), "manifests")
		from := len(c.g.nodes)
		err := c.w.Manifests(ctx, len(wave), c.g.digests(wave), func(i int, m walker.Manifest) error {
			c.g.addManifest(wave[i], m)
			c.add(1)
			return nil
		})
		if err == nil {
			err = c.again(ctx, wave)
		}
		if err != nil {
			return err
		}
		wave = c.g.children(from)
	}
	look := looker{g: c.g, w: c.w}
	if err := look.archives(ctx); err != nil {
		return err
	}
	return look.blobs(ctx)
}

// again reads once more what seemed to be corrupt, or was listed and not found,
// from the store itself. What is listed and twice not found is in motion.
func (c *Scan) again(ctx context.Context, wave []uint32) error {
	g := c.g
	doubtful := slices.DeleteFunc(slices.Clone(wave), func(id uint32) bool {
		state := g.stateAt(id)
		return state != walker.ManifestCorrupt && (state != walker.ManifestMissing || int(id) >= g.len())
	})
	w := *c.w
	w.Cache = nil
	return w.Manifests(ctx, len(doubtful), g.digests(doubtful), func(i int, m walker.Manifest) error {
		id := doubtful[i]
		if m.State != walker.ManifestCorrupt || g.stateAt(id) != m.State {
			g.changed[spot{none, place{kind: layout.Blob, id: id}}] = true
			g.addManifest(id, m)
		}
		return nil
	})
}

// wanted returns the ids of the manifests that links name and that weren't
// read yet, in ascending order.
func (g *graph) wanted() []uint32 {
	w := wanting{g: g}
	for i := range g.repos {
		r := &g.repos[i]
		for _, v := range r.revisions {
			w.want(v.id)
		}
		for _, t := range r.tags {
			if t.target != none {
				w.want(t.target)
			}
		}
		for _, h := range r.history {
			if target := r.tags[h.tag].target; target == none || !r.hasRevision(target) { // it may mean any of these
				w.want(h.id)
			}
		}
		for p, o := range r.odd {
			if p.kind != layout.LayerLink && o.target != none {
				w.want(o.target)
			}
		}
		for _, id := range r.held {
			w.want(id)
		}
	}
	return w.sorted()
}

// children returns the ids of the manifests that the nodes from on name and
// that weren't read yet. What is too large for a manifest, and whose type
// doesn't say that it is one, isn't.
func (g *graph) children(from int) []uint32 {
	w := wanting{g: g}
	foreign := map[uint32]bool{}
	for i := from; i < len(g.nodes); i++ {
		for e := range g.in(nil, g.nodes[i].id).references {
			switch e.role() {
			case manifest.Child:
				w.want(e.id())
			case manifest.Either:
				w.wantSmall(e.id())
			default:
				continue
			}
			if g.isForeign(e.id()) {
				foreign[e.id()] = true
			}
		}
	}
	if len(foreign) > 0 {
		w.wantAliased(foreign)
	}
	return w.sorted()
}

// wantSmall wants what may be a manifest by its size.
func (w *wanting) wantSmall(id uint32) {
	if !w.g.present(id) || w.g.sizeOf(id) <= manifest.MaxSize {
		w.want(id)
	}
}

// wantAliased wants what digests of other algorithms stand for anywhere.
func (w *wanting) wantAliased(foreign map[uint32]bool) {
	for i := range w.g.repos {
		for _, a := range w.g.repos[i].aliases {
			if foreign[a.id] && a.target != none {
				w.wantSmall(a.target)
			}
		}
	}
}

// wanting collects ids, each once.
type wanting struct {
	g    *graph
	seen bitset
	ids  []uint32
}

func (w *wanting) want(id uint32) {
	if !w.g.isTarsum(id) && w.g.nodeAt(id) == nil && w.seen.add(id) {
		w.ids = append(w.ids, id)
	}
}

func (w *wanting) sorted() []uint32 {
	slices.Sort(w.ids)
	return w.ids
}
