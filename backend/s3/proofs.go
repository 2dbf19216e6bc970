package s3

import (
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"regfsck/backend"
)

// proofs is what one listing knows of contents that weren't read.
type proofs struct {
	mu      sync.Mutex
	proven  bool         // some ETag was the MD5 of a content
	misses  int          // contents that were sound though their ETags are something else
	targets [][][32]byte // digests of leaves that others are likely to point to
	prefix  string       // what stands before such a digest in a content
	waiting []aside      // leaves that no neighbour proves, for the end
}

// aside is a leaf that waits, with memory of its own.
type aside struct {
	dir  string
	item backend.Item
	read int
}

func (a aside) clone() aside {
	a.dir, a.item.Name, a.item.ETag = strings.Clone(a.dir), strings.Clone(a.item.Name), strings.Clone(a.item.ETag)
	return a
}

const (
	// enoughMisses is how many sound contents must have other ETags than MD5s,
	// and none an MD5, before no more MD5s are made.
	enoughMisses = 64
	// mostWaiting bounds what waits for the end of a listing; the rest is fetched.
	mostWaiting = 1 << 16
)

// hopeless tells that ETags are no MD5s here.
func (p *proofs) hopeless() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.misses >= enoughMisses && !p.proven
}

// missed notes a sound content whose ETag is something else.
func (p *proofs) missed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.misses++
}

// note takes in what a page has proven.
func (p *proofs) note(g *grouping) {
	if g.proven == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proven = true
	if p.prefix == "" {
		p.prefix = g.prefix
	}
	if len(g.targets) > 0 && p.prefix == g.prefix {
		p.targets = append(p.targets, slices.Clone(g.targets))
	}
}

// wait takes in a leaf for the end, unless too many wait.
func (p *proofs) wait(a aside) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) >= mostWaiting {
		return false
	}
	p.waiting = append(p.waiting, a)
	return true
}

// settle hands over the leaves that wait, when all else was listed: with what
// some target holds, if that has their ETag, else with what a GET brings.
func (l *listing) settle() error {
	waiting := l.proofs.waiting
	l.proofs.match(waiting)
	slices.SortFunc(waiting, func(a, b aside) int { return cmp.Compare(a.dir, b.dir) })
	var g grouping
	for part := range slices.Chunk(waiting, maxBatch) {
		g.reset(l)
		for _, a := range part {
			if g.put(a.dir, a.item); a.item.Body != nil {
				g.proven++
				continue
			}
			g.todo = append(g.todo, todo{at: len(g.items) - 1, batch: len(g.batches) - 1, read: a.read})
		}
		if err := g.flush(l); err != nil {
			return err
		}
	}
	return nil
}

// match gives those that wait the contents of the targets that have their ETags.
func (p *proofs) match(waiting []aside) {
	if len(waiting) == 0 {
		return
	}
	byTag := map[string][]int{}
	for i, a := range waiting {
		tag := strings.ToLower(a.item.ETag)
		byTag[tag] = append(byTag[tag], i)
	}
	content := append([]byte(p.prefix), make([]byte, 64)...)
	var tag [2 * md5.Size]byte
	for _, chunk := range p.targets {
		for _, digest := range chunk {
			hex.Encode(content[len(p.prefix):], digest[:])
			sum := md5.Sum(content)
			hex.Encode(tag[:], sum[:])
			for _, i := range byTag[string(tag[:])] {
				if a := &waiting[i]; a.item.Size == int64(len(content)) {
					a.item.Body = slices.Clone(content[:min(len(content), a.read)])
				}
			}
		}
	}
}
