package apply

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/graph/gc"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// asking returns a policy that removes references: "repo", "repo:tag", "repo@sha256:…".
func asking(refs ...string) gc.Policy {
	r := &gc.Removal{Repositories: map[string]string{}, Tags: map[string]map[string]string{}, Manifests: map[string]map[string]string{}}
	for _, ref := range refs {
		repo, digest, byDigest := strings.Cut(ref, "@")
		repo, tag, byTag := strings.Cut(repo, ":")
		switch {
		case byDigest && r.Manifests[repo] == nil:
			r.Manifests[repo] = map[string]string{digest: "asked for"}
		case byDigest:
			r.Manifests[repo][digest] = "asked for"
		case byTag && r.Tags[repo] == nil:
			r.Tags[repo] = map[string]string{tag: "asked for"}
		case byTag:
			r.Tags[repo][tag] = "asked for"
		default:
			r.Repositories[repo] = "asked for"
		}
	}
	return gc.Policy{Removal: r}
}

// remove removes references, and compares the result with its plan.
func remove(t *testing.T, m *fixtures.Memory, state string, refs ...string) (*plan.Plan, *Outcome) {
	t.Helper()
	policy := asking(refs...)
	p, r := planned(t, m, policy)
	if len(r.Rejected) > 0 {
		t.Fatalf("denied: %+v", r.Rejected)
	}
	was := dump(m)
	out := carryOut(t, m, state, p, policy)
	var wrong complaints
	wrong.afterRemoval(was, dump(m), p, out)
	if len(wrong) > 0 {
		t.Fatal(strings.Join(wrong, "\n"))
	}
	return p, out
}

// afterRemoval compares the result of a removal with its plan, and with what other tags need.
func (c *complaints) afterRemoval(was, is map[string]string, p *plan.Plan, out *Outcome) {
	for _, l := range out.NotDone {
		c.say("left", l.Step.Key+": "+l.Reason)
	}
	c.say("not what the plan says", diff(survivors(was, p), bodies(is)))
	rest := maps.Clone(was)
	for _, s := range p.Steps {
		if s.Kind.IsTag() {
			delete(rest, s.Key)
		}
	}
	c.say("a tag's needs", lost(needs(rest), was, is))
	can := pulls(is)
	for ref := range pulls(rest) {
		if !can[ref] {
			c.say("can't be pulled any more", ref)
		}
	}
	if gone := size(was) - size(is); gone != p.Bytes() || !out.Keep && gone != out.Freed {
		c.say("bytes", fmt.Sprintf("%d were removed, %d were announced, %d are reported as freed", gone, p.Bytes(), out.Freed))
	}
}

// size returns the bytes of a store.
func size(all map[string]string) (n int64) {
	for _, body := range bodies(all) {
		n += int64(len(body))
	}
	return n
}

// randomRefs returns random references of a store.
func randomRefs(was map[string]string, r *rand.Rand) (refs []string) {
	repositories := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(was)) {
		k, err := layout.Parse(key)
		switch {
		case err != nil || k.Repository == "" || !layout.ValidRepository(k.Repository):
		case k.Kind == layout.TagCurrent && r.IntN(3) == 0:
			refs = append(refs, k.Repository+":"+k.Tag)
		case k.Kind == layout.Revision && r.IntN(20) == 0:
			refs = append(refs, k.Repository+"@sha256:"+k.Hex)
		default:
			repositories[k.Repository] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(repositories)) {
		if r.IntN(5) == 0 {
			refs = append(refs, name)
		}
	}
	return refs
}

// TestARemovalLeavesWhatItsPlanSays: what remains is exactly what the plan says, with all
// that other tags need; the announced bytes are freed; an undo restores all.
func TestARemovalLeavesWhatItsPlanSays(t *testing.T) {
	const groups = 8
	for group := range uint64(groups) {
		t.Run(fmt.Sprint(group), func(t *testing.T) {
			t.Parallel()
			steps := 0
			for i := group; i < fixedStores(); i += groups {
				seed := *oracle.Seed + i
				for _, keep := range []bool{true, false} {
					b, story := randomStore(seed)
					refs, wrong := removeSome(t, b.Memory(), seed, keep, &steps)
					if len(wrong) > 0 {
						t.Errorf("seed %d, keep %v, %v:\n%s\nafter\n%s", seed, keep, refs, strings.Join(wrong, "\n"), strings.Join(story, "\n"))
					}
				}
			}
			if fixedStores() >= 100 && steps < 300 {
				t.Errorf("only %d steps were taken", steps)
			}
		})
	}
}

