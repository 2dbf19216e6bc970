package graph

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"slices"
	"time"

	"regfsck/backend"
	"regfsck/backend/source"
	"regfsck/walker"
	"regfsck/walker/cache"
	"regfsck/walker/layout"
	"regfsck/walker/ledger"
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
	OwnSince         time.Time             // directories emptied since were emptied by regfsck itself, whose run was interrupted; zero for none
	Removed          func(key string) bool // keys that were removed not long ago, which the listing may name all the same; nil for none
	Verify           Verify
	Ledger           *ledger.Ledger  // which blobs were hashed before; nil for none
	Prove            bool            // with a Ledger: the answer isn't whole while a blob is unproven
	Fingerprint      bool            // the links will be listed again: see Scan.Unchanged
	Known            *cache.Cache    // manifests that were read before; nil for none
	Progress         Progress        // nil for none
	From             []source.Source // what may have the blobs that the store lacks, in the order in which they are asked
	Past             source.Source   // what the store and its runs keep of what was removed or written over, which is asked before; nil for nothing
	Copied           *Copied         // the links of sources by which lost tags can come back; nil for none
	Lost             int             // how many orphans are read at most to count the whole images among them; 0 counts none

	// AllAffects has each finding name every tag that it keeps from being pulled, in place
	// of the first finding.MaxAffects.
	AllAffects bool

	// Partial has the check go on where ctx ends while blobs are hashed, with those that
	// were hashed by then: see Scan.Stopped.
	Partial bool

	// Wait waits for what is in motion, so that it can be judged. It is called once
	// at most; an error of it ends the check. nil judges at once, and says of what is
	// in motion that nobody knows.
	Wait func(context.Context, ConcurrentChange) error
}

// Sources returns all sources in the order in which they are asked for a blob.
func (o *Options) Sources() []source.Source {
	if o.Past == nil {
		return o.From
	}
	return append([]source.Source{o.Past}, o.From...)
}

// Progress is told how far a check is. Calls may come at once from several
// goroutines.
type Progress interface {
	Phase(name string)          // a new phase begins
	Total(n int64, unit string) // how much there is to do in it; "bytes" or a plural of things
	Add(n int64)                // so much more is done
	Ended(Phase)                // the phase has come to its end, without an error
}

// Phase is a phase that has ended.
type Phase struct {
	Name     string
	Count    int64
	Unit     string
	Duration time.Duration
}

// Scan is a store that has been read, and can be judged under any policy.
type Scan struct {
	Options
	w          *walker.Walker
	Graph      *Graph
	phases     []Phase
	under      string    // the phase under way
	unit       string    // of what it goes through, "" before that is known
	extent     int64     // how much it goes through, as far as is known
	opened     time.Time // when the first phase began
	waited     bool      // for what was in motion
	began      time.Time
	Count      int64       // of the phase under way
	links      fingerprint // of the listing of links
	InDatabase string      // what says that the registry keeps its links in a database, "" for nothing

	AboveUnlisted      error // why nobody knows what stands above the store's own directories
	MultipartsUnlisted error // why multipart uploads could not be listed
	RulesUnread        error // why nobody knows of the store's own rules
	PastUnread         error // why nobody knows what the store and its runs keep of what it lacks

	// Stopped says that ctx has ended before all blobs were hashed that were to be, of
	// which Unhashed are left: with Options.Partial. What else there is was read whole.
	Stopped  bool
	Unhashed Amount

	Proofs  Proofs   // which blobs are what their digests name; only with a Ledger
	pending *pending // what the last recheck saw to be in motion; nil where nobody waits for it
}

// Phases are those that have ended so far.
func (c *Scan) Phases() []Phase { return c.phases }

