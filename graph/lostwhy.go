package graph

import (
	"context"
	"slices"
	"time"

	"regfsck/graph/finding"
	"regfsck/walker/manifest"
)

// LostImage is what there is to say of a whole image that nothing names.
type LostImage struct {
	Tag          string    // that it would get
	Repositories []string  // that can have it back under that tag
	Denied       []string  // that have a witness of it and can't, each with a clause behind a colon
	Since        time.Time // when the last link to it was removed that left an empty directory; zero where nobody knows
	In           string    // the repository of that
}

// LostImageOf tells of a digest that nothing keeps whether it is the manifest of a whole
// image which nothing names. It reads the manifest for that, and what it names.
func (c *Scan) LostImageOf(ctx context.Context, digest string) (*LostImage, error) {
	id := c.g.knownIDOf(digest)
	if id == none || int(id) >= c.g.len() || c.g.sizeOf(id) > manifest.MaxSize || !c.g.provable(id) || c.g.isArchived(id) {
		return nil, nil
	}
	if c.g.nodeAt(id) == nil {
		if _, err := c.readOrphans(ctx, []uint32{id}); err != nil {
			return nil, err
		}
	}
	p := c.policyOf(c.Policy)
	p.Usage, p.Also[finding.ManifestLost] = false, true
	j := c.g.judge(p)
	if j.cache || !j.orphan(id) || j.linked().has(id) || !j.intact(id, map[uint32]bool{}) {
		return nil, nil
	}
	lost := &lostImages{found: []uint32{id}}
	j.witnesses(lost)
	image := &LostImage{Tag: tagOfLost(j.nameOf(id))}
	for i := range j.repos {
		for range lost.revived[uint32(i)] {
			image.Repositories = append(image.Repositories, j.repos[i].name)
		}
		for _, p := range lost.denied[uint32(i)] {
			image.Denied = append(image.Denied, j.repos[i].name+": "+p.detail)
		}
	}
	for s, at := range lost.since {
		if when := timeOf(seconds(at)); s.id == id && (when.After(image.Since) || when.Equal(image.Since) && !when.IsZero() && j.repos[s.repo].name < image.In) {
			image.Since, image.In = when, j.repos[s.repo].name
		}
	}
	slices.Sort(image.Denied)
	return image, nil
}
