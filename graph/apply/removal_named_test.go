package apply

import (
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/walker/layout"
)

// The cases that removals are known for: what is named, what is there afterwards
// and what isn't.
func TestRemovals(t *testing.T) {
	for name, c := range map[string]func(b *fixtures.Builder) (refs, gone, kept []string){
		"two tags, one digest": func(b *fixtures.Builder) (refs, gone, kept []string) {
			m := b.Image("r", "v1", fixtures.Image{})
			b.Tag("r", "v2", m.Digest)
			return []string{"r:v1"}, []string{layout.CurrentKey("r", "v1"), layout.HistoryKey("r", "v1", m.Digest)},
				[]string{layout.CurrentKey("r", "v2"), m.RevisionKey(), m.LayerKey(1), m.Key()}
		},
		"the last tag": func(b *fixtures.Builder) (refs, gone, kept []string) {
			m := b.Image("r", "v1", fixtures.Image{})
			before := b.Image("r", "", fixtures.Image{})
			return []string{"r:v1"}, []string{m.RevisionKey(), m.LayerKey(1), m.Key(), m.Blobs[0].Key(), m.Blobs[1].Key()},
				[]string{before.RevisionKey(), before.LayerKey(1)}
		},
		"an index whose platform is tagged": func(b *fixtures.Builder) (refs, gone, kept []string) {
			amd, arm := b.Image("r", "amd", fixtures.Image{}), b.Image("r", "", fixtures.Image{})
			index := b.Index("r", "v1", amd, arm)
			return []string{"r:v1"}, []string{index.RevisionKey(), arm.RevisionKey(), arm.Blobs[0].Key()}, []string{amd.RevisionKey(), amd.LayerKey(1)}
		},
		"a platform of an index that stays": func(b *fixtures.Builder) (refs, gone, kept []string) {
			amd := b.Image("r", "amd", fixtures.Image{})
			b.Index("r", "v1", amd)
			return []string{"r:amd"}, []string{layout.CurrentKey("r", "amd")}, []string{amd.RevisionKey(), amd.LayerKey(1)}
		},
		"nested neighbours": func(b *fixtures.Builder) (refs, gone, kept []string) {
			m, n := b.Image("r", "v1", fixtures.Image{}), b.Image("r/n", "v1", fixtures.Image{})
			b.Touch(m.LayerKey(1), now.Add(-time.Second))
			b.Upload("r", 5)
			return []string{"r"}, []string{m.RevisionKey(), m.Key(), m.Blobs[1].Key(), layout.RepositoryKey("r") + "/_uploads"},
				[]string{n.RevisionKey(), n.Blobs[0].Key()}
		},
		"signatures go with their subject": func(b *fixtures.Builder) (refs, gone, kept []string) {
			m, other := b.Image("r", "v1", fixtures.Image{}), b.Image("r", "v2", fixtures.Image{})
			ref, sig := b.Referrer(m, "application/x"), b.Cosign(m, "sig")
			fallback, stays := b.Fallback(m, ref), b.Cosign(other, "sig")
			tag := fixtures.FallbackTag(m.Digest)
			return []string{"r:v1"}, []string{
				ref.RevisionKey(), sig.RevisionKey(), fallback.RevisionKey(), sig.Blobs[0].Key(),
				layout.CurrentKey("r", tag), layout.CurrentKey("r", tag+".sig"),
			}, []string{stays.RevisionKey(), layout.CurrentKey("r", fixtures.FallbackTag(other.Digest)+".sig")}
		},
		"signatures stay with their subject": func(b *fixtures.Builder) (refs, gone, kept []string) {
			m := b.Image("r", "v1", fixtures.Image{})
			b.Tag("r", "v2", m.Digest)
			ref, sig := b.Referrer(m, "application/x"), b.Cosign(m, "sig")
			return []string{"r:v1"}, nil, []string{ref.RevisionKey(), sig.RevisionKey(), layout.CurrentKey("r", fixtures.FallbackTag(m.Digest)+".sig")}
		},
		"one signature by its digest": func(b *fixtures.Builder) (refs, gone, kept []string) {
			m := b.Image("r", "v1", fixtures.Image{})
			ref := b.Referrer(m, "application/x")
			return []string{"r@" + ref.Digest.String()}, []string{ref.RevisionKey(), ref.Blobs[1].Key()}, []string{m.RevisionKey()}
		},
		"a tag moved back": func(b *fixtures.Builder) (refs, gone, kept []string) {
			m, other := b.Image("r", "v1", fixtures.Image{}), b.Image("r", "v1", fixtures.Image{})
			b.Tag("r", "v1", m.Digest)
			return []string{"r:v1"}, []string{m.RevisionKey(), layout.HistoryKey("r", "v1", other.Digest)}, []string{other.RevisionKey(), other.LayerKey(1)}
		},
		"the history of another tag": func(b *fixtures.Builder) (refs, gone, kept []string) {
			m := b.Image("r", "v1", fixtures.Image{})
			b.Tag("r", "v2", m.Digest)
			b.Image("r", "v2", fixtures.Image{})
			return []string{"r:v1"}, []string{m.RevisionKey(), m.Key(), layout.HistoryKey("r", "v2", m.Digest)}, []string{layout.CurrentKey("r", "v2")}
		},
		"a corrupt manifest's last tag": func(b *fixtures.Builder) (refs, gone, kept []string) {
			m, other := b.Image("r", "v1", fixtures.Image{}), b.Image("r", "v2", fixtures.Image{})
			b.Edit(m.Key(), func(body []byte) []byte { return body[:20] })
			return []string{"r:v1"}, []string{m.RevisionKey(), m.Key(), m.LayerKey(1)}, []string{other.LayerKey(1)}
		},
		"while something else is broken": func(b *fixtures.Builder) (refs, gone, kept []string) {
			m, broken := b.Image("r", "v1", fixtures.Image{}), b.Image("r", "v2", fixtures.Image{})
			b.Erase(broken.Key())
			return []string{"r:v1"}, []string{layout.CurrentKey("r", "v1")}, []string{m.RevisionKey(), m.LayerKey(1), broken.RevisionKey()}
		},
		"while a signature's tag is broken that stays": func(b *fixtures.Builder) (refs, gone, kept []string) {
			m, other := b.Image("r", "v1", fixtures.Image{}), b.Image("r", "v2", fixtures.Image{})
			b.Tag("r", "stays", m.Digest)
			b.Cosign(m, "sig")
			key := layout.CurrentKey("r", fixtures.FallbackTag(m.Digest)+".sig")
			b.Edit(key, func([]byte) []byte { return []byte(m.Blobs[1].Digest.String()) })
			return []string{"r:v1", "r:v2"}, []string{layout.CurrentKey("r", "v2")}, []string{other.RevisionKey(), other.LayerKey(1), key}
		},
		"a young link elsewhere": func(b *fixtures.Builder) (refs, gone, kept []string) {
			m := b.Image("r", "v1", fixtures.Image{})
			b.Mount("s", m.Blobs[1].Digest)
			b.Touch(layout.LayerKey("s", m.Blobs[1].Digest), now.Add(-time.Minute))
			return []string{"r:v1"}, []string{m.RevisionKey(), m.LayerKey(1), m.Blobs[2].Key()}, []string{m.Blobs[1].Key(), layout.LayerKey("s", m.Blobs[1].Digest)}
		},
		"an old link elsewhere that nothing needs": func(b *fixtures.Builder) (refs, gone, kept []string) {
			m := b.Image("r", "v1", fixtures.Image{})
			b.Mount("s", m.Blobs[1].Digest)
			lone := b.Push("s", fixtures.OCILayer, []byte("garbage before"))
			return []string{"r:v1"}, []string{m.Blobs[1].Key(), layout.LayerKey("s", m.Blobs[1].Digest)}, []string{lone.Key(), layout.LayerKey("s", lone.Digest)}
		},
		"all of it young": func(b *fixtures.Builder) (refs, gone, kept []string) {
			b.SetClock(now.Add(-time.Minute))
			m := b.Image("r", "v1", fixtures.Image{})
			push := b.Push("r", fixtures.OCILayer, []byte("under way"))
			return []string{"r:v1"}, []string{m.RevisionKey(), m.LayerKey(1), m.Key(), m.Blobs[1].Key()}, []string{push.Key(), layout.LayerKey("r", push.Digest)}
		},
		"a layer that was asked for since": func(b *fixtures.Builder) (refs, gone, kept []string) {
			m := b.Image("r", "v1", fixtures.Image{})
			b.Touch(m.LayerKey(1), now.Add(-time.Minute))
			return []string{"r:v1"}, []string{m.RevisionKey(), m.LayerKey(2)}, []string{m.LayerKey(1), m.Blobs[1].Key()}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := fixtures.New(1)
			b.Image("other", "v1", fixtures.Image{})
			refs, gone, kept := c(b)
			m, state := b.Memory(), t.TempDir()
			was := dump(m)
			_, out := remove(t, m, state, refs...)
			is := dump(m)
			for _, key := range gone {
				for there := range is {
					if strings.HasPrefix(there, key) {
						t.Errorf("still there: %s", there)
					}
				}
			}
			for _, key := range kept {
				if _, there := is[key]; !there {
					t.Errorf("gone: %s", key)
				}
			}
			undoAll(t, m, state, []string{out.Run})
			if d := diff(was, dump(m)); d != "" {
				t.Errorf("after the undo:\n%s", d)
			}
		})
	}
}

