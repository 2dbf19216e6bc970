package graph

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"regfsck/backend"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// Options say how a store is read and judged.
type Options struct {
	Workers          int           // files read at once; 0 for the default
	Grace            time.Duration // garbage younger than this is counted apart
	UploadsOlderThan time.Duration // uploads that nobody wrote to for so long are stale
	Now              time.Time
	Thorough         bool // look beside blobs and links
	Cache            bool // a pull-through cache: layers may be absent
	Verify           Verify
	Progress         Progress // nil for none
	Policy                    // how a Check judges
}

// Policy says what is to be kept, and what is to be done. The zero Policy keeps
// every manifest, and does all that needs no request.
type Policy struct {
	Untagged bool            // revisions that no tag leads to are garbage
	Left     [NumIDs]bool    // findings that nothing is to be done about: what they would remove is kept
	Also     [NumIDs]bool    // findings whose cure needs a request, and has it
	Keep     map[string]bool // keys that are to stay, whatever they are: each is a root
}

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
	began  time.Time
	count  int64 // of the phase under way
	lock   bool  // GitLab's mark for a store whose links are in a database
}

// Check reads a store and judges it. It changes nothing. An error means that
// nothing can be said: the listing can't be trusted, or ctx has ended. The
// phases that have ended are returned in any case.
func Check(ctx context.Context, r backend.Reader, o Options) (*Result, []Phase, error) {
	s, err := Read(ctx, r, o)
	if err != nil {
		return nil, s.phases, err
	}
	result, err := s.Judge(ctx, o.Policy)
	return result, s.phases, err
}

// Phases are those that have ended so far.
func (c *Scan) Phases() []Phase { return c.phases }

