package graph

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"regfsck/walker"
	"regfsck/walker/layout"
)

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
