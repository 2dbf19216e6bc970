package graph

import (
	"context"

	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// configs finds what stands for a manifest of a repository as its config.
type configs struct {
	g     *Graph
	r     *Repository
	found map[uint32]uint32 // by manifest, so that none is followed twice
}

func (g *Graph) ConfigsOf(r *Repository) *configs {
	return &configs{g, r, map[uint32]uint32{}}
}

// Of returns the id of the config of the image under id, of an index that of the
// first image in it; none for none.
func (c *configs) Of(id uint32) uint32 {
	config, ok := c.found[id]
	if ok {
		return config
	}
	c.found[id] = None // so that a cycle ends
	config = None
	for s := range c.g.In(c.r, id).Serves {
		switch {
		case s.Role() == manifest.Config:
			config = s.ID()
		case s.Child:
			config = c.Of(s.To)
		}
		if config != None {
			break
		}
	}
	c.found[id] = config
	return config
}

// Configs reads the configs of those digests, for what is shown of an image. What
// could not be read says so in its State; so does "", which is missing.
func (c *Scan) Configs(ctx context.Context, digests []string) ([]walker.Config, error) {
	return details(ctx, digests, walker.Config{State: walker.ManifestMissing}, c.w.Configs)
}

// Describe reads the manifests of those digests once more, for what is shown of
// them, and answers as Configs does.
func (c *Scan) Describe(ctx context.Context, digests []string) ([]walker.Details, error) {
	return details(ctx, digests, walker.Details{State: walker.ManifestMissing}, c.w.Describe)
}

// details reads each digest once, however often it is asked for.
func details[T any](
	ctx context.Context, digests []string, missing T,
	read func(ctx context.Context, n int, digest func(int) layout.AnyDigest, each func(int, T) error) error,
) ([]T, error) {
	at := map[layout.AnyDigest][]int{}
	var once []layout.AnyDigest
	all := make([]T, len(digests))
	for i, text := range digests {
		d, ok := layout.ParseAnyDigest(text)
		if all[i] = missing; !ok {
			continue
		}
		if _, known := at[d]; !known {
			once = append(once, d)
		}
		at[d] = append(at[d], i)
	}
	err := read(ctx, len(once), func(i int) layout.AnyDigest { return once[i] }, func(i int, v T) error {
		for _, place := range at[once[i]] {
			all[place] = v
		}
		return nil
	})
	return all, err
}
