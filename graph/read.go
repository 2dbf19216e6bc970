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
	Grace            time.Duration // younger garbage is counted as in grace
	UploadsOlderThan time.Duration // uploads without a write for so long are stale
	Now              time.Time
	Thorough         bool                  // list the files beside blobs and links
	Cache            bool                  // a pull-through cache: layers may be absent
	Database         string                // evidence that the registry keeps its links in a database, besides a mark in the store; "" for none
	UnlessMarked     bool                  // Database counts only if no mark in the store means that its links are files
	OwnSince         time.Time             // directories emptied since then were emptied by an interrupted run of regfsck; zero for none
	Removed          func(key string) bool // keys that were removed recently and that the listing may still have; nil for none
	Verify           Verify
	Ledger           *ledger.Ledger  // which blobs were hashed before; nil for none
	Prove            bool            // with a Ledger: the result is incomplete while a blob is unproven
	Fingerprint      bool            // the links will be listed again: see Scan.Unchanged
	Known            *cache.Cache    // manifests that were read before; nil for none
	Progress         Progress        // nil for none
	From             []source.Source // possible sources of missing blobs, in the order in which they are asked
	Past             source.Source   // quarantined and noncurrent blobs of the store itself, asked before From; nil for none
	Copied           *Copied         // links of sources, by which lost tags can be restored; nil for none
	Lost             int             // the most orphans that are read to count the complete images among them; 0 counts none

	// AllAffects: each finding lists every tag that it blocks, not the first
	// finding.MaxAffects only.
	AllAffects bool

	// Partial: if ctx ends while blobs are hashed, the check continues with those that were
	// hashed: see Scan.Stopped.
	Partial bool

	// Wait waits for concurrent changes to end, so that their links can be judged. It is
	// called at most once; its error ends the check. With nil the links are judged at once,
	// as unknown.
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
	waited     bool        // for concurrent changes
	links      fingerprint // of the listing of links
	InDatabase string      // evidence that the registry keeps its links in a database; "" for none

	AboveUnlisted      error // why the directories above the store's own could not be listed
	MultipartsUnlisted error // why multipart uploads could not be listed
	RulesUnread        error // why the store's own rules are unknown

	// Stopped: ctx ended before all blobs were hashed, with Options.Partial; Unhashed of them
	// remain. Everything else was read.
	Stopped bool

	pending *pending // concurrent changes that the last recheck found; nil if none are awaited
}

// Read reads a store: all blobs, then all links, then the manifests that they refer to. With
// an error the scan is returned too, for its phases.
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

// ListBlobs lists a store's blobs and reads nothing else. With an error the scan is returned
// too, for its phases.
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

// step is the work of a phase.
type step struct {
	name, unit string
	do         func(context.Context) error
}

// through executes phases one after the other.
func (c *Scan) through(ctx context.Context, steps []step) error {
	for _, s := range steps {
		if err := c.Phase(ctx, s.name, s.unit, s.do); err != nil {
			return err
		}
	}
	return nil
}

// Phase executes one phase of the scan.
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

// counting is a Sink that counts what it passes to the graph.
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

// listMultiparts adds the multipart uploads of a store, after the uploads that are files. No
// link refers to them, so if they can't be listed, everything else is still known.
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

// exists reports whether a key exists. It asks twice before it returns false. A key that
// can't be read is recorded as a fault.
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

// ReadRules reads the store's own rules that delete objects. If they are unknown, the rest of
// the store is still known.
func (c *Scan) ReadRules(ctx context.Context) error {
	d, ok := c.w.Reader.(backend.Describer)
	if !ok {
		return nil
	}
	c.Graph.Rules, c.RulesUnread = d.Rules(ctx)
	return ctx.Err()
}

// ReadMore reads manifests that an amended graph refers to and that weren't read.
func (c *Scan) ReadMore(ctx context.Context) error {
	if err := c.readAll(ctx); err != nil {
		return err
	}
	return c.verify(ctx)
}

// ReadOrphans reads blobs that may be manifests, and their children, and keeps the manifests.
// It reports whether it read any for the first time.
func (c *Scan) ReadOrphans(ctx context.Context, ids []uint32) (read bool, err error) {
	if read, err = c.readOrphans(ctx, ids); err == nil && read {
		err = c.verify(ctx)
	}
	return read, err
}

// verify hashes the selected blobs.
func (c *Scan) verify(ctx context.Context) error {
	err := c.hashing.verify(ctx)
	c.Stopped = c.stopped
	return err
}