// What something needs that stays can't be removed by its digest; who needs it is
// named, and nothing is planned.
func TestARemovalIsDenied(t *testing.T) {
	b := fixtures.New(1)
	child, tagged := b.Image("r", "", fixtures.Image{}), b.Image("r", "v1", fixtures.Image{})
	index := b.Index("r", "many", child)
	b.Image("odd", "v1", fixtures.Image{})
	b.Put(layout.TagKey("odd", "-x")+"/current/link", []byte(tagged.Digest.String()))
	for ref, why := range map[string]string{
		"r@" + child.Digest.String():  "the index " + index.Digest.String(),
		"r@" + tagged.Digest.String(): "the tag v1",
		"odd":                         "its tag -x is no name",
		"odd:-x":                      "its name is none",
	} {
		policy := asking(ref, "r:many")
		if strings.HasPrefix(ref, "r@") {
			policy = asking(ref)
		}
		m := b.Memory()
		p, r := planned(t, m, policy)
		if len(p.Steps) > 0 || len(r.Denied) != 1 || r.Denied[0].Ref != ref || !strings.Contains(r.Denied[0].Why, why) {
			t.Errorf("%s: %d steps, %+v", ref, len(p.Steps), r.Denied)
		}
		if refusals := Refusals(r, p, Limits{}, Facts{}); len(refusals) != 1 || !strings.Contains(refusals[0].Why, ref) {
			t.Errorf("%s: refused for %+v", ref, refusals)
		}
	}
	p, r := planned(t, b.Memory(), asking("r@"+child.Digest.String(), "r:many"))
	if len(p.Steps) == 0 || len(r.Denied) > 0 {
		t.Errorf("with the index it needn't stay: %d steps, %+v", len(p.Steps), r.Denied)
	}
}

