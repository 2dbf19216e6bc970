package graph

import (
	"cmp"
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
)

// Options say how a store is read and judged.
type Options struct {
	Workers          int           // files read at once; 0 for the default
	Grace            time.Duration // garbage younger than this is counted apart
	UploadsOlderThan time.Duration // uploads that nobody wrote to for so long are stale
	Now              time.Time
	Thorough         bool                  // look beside blobs and links
	Cache            bool                  // a pull-through cache: layers may be absent
	Database         string                // evidence that the registry keeps its links in a database, besides a mark in the store; "" for none
	UnlessMarked     bool                  // Database counts only if no mark in the store means that its links are files
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

	// Wait waits for what is being changed, so that it can be judged. It is called once
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

// Scan is a store that has been read, and can be judged under any policy.
type Scan struct {
	Options
	*phases
	Catalog
	w     *walker.Walker
	Graph *Graph
	*manifestReader
	*sourceReader
	*hashing
	waited     bool        // for what was being changed
	links      fingerprint // of the listing of links
	InDatabase string      // evidence that the registry keeps its links in a database; "" for none

	AboveUnlisted      error // why nobody knows what is above the store's own directories
	MultipartsUnlisted error // why multipart uploads could not be listed
	RulesUnread        error // why the store's own rules are unknown

	// Stopped: ctx ended before all blobs were hashed, with Options.Partial; Unhashed of them
	// remain. Everything else was read.
	Stopped bool

	pending *pending // concurrent changes that the last recheck found; nil if none are awaited
}

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
		{"manifests", "manifests", c.readAll},
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
	g := NewGraph(o.Now, o.Grace)
	w := &walker.Walker{Reader: r, Workers: o.Workers, Thorough: o.Thorough, Removed: o.Removed, Cache: o.Known, Stamps: o.Ledger != nil}
	p := &phases{opened: time.Now()}
	p.ShowOn(o.Progress)
	c := &Scan{Options: o, phases: p, Catalog: Catalog{g}, manifestReader: &manifestReader{p, g, w}, w: w, Graph: g}
	c.sourceReader = &sourceReader{Options: &c.Options, manifests: c.manifestReader, g: g}
	c.hashing = &hashing{phases: p, Options: &c.Options, g: g, w: w}
	return c
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

// Phase carries out one phase of the scan.
func (c *Scan) Phase(ctx context.Context, name, unit string, do func(context.Context) error) error {
	err := c.run(name, unit, func() error { return do(ctx) })
	switch {
	case ctx.Err() != nil && !c.Stopped:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// counting passes a listing on to the graph and counts it.
type counting struct {
	Builder
	c       *Scan
	ofLinks bool // it is the listing of links
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

func (s counting) Entry(e walker.Entry) error {
	if s.ofLinks && s.c.Fingerprint {
		s.c.links.entry(&e)
	}
	return s.Builder.Entry(e)
}

func (c *Scan) listBlobs(ctx context.Context) error {
	c.more(-1, "blobs")
	if err := c.w.ListBlobs(ctx, counting{Builder{c.Graph}, c, false}); err != nil {
		return err
	}
	if c.Ledger != nil {
		c.Ledger.Match()
	}
	return Builder{c.Graph}.SealBlobs()
}

func (c *Scan) listLinks(ctx context.Context) error {
	c.more(-1, "links")
	if err := c.w.ListLinks(ctx, counting{Builder{c.Graph}, c, true}); err != nil {
		return err
	}
	if err := c.listMultiparts(ctx); err != nil {
		return err
	}
	if c.AboveUnlisted = c.w.ListAbove(ctx, counting{Builder{c.Graph}, c, false}); ctx.Err() != nil {
		return ctx.Err()
	}
	Builder{c.Graph}.SealWithCopied(c.Copied)
	for _, f := range c.Graph.Faults {
		Builder{c.Graph}.pinBelow(f)
	}
	if err := c.findDatabase(ctx); err != nil {
		return err
	}
	cache, err := c.exists(ctx, layout.SchedulerKey)
	c.Cache = c.Cache || cache
	if err != nil || !cache {
		return err
	}
	c.Graph.CacheState, err = readCacheState(ctx, c.w.Reader, c.Now)
	if err != nil && ctx.Err() == nil {
		Builder{c.Graph}.fault(layout.SchedulerKey, err)
	}
	return ctx.Err()
}

// listMultiparts adds the multipart uploads of a store, once all uploads are
// known that files show. They are garbage or under way, and no link refers to
// them: that they can't be listed hides no more than that.
func (c *Scan) listMultiparts(ctx context.Context) error {
	from := len(c.Graph.Entries)
	err := c.w.ListMultiparts(ctx, counting{Builder{c.Graph}, c, false})
	slices.SortFunc(c.Graph.Entries[from:], func(a, b walker.Entry) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Modified, b.Modified), cmp.Compare(a.Upload, b.Upload))
	})
	if ctx.Err() == nil {
		c.MultipartsUnlisted, err = err, nil
	}
	return err
}

// findDatabase looks for evidence that the registry keeps its links in a database:
// GitLab's mark in the store, or else what is known of its configuration.
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
	if err := c.readAll(ctx); err != nil {
		return err
	}
	return c.verify(ctx)
}

// ReadOrphans reads what may be manifests, and what those name, and keeps what is
// one. It reports whether there was any that wasn't read before.
func (c *Scan) ReadOrphans(ctx context.Context, ids []uint32) (read bool, err error) {
	if read, err = c.readOrphans(ctx, ids); err == nil && read {
		err = c.verify(ctx)
	}
	return read, err
}

// verify hashes what is to be hashed.
func (c *Scan) verify(ctx context.Context) error {
	err := c.hashing.verify(ctx)
	c.Stopped = c.stopped
	return err
}