// Read reads a store: all blobs, then all links, then the manifests they name.
// The scan is returned with an error too, for its phases.
func Read(ctx context.Context, r backend.Reader, o Options) (*Scan, error) {
	c := newScan(r, o)
	c.links.seed = maphash.MakeSeed()
	for _, s := range o.Sources() {
		c.Graph.Sources = append(c.Graph.Sources, s.String())
	}
	if !o.OwnSince.IsZero() {
		c.Graph.ownSince = o.OwnSince.UnixNano()
	}
	return c, c.through(ctx, []step{
		{"blobs", "blobs", c.listBlobs},
		{"links", "links", c.listLinks},
		{"manifests", "manifests", c.readManifests},
		{"verify", "bytes", c.verify},
	})
}

// ListBlobs lists a store's blobs, and reads nothing else of it. The scan is returned with
// an error too, for its phases.
func ListBlobs(ctx context.Context, r backend.Reader, o Options) (*Scan, error) {
	c := newScan(r, o)
	return c, c.through(ctx, []step{{"blobs", "blobs", c.listBlobs}})
}

func newScan(r backend.Reader, o Options) *Scan {
	return &Scan{
		Options: o,
		w:       &walker.Walker{Reader: r, Workers: o.Workers, Thorough: o.Thorough, Removed: o.Removed, Cache: o.Known, Stamps: o.Ledger != nil},
		Graph:   NewGraph(o.Now, o.Grace),
		opened:  time.Now(),
	}
}

// step is what a phase does.
type step struct {
	name, unit string
	do         func(context.Context) error
}

// through carries out phases, one after the other.
func (c *Scan) through(ctx context.Context, steps []step) error {
	for _, s := range steps {
		if err := c.Phase(ctx, s.name, s.unit, s.do); err != nil {
			return err
		}
	}
	return nil
}

// Phase carries one phase out and notes what it came to.
func (c *Scan) Phase(ctx context.Context, name, unit string, do func(context.Context) error) error {
	c.began, c.Count = time.Now(), 0
	c.under, c.unit, c.extent = name, "", 0
	if c.Progress != nil {
		c.Progress.Phase(name)
	}
	err := do(ctx)
	ended := Phase{name, c.Count, unit, time.Since(c.began)}
	if c.Count > 0 || name != "verify" {
		c.phases = append(c.phases, ended)
	}
	if c.Progress != nil && err == nil {
		c.Progress.Ended(ended)
	}
	if ctx.Err() != nil && !c.Stopped {
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
	c.Count += n
	c.show(n)
}

// show moves the progress on; from any goroutine.
func (c *Scan) show(n int64) {
	if c.Progress != nil {
		c.Progress.Add(n)
	}
}

// counting passes a listing on to the graph and counts it.
type counting struct {
	Builder
	c *Scan
}

func (s counting) Blobs(b []walker.Blob) error {
	s.c.add(int64(len(b)))
	if s.c.Ledger != nil {
		s.c.remember(b)
	}
	return s.Builder.Blobs(b)
}

func (s counting) Links(repository string, l []walker.Link) error {
	s.c.add(int64(len(l)))
	if s.c.Fingerprint {
		s.c.links.links(repository, l)
	}
	return s.Builder.Links(repository, l)
}

// linkSide is counting for what the listing of links brings.
type linkSide struct{ counting }

func (s linkSide) Entry(e walker.Entry) error {
	if s.c.Fingerprint {
		s.c.links.entry(&e)
	}
	return s.Builder.Entry(e)
}

func (c *Scan) listBlobs(ctx context.Context) error {
	c.more(-1, "blobs")
	if err := c.w.ListBlobs(ctx, counting{Builder{c.Graph}, c}); err != nil {
		return err
	}
	if c.Ledger != nil {
		c.Ledger.Match()
	}
	return Builder{c.Graph}.SealBlobs()
}

func (c *Scan) listLinks(ctx context.Context) error {
	c.more(-1, "links")
	if err := c.w.ListLinks(ctx, linkSide{counting{Builder{c.Graph}, c}}); err != nil {
		return err
	}
	if err := c.listMultiparts(ctx); err != nil {
		return err
	}
	if c.AboveUnlisted = c.w.ListAbove(ctx, counting{Builder{c.Graph}, c}); ctx.Err() != nil {
		return ctx.Err()
	}
	Builder{c.Graph}.SealWithCopied(c.Copied)
	Builder{c.Graph}.sealFaults()
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
		c.InDatabase = mark
		return nil
	}
	c.InDatabase = c.Database
	if c.InDatabase == "" || !c.UnlessMarked {
		return nil
	}
	files, err := c.exists(ctx, layout.Key{Kind: layout.Lock, Rest: "filesystem-in-use"}.String())
	if files {
		c.InDatabase = ""
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
		Builder{c.Graph}.fault(key, err)
	}
	return false, nil
}