// Read reads a store: all blobs, then all links, then the manifests they name.
// The scan is returned with an error too, for its phases.
func Read(ctx context.Context, r backend.Reader, o Options) (*Scan, error) {
	c := &Scan{
		Options: o,
		w:       &walker.Walker{Reader: r, Workers: o.Workers, Thorough: o.Thorough},
		g:       newGraph(o.Now, o.Grace),
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
	result := j.result(c.notes(j))
	result.Doubts.Database = c.lock
	return result, nil
}

// phase carries one phase out and notes what it came to.
func (c *Scan) phase(ctx context.Context, name, unit string, do func(context.Context) error) error {
	c.began, c.count = time.Now(), 0
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

func (c *Scan) total(n int64, unit string) {
	if c.Progress != nil {
		c.Progress.Total(n, unit)
	}
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
	return s.graph.Links(repository, l)
}

func (c *Scan) listBlobs(ctx context.Context) error {
	c.total(-1, "blobs")
	if err := c.w.ListBlobs(ctx, counting{c.g, c}); err != nil {
		return err
	}
	return c.g.sealBlobs()
}

func (c *Scan) listLinks(ctx context.Context) error {
	c.total(-1, "links")
	if err := c.w.ListLinks(ctx, counting{c.g, c}); err != nil {
		return err
	}
	c.g.sealLinks()
	c.g.sealFaults()
	lock, err := c.exists(ctx, layout.Key{Kind: layout.Lock, Rest: "database-in-use"}.String())
	if err != nil {
		return err
	}
	cache, err := c.exists(ctx, layout.Key{Kind: layout.Scheduler}.String())
	c.lock, c.Cache = lock, c.Cache || cache
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
	for wave := c.g.wanted(); len(wave) > 0; {
		c.total(int64(len(wave)), "manifests")
		from := len(c.g.nodes)
		digests := c.g.digests()
		digest := func(i int) layout.Digest { return digests(wave[i]) }
		err := c.w.Manifests(ctx, len(wave), digest, func(i int, m walker.Manifest) error {
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
	return looker{c.g, c.w}.blobs(ctx)
}

// again reads once more what seemed to be corrupt, or was listed and not found.
// What is listed and twice not found is in motion.
func (c *Scan) again(ctx context.Context, wave []uint32) error {
	g := c.g
	doubtful := slices.DeleteFunc(slices.Clone(wave), func(id uint32) bool {
		state := g.stateAt(id)
		return state != walker.ManifestCorrupt && (state != walker.ManifestMissing || int(id) >= g.len())
	})
	digests := g.digests()
	digest := func(i int) layout.Digest { return digests(doubtful[i]) }
	return c.w.Manifests(ctx, len(doubtful), digest, func(i int, m walker.Manifest) error {
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
			if r.tags[h.tag].target == none {
				w.want(h.id)
			}
		}
		for p, o := range r.odd {
			if p.kind == layout.Revision && o.target != none {
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
	for i := from; i < len(g.nodes); i++ {
		for _, e := range g.refs(&g.nodes[i]) {
			id := e.id()
			switch e.role() {
			case manifest.Child:
				w.want(id)
			case manifest.Either:
				if !g.present(id) || g.sizeOf(id) <= manifest.MaxSize {
					w.want(id)
				}
			}
		}
	}
	return w.sorted()
}

// wanting collects ids, each once.
type wanting struct {
	g    *graph
	seen bitset
	ids  []uint32
}

func (w *wanting) want(id uint32) {
	if _, foreign := w.g.names[id]; !foreign && w.g.nodeAt(id) == nil && w.seen.add(id) {
		w.ids = append(w.ids, id)
	}
}

func (w *wanting) sorted() []uint32 {
	slices.Sort(w.ids)
	return w.ids
}

// verify hashes the blobs that were asked for, and always those whose size
// can't be right: another than a descriptor states, or none at all; each once.
// What seems to be wrong is hashed once more before it is believed.
func (c *Scan) verify(ctx context.Context) error {
	g := c.g
	g.sortSuspects()
	var ids []uint32
	want := func(id uint32) {
		switch g.stateAt(id) {
		case walker.ManifestGood, walker.ManifestUnparsable, walker.ManifestCorrupt: // hashed when it was read
		default:
			if g.hashed.add(id) {
				ids = append(ids, id)
			}
		}
	}
	for _, m := range g.suspects {
		want(m.id)
	}
	for id := range uint32(g.len()) {
		if g.sizes[id] == 0 && g.digest(id) != layout.Empty || c.sampled(id) {
			want(id)
		}
	}
	wrong, err := c.hash(ctx, ids)
	if err == nil && len(wrong) > 0 {
		_, err = c.hash(ctx, wrong)
	}
	return err
}

// hash hashes blobs, the largest first so that the tail is short, and notes
// what is wrong with them. It returns the ids of those with wrong bytes.
func (c *Scan) hash(ctx context.Context, ids []uint32) (wrong []uint32, err error) {
	g := c.g
	var bytes int64
	for _, id := range ids {
		bytes += g.sizes[id]
	}
	slices.SortFunc(ids, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(g.sizes[b], g.sizes[a]), cmp.Compare(a, b))
	})
	c.total(bytes, "bytes")
	digest := func(i int) layout.Digest { return g.digestOf(ids[i]) }
	err = c.w.Hash(ctx, len(ids), digest, c.show, func(i int, h walker.Hashed) error {
		c.count += g.sizes[ids[i]]
		delete(g.verified, ids[i])
		if h.State != walker.HashRight {
			g.verified[ids[i]] = h
		}
		if h.State == walker.HashMissing { // listed, and gone
			s := spot{none, place{kind: layout.Blob, id: ids[i]}}
			g.changed[s], g.unsure[s] = true, true
		}
		if h.State == walker.HashWrong {
			wrong = append(wrong, ids[i])
		}
		return nil
	})
	return wrong, err
}

// sampled tells whether a blob is among those whose bytes are to be hashed.
// Digests are spread evenly, so their last bytes draw the sample.
func (c *Scan) sampled(id uint32) bool {
	if c.Verify.All || c.Verify.Percent <= 0 {
		return c.Verify.All
	}
	d := c.g.digest(id)
	drawn := uint32(d[31]) | uint32(d[30])<<8 | uint32(d[29])<<16
	return float64(drawn) < c.Verify.Percent/100*(1<<24)
}

// judge judges the graph, looks again at all that seems to be absent or
// broken, and judges once more where the store has changed, a few times.
func (c *Scan) judge(ctx context.Context, asked Policy) (*judgement, error) {
	p := policy{
		Policy: asked, cache: c.Cache, noOrphans: c.lock,
		uploadsAfter: c.Now.Add(-c.UploadsOlderThan).UnixNano(),
	}
	look := looker{c.g, c.w}
	for round := 1; ; round++ {
		j := c.g.judge(p)
		c.count = int64(len(j.problems))
		amended, err := look.settle(ctx, j, round > maxRounds)
		if err != nil || !amended {
			return j, err
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
	if c.lock {
		notes = append(notes, "docker/registry/lockfiles/database-in-use marks a registry that keeps its links in a database: nothing here can tell which blobs are garbage, so none is called that.")
	}
	if c.Cache {
		notes = append(notes, "This is a pull-through cache: what it hasn't fetched yet is no damage.")
	}
	if j.totals.Repositories == 0 && j.totals.Blobs > 0 && !j.blind() {
		notes = append(notes, "There are blobs and no repository: is this the whole store? A disk that isn't mounted looks like this.")
	}
	if !c.Thorough {
		notes = append(notes, "What may stand beside a blob or a link wasn't looked for (--thorough does).")
	}
	return notes
}
