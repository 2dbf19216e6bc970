package check

import (
	"sync"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/finding"
)

// gauge is a Progress that records phases that exceed their total, and those that ended.
type gauge struct {
	mu                sync.Mutex
	phase, unit       string
	total, done, past int64
	reached           map[string]bool // phases and units that reached their total
}

func (p *gauge) Phase(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	p.phase, p.unit, p.total, p.done = name, "", -1, 0
}

func (p *gauge) Total(n int64, unit string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total, p.unit = n, unit
}

func (p *gauge) Add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if p.total >= 0 {
		p.past = max(p.past, p.done-p.total)
	}
}

func (p *gauge) Ended(graph.Phase) {}

func (p *gauge) end() {
	if p.total > 0 && p.done == p.total {
		p.reached[p.phase+" "+p.unit] = true
	}
}

// TestProgressNeverPassesItsTotal: blobs that are hashed again, and children, increase the
// total.
func TestProgressNeverPassesItsTotal(t *testing.T) {
	b := fixtures.Standard()
	b.Platforms("deep", "1", "linux/amd64", "linux/arm64")
	for _, layer := range b.Tagged("app", "1.0").Blobs[1:] {
		b.Edit(layer.Key(), flip)
	}
	p := &gauge{reached: map[string]bool{}}
	r := examine(t, b.Memory(), func(o *Options) { o.Verify.All, o.Progress = true, p })
	p.Phase("")
	if p.past > 0 || !p.reached["verify bytes"] || !p.reached["manifests manifests"] {
		t.Errorf("%d past what was told, at the end came %v", p.past, p.reached)
	}
	if r.Counts[finding.BlobCorrupt].Count == 0 {
		t.Error("nothing was hashed again")
	}
}