// readManifests reads every manifest that a link names, then those that
// indexes name, until nothing new comes up; and looks for the blobs that they
// name and that the listing didn't have.
func (c *Scan) readManifests(ctx context.Context) error {
	return c.readWaves(ctx, c.Graph.wanted())
}

// readWaves is readManifests for what the wave leads to.
func (c *Scan) readWaves(ctx context.Context, wave []uint32) error {
	for {
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
		from := len(c.Graph.Nodes)
		err := c.w.Manifests(ctx, len(wave), c.Graph.digests(wave), func(i int, m walker.Manifest) error {
			Builder{c.Graph}.AddManifest(wave[i], m)
			c.add(1)
			return nil
		})
		if err == nil {
			err = c.again(ctx, wave)
		}
		if err != nil {
			return err
		}
		wave = c.Graph.children(from)
	}
	look := looker{g: c.Graph, w: c.w}
	if err := look.archives(ctx); err != nil {
		return err
	}
	return look.blobs(ctx)
}

// again reads once more what seemed to be corrupt, or was listed and not found,
// from the store itself. What is listed and twice not found is in motion.
func (c *Scan) again(ctx context.Context, wave []uint32) error {
	g := c.Graph
	doubtful := slices.DeleteFunc(slices.Clone(wave), func(id uint32) bool {
		state := g.StateAt(id)
		return state != walker.ManifestCorrupt && (state != walker.ManifestMissing || int(id) >= g.Len())
	})
	w := *c.w
	w.Cache = nil
	return w.Manifests(ctx, len(doubtful), g.digests(doubtful), func(i int, m walker.Manifest) error {
		id := doubtful[i]
		if m.State != walker.ManifestCorrupt || g.StateAt(id) != m.State {
			g.Changed[Ref{None, Link{Kind: layout.Blob, ID: id}}] = true
			Builder{g}.AddManifest(id, m)
		}
		return nil
	})
}

// wanted returns the ids of the manifests that links name and that weren't
// read yet, in ascending order.
func (g *Graph) wanted() []uint32 {
	w := wanting{g: g}
	for i := range g.Repos {
		r := &g.Repos[i]
		for _, v := range r.Revisions {
			w.want(v.ID)
		}
		for _, t := range r.Tags {
			if t.Target != None {
				w.want(t.Target)
			}
		}
		for _, h := range r.History {
			if target := r.Tags[h.Tag].Target; target == None || !r.HasRevision(target) { // it may mean any of these
				w.want(h.ID)
			}
		}
		for p, o := range r.Bad {
			if p.Kind != layout.LayerLink && o.Target != None {
				w.want(o.Target)
			}
		}
		for _, id := range r.NamedBefore {
			w.want(id)
		}
	}
	for i := range g.Copies {
		w.want(g.Copies[i].ID)
	}
	return w.sorted()
}

// children returns the ids of the manifests that the nodes from on name and
// that weren't read yet. What is too large for a manifest, and whose type
// doesn't say that it is one, isn't.
func (g *Graph) children(from int) []uint32 {
	ids := make([]uint32, 0, len(g.Nodes)-from)
	for i := from; i < len(g.Nodes); i++ {
		ids = append(ids, g.Nodes[i].ID)
	}
	return g.childrenOf(ids)
}