func removeSome(t *testing.T, m *fixtures.Memory, seed uint64, keep bool, steps *int) (refs []string, wrong complaints) {
	was, state := dump(m), t.TempDir()
	refs = randomRefs(was, rand.New(rand.NewPCG(seed, 3)))
	policy := asking(refs...)
	policy.Untagged = seed%3 == 0
	p, r := planned(t, m, policy)
	if len(r.Rejected) > 0 && len(p.Steps) > 0 {
		wrong.say("planned though denied", listed(p))
	}
	in := input(m.Store(), state, p, policy)
	in.Run.Keep, in.Limits.AnyAmount, in.Limits.MaxDelete, in.Limits.NoUndoOK = keep, true, 1, true
	out, err := Run(context.Background(), in)
	if err != nil {
		wrong.say("refused", err.Error())
		return refs, wrong
	}
	*steps += len(p.Steps)
	wrong.afterRemoval(was, dump(m), p, out)
	if keep && out.Run != "" {
		undoAll(t, m, state, []string{out.Run})
		wrong.say("after the undo", diff(was, dump(m)))
	}
	return refs, wrong
}

// TestRemovals: known cases, with what remains and what doesn't.
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
		"a platform of an index that is kept": func(b *fixtures.Builder) (refs, gone, kept []string) {
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
		"while a signature's tag is broken that is kept": func(b *fixtures.Builder) (refs, gone, kept []string) {
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
					t.Errorf("removed: %s", key)
				}
			}
			undoAll(t, m, state, []string{out.Run})
			if d := diff(was, dump(m)); d != "" {
				t.Errorf("after the undo:\n%s", d)
			}
		})
	}
}

// TestRejections: a digest that something kept needs can't be removed; the reason is
// reported, and there is no plan.
func TestRejections(t *testing.T) {
	b := fixtures.New(1)
	child, tagged := b.Image("r", "", fixtures.Image{}), b.Image("r", "v1", fixtures.Image{})
	index := b.Index("r", "many", child)
	b.Image("odd", "v1", fixtures.Image{})
	b.Put(layout.TagKey("odd", "-x")+"/current/link", []byte(tagged.Digest.String()))
	for ref, why := range map[string]string{
		"r@" + child.Digest.String():  "the index " + index.Digest.String(),
		"r@" + tagged.Digest.String(): "the tag v1",
		"odd":                         "its tag -x is not a name",
		"odd:-x":                      "its name is not one",
	} {
		policy := asking(ref, "r:many")
		if strings.HasPrefix(ref, "r@") {
			policy = asking(ref)
		}
		m := b.Memory()
		p, r := planned(t, m, policy)
		if len(p.Steps) > 0 || len(r.Rejected) != 1 || r.Rejected[0].Ref != ref || !strings.Contains(r.Rejected[0].Why, why) {
			t.Errorf("%s: %d steps, %+v", ref, len(p.Steps), r.Rejected)
		}
		if refusals := Refusals(r, p, Limits{}, Facts{}); len(refusals) != 1 || !strings.Contains(refusals[0].Why, ref) {
			t.Errorf("%s: refused for %+v", ref, refusals)
		}
	}
	p, r := planned(t, b.Memory(), asking("r@"+child.Digest.String(), "r:many"))
	if len(p.Steps) == 0 || len(r.Rejected) > 0 {
		t.Errorf("with the index it needn't stay: %d steps, %+v", len(p.Steps), r.Rejected)
	}
}

// TestAMovedTagMakesARemovalStale: a saved plan is refused if a tag of it was moved or has a
// new target.
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
		in := input(store.Store(), t.TempDir(), p, gc.Policy{Removal: policy.Removal})
		in.Limits.AnyAmount = true
		if out, err := Run(t.Context(), in); err == nil {
			t.Errorf("%s: it ran, %+v", name, out)
		}
		if d := diff(was, dump(store)); d != "" {
			t.Errorf("%s: changed\n%s", name, d)
		}
	}
}

// TestARepositoryWithForeignFiles: of a removed repository the registry's own files are
// removed; foreign files are kept, with their directories, and reported.
func TestARepositoryWithForeignFiles(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	b.Image("kept", "v1", fixtures.Image{})
	top := layout.RepositoryKey("a")
	upload := b.Upload("a", 30)
	foreign := []string{
		top + "/_manifests/tags/@eaDir/v1", top + "/_uploads/@eaDir/x", upload + "/@eaDir/data", upload + "/_x/y",
	}
	for _, key := range foreign {
		b.Put(key, []byte("somebody's"))
	}
	b.Mkdir(upload + "/.snapshot")
	m, state := b.Memory(), t.TempDir()
	was := dump(m)
	p, _ := remove(t, m, state, "a")
	is := dump(m)
	stay(t, was, is, append(foreign, upload+"/.snapshot/")...)
	for key := range is {
		if own := strings.HasPrefix(key, top) && !strings.HasSuffix(key, "/"); own && !strings.Contains(strings.Join(foreign, " "), key) {
			t.Errorf("%s is left", key)
		}
	}
	named := false
	for _, s := range p.Steps {
		named = named || strings.Contains(s.Reason, foreign[0]+" is kept")
	}
	if !named {
		t.Errorf("no step says what is kept: %+v", p.Steps)
	}
	if !pulls(is)["kept:v1"] {
		t.Error("kept:v1 can't be pulled any more")
	}
	undoRest(t, m, state)
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
}
