package check

import (
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// hardLinked returns a store after a tool hard-linked equal links: dev's push overwrote all
// links of prod with the old target of dev:latest.
func hardLinked() (b *fixtures.Builder, was, pushed fixtures.Manifest) {
	b = fixtures.New(3)
	was = b.Image("prod", "1", fixtures.Image{Layers: []int{30}})
	pushed = b.Image("dev", "latest", fixtures.Image{Layers: []int{40}})
	for _, key := range []string{layout.CurrentKey("prod", "1"), was.RevisionKey(), layout.HistoryKey("prod", "1", was.Digest)} {
		b.Edit(key, func([]byte) []byte { return []byte(pushed.Digest.String()) })
	}
	return b, was, pushed
}

// TestATargetNeedsEvidence: nothing of dev's is linked in prod, the tag has the reason, and
// on request a fix restores its old target.
func TestATargetNeedsEvidence(t *testing.T) {
	b, was, pushed := hardLinked()
	r := examine(t, b.Memory(), func(o *Options) { o.Untagged = true })
	foreign := 0
	for f := range r.Findings {
		switch {
		case f.Kind == finding.TagTargetForeign:
			foreign++
			if f.Cure != finding.CureWriteAsk || f.Link.Wanted != was.Digest.String() || len(f.Affects) != 1 {
				t.Errorf("%+v, %+v", f, f.Link)
			}
		case f.Kind.Severity() == finding.Garbage:
			t.Errorf("%v of %s, which the tag needs that can't be pulled", f.Kind, f.Path)
		case f.Repository == "prod" && (f.Digest != was.Digest.String() || f.Cure != finding.CureRebuild):
			t.Errorf("%v of %s in prod: %s", f.Kind, f.Digest, f.Cure)
		}
	}
	if foreign != 1 || r.Totals.TagsBroken != 1 {
		t.Errorf("%d such tags, %d tags broken", foreign, r.Totals.TagsBroken)
	}
	b.Erase(was.RevisionKey())
	b.Erase(layout.HistoryKey("prod", "1", was.Digest))
	for f := range examine(t, b.Memory(), func(*Options) {}).Findings {
		if f.Kind == finding.TagTargetForeign && f.Cure != finding.CureRemoveAsk {
			t.Errorf("there is nothing to go back to, and the cure is %s", f.Cure)
		}
		if f.Repository == "prod" && f.Digest == pushed.Digest.String() && f.Kind != finding.TagTargetForeign {
			t.Errorf("%v of what is dev's", f.Kind)
		}
	}
}

// TestEvidence: each of these alone lets the link be rebuilt.
func TestEvidence(t *testing.T) {
	for name, rebuilt := range map[string]struct {
		HistoryEntry, config bool
		want                 finding.Kind
	}{
		"its history":   {HistoryEntry: true, want: finding.RevisionLinkMissing},
		"its own blobs": {config: true, want: finding.RevisionLinkMissing},
		"neither":       {want: finding.TagTargetForeign},
	} {
		t.Run(name, func(t *testing.T) {
			b := fixtures.New(4)
			m := b.Image("a", "v1", fixtures.Image{Layers: []int{30}})
			b.Erase(m.RevisionKey())
			if !rebuilt.HistoryEntry {
				b.Erase(layout.HistoryKey("a", "v1", m.Digest))
			}
			if !rebuilt.config {
				b.Erase(m.LayerKey(0))
			}
			r := examine(t, b.Memory(), func(*Options) {})
			for _, id := range []finding.Kind{finding.RevisionLinkMissing, finding.TagTargetForeign} {
				if want := id == rebuilt.want; (r.Counts[id].Count == 1) != want {
					t.Errorf("%v is found: %v", id, !want)
				}
			}
		})
	}
}

// TestAnUnreadableTargetIsNotForeign: what can't be read may be of this repository.
func TestAnUnreadableTargetIsNotForeign(t *testing.T) {
	for _, readable := range []bool{true, false} {
		b := fixtures.New(4)
		b.Image("a", "v1", fixtures.Image{Layers: []int{20}})
		m := b.Image("p", "v", fixtures.Image{Layers: []int{30}})
		b.Edit(layout.CurrentKey("a", "v1"), func([]byte) []byte { return []byte(m.Digest.String()) })
		var rule fixtures.Rule
		if !readable {
			rule = failing(m.Key(), fixtures.OpOpen, fixtures.OpRead)
		}
		r := examine(t, fixtures.NewFaulty(b.Memory(), rule), func(*Options) {})
		if n := r.Counts[finding.TagTargetForeign].Count; (n == 1) != readable {
			t.Errorf("readable %v: %d foreign targets", readable, n)
		}
	}
}

// TestCommonBlobsAreNoEvidence: a blob of many images is no evidence of one.
func TestCommonBlobsAreNoEvidence(t *testing.T) {
	b := fixtures.New(5)
	empty := b.Push("private", "application/vnd.oci.empty.v1+json", []byte("{}"))
	secret := b.PushManifest("private", "v1", fixtures.OCIManifest,
		[]byte(`{"schemaVersion":2,"mediaType":"`+fixtures.OCIManifest+`","config":{"digest":"`+empty.Digest.String()+`"},"layers":[],"annotations":{"a":"secret"}}`))
	b.Mount("evil", empty.Digest)
	b.Index("evil", "v1", secret)
	for f := range examine(t, b.Memory(), func(o *Options) { o.Now = o.Now.Add(time.Hour) }).Findings {
		if f.Kind == finding.RevisionLinkMissing {
			t.Errorf("evil gets %s", f.Path)
		}
	}
}

// TestTheHistoryOfAForeignTarget: the old targets of a tag whose target was never pushed here
// are kept with all that they need, even without a revision link.
func TestTheHistoryOfAForeignTarget(t *testing.T) {
	b := fixtures.New(1)
	child := b.Image("a", "", fixtures.Image{})
	index := b.Index("a", "v1", child)
	private := b.Image("p", "v", fixtures.Image{})
	b.Edit(layout.CurrentKey("a", "v1"), func([]byte) []byte { return []byte(private.Digest.String()) })
	b.Erase(index.RevisionKey())
	b.Erase(child.RevisionKey())
	for _, line := range garbage(examine(t, b.Memory(), untagged)) {
		for _, blob := range append(child.Blobs, index.Descriptor, child.Descriptor) {
			if strings.Contains(line, blob.Key()) {
				t.Errorf("%s, which the tag may need", line)
			}
		}
	}
}
