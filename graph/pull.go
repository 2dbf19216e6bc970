package graph

import (
	"context"

	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// pulls tells what a pull from one repository brings.
type pulls struct {
	j     *judgement
	r     *repo
	sizes map[uint32]int64 // by manifest
	seen  map[uint32]bool  // blobs that were counted
	met   map[uint32]bool  // manifests that were followed
}

func (j *judgement) pullsOf(r *repo) *pulls {
	return &pulls{j: j, r: r, sizes: map[uint32]int64{}, seen: map[uint32]bool{}, met: map[uint32]bool{}}
}

// size returns the bytes of the manifest under id and of all that it needs, of an
// index all children that the repository has, each blob once.
func (p *pulls) size(id uint32) int64 {
	size, ok := p.sizes[id]
	if !ok {
		clear(p.seen)
		clear(p.met)
		size = p.manifest(id)
		p.sizes[id] = size
	}
	return size
}

func (p *pulls) manifest(id uint32) (sum int64) {
	for todo := []uint32{id}; len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if p.met[id] {
			continue
		}
		p.met[id] = true
		sum += p.blob(id)
		for s := range p.j.in(p.r, id).serves {
			if s.child {
				todo = append(todo, s.to)
			} else {
				sum += p.blob(s.to)
			}
		}
	}
	return sum
}

// blob returns the bytes of a blob that wasn't counted yet.
func (p *pulls) blob(id uint32) int64 {
	if p.seen[id] || !p.j.present(id) {
		return 0
	}
	p.seen[id] = true
	return p.j.sizeOf(id)
}

// configs finds what stands for a manifest of a repository as its config.
type configs struct {
	g     *graph
	r     *repo
	found map[uint32]uint32 // by manifest, so that none is followed twice
}

func (g *graph) configsOf(r *repo) *configs {
	return &configs{g, r, map[uint32]uint32{}}
}

// of returns the id of the config of the image under id, of an index that of the
// first image in it; none for none.
func (c *configs) of(id uint32) uint32 {
	config, ok := c.found[id]
	if ok {
		return config
	}
	c.found[id] = none // so that a circle ends
	config = none
	for s := range c.g.in(c.r, id).serves {
		switch {
		case s.role() == manifest.Config:
			config = s.id()
		case s.child:
			config = c.of(s.to)
		}
		if config != none {
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