// childrenOf is children of the manifests with those ids.
func (g *Graph) childrenOf(ids []uint32) []uint32 {
	w := wanting{g: g}
	foreign := map[uint32]bool{}
	for _, id := range ids {
		for e := range g.In(nil, id).References {
			switch e.Role() {
			case manifest.Child:
				w.want(e.ID())
			case manifest.Either:
				w.wantSmall(e.ID())
			default:
				continue
			}
			if g.IsForeign(e.ID()) {
				foreign[e.ID()] = true
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
	if !w.g.Present(id) || w.g.SizeOf(id) <= manifest.MaxSize {
		w.want(id)
	}
}

// wantAliased wants what digests of other algorithms stand for anywhere.
func (w *wanting) wantAliased(foreign map[uint32]bool) {
	for i := range w.g.Repos {
		for _, a := range w.g.Repos[i].Aliases {
			if foreign[a.ID] && a.Target != None {
				w.wantSmall(a.Target)
			}
		}
	}
}

// wanting collects ids, each once.
type wanting struct {
	g    *Graph
	seen Bitset
	ids  []uint32
}

func (w *wanting) want(id uint32) {
	if !w.g.isTarsum(id) && w.g.NodeAt(id) == nil && w.seen.Add(id) {
		w.ids = append(w.ids, id)
	}
}

func (w *wanting) sorted() []uint32 {
	slices.Sort(w.ids)
	return w.ids
}

// ReadRules asks for the rules by which the store itself takes away what the
// registry needs. That they can't be known hides nothing of the store.
func (c *Scan) ReadRules(ctx context.Context) error {
	d, ok := c.w.Reader.(backend.Describer)
	if !ok {
		return nil
	}
	c.Graph.Rules, c.RulesUnread = d.Rules(ctx)
	return ctx.Err()
}

// ReadMore reads what an amended graph names and wasn't read yet.
func (c *Scan) ReadMore(ctx context.Context) error {
	if err := c.readManifests(ctx); err != nil {
		return err
	}
	return c.verify(ctx)
}

// ReadInline looks for the bytes of lacking blobs in manifests that carry any, and
// reports whether it found some. Only bytes that hash to the digest are believed.
func (c *Scan) ReadInline(ctx context.Context, carriers []uint32, lacking map[uint32]bool) (found bool, err error) {
	g := c.Graph
	err = c.w.Inline(ctx, len(carriers), g.digests(carriers), func(i int, all []manifest.Inline) error {
		delete(g.Carriers, carriers[i])
		for _, in := range all {
			if id := g.idOfAny(in.Digest); lacking[id] {
				g.inline[id], found = string(in.Data), true
			}
		}
		return nil
	})
	return found, err
}

// ReadOrphans reads what may be manifests, and what those name, and keeps what is
// one. It reports whether there was any that wasn't read before.
func (c *Scan) ReadOrphans(ctx context.Context, ids []uint32) (read bool, err error) {
	g := c.Graph
	fresh := func(ids []uint32) []uint32 {
		return slices.DeleteFunc(ids, func(id uint32) bool { return !g.orphanRead.Add(id) })
	}
	for ids = fresh(ids); len(ids) > 0; {
		from := len(g.Nodes)
		c.more(int64(len(ids)), "manifests")
		err := c.w.Manifests(ctx, len(ids), g.digests(ids), func(i int, m walker.Manifest) error {
			if m.State == walker.ManifestGood { // of any other nobody can say that it ever was a manifest
				Builder{g}.AddManifest(ids[i], m)
			}
			c.show(1)
			return nil
		})
		if err != nil {
			return true, err
		}
		read = read || len(g.Nodes) > from
		ids = fresh(g.children(from))
	}
	if !read {
		return false, nil
	}
	look := looker{g: g, w: c.w}
	if err := look.blobs(ctx); err != nil {
		return true, err
	}
	return true, c.verify(ctx)
}