// A saved plan is refused once a tag of it has moved, or means something new.
func TestAMovedTagMakesARemovalStale(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("r", "v1", fixtures.Image{})
	b.Image("r", "v2", fixtures.Image{})
	policy := asking("r:v1")
	p, _ := planned(t, b.Memory(), policy)
	for name, change := range map[string]func(*fixtures.Builder){
		"the tag moved":       func(b *fixtures.Builder) { b.Image("r", "v1", fixtures.Image{}) },
		"another tag came":    func(b *fixtures.Builder) { b.Tag("r", "v3", m.Digest) },
		"an index names it":   func(b *fixtures.Builder) { b.Index("r", "v3", m) },
		"another image came":  func(b *fixtures.Builder) { b.Image("s", "v1", fixtures.Image{Shared: m.Blobs[1:]}) },
		"a layer is on again": func(b *fixtures.Builder) { b.Touch(m.LayerKey(1), now) },
	} {
		later := b.Clone(2)
		change(later)
		store := later.Memory()
		was := dump(store)
		in := input(store.Store(), t.TempDir(), p, graph.Policy{Removal: policy.Removal})
		in.Limits.AnyAmount = true
		if out, err := Run(t.Context(), in); err == nil {
			t.Errorf("%s: it ran, %+v", name, out)
		}
		if d := diff(was, dump(store)); d != "" {
			t.Errorf("%s: changed\n%s", name, d)
		}
	}
}
