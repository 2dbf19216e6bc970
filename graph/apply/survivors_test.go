package apply

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// fixedStores returns how many generated stores are fixed: half of those of the oracle, since
// each takes longer. A longer run: go test ./graph/apply -run Survivors -stores 20000. One
// store: go test ./graph/apply -run Survivors -stores 1 -seed 4711.
func fixedStores() uint64 { return (*oracle.Stores + 1) / 2 }

// TestSurvivorsAreWhatThePlanSays: after a fix exactly what its plan says remains, with what
// tags need; after a few fixes there are no steps, and undos restore the store.
func TestSurvivorsAreWhatThePlanSays(t *testing.T) {
	const groups = 8 // most of the time is spent waiting for the disk
	for group := range uint64(groups) {
		t.Run(fmt.Sprint(group), func(t *testing.T) {
			t.Parallel()
			var all tally
			for i := group; i < fixedStores(); i += groups {
				seed := *oracle.Seed + i
				for asked, policy := range plain() {
					if wrong := survive(t, seed, policy, &all); len(wrong) > 0 {
						_, story := randomStore(seed)
						t.Errorf("seed %d, policy %q:\n%s\nafter\n%s", seed, asked,
							strings.Join(wrong, "\n"), strings.Join(story, "\n"))
					}
				}
			}
			if fixedStores() >= 100 && (all.steps < 100 || all.halted*20 > all.fixes) {
				t.Errorf("too little was done: %+v", all)
			}
		})
	}
}

// tally is the totals of all stores.
type tally struct{ fixes, steps, halted int }

// complaints are the errors for one store.
type complaints []string

func (c *complaints) say(what, d string) {
	if d != "" {
		*c = append(*c, what+":\n"+d)
	}
}

// maxRuns is the most fixes of a store: one, one for what rebuilt links had kept, and one for
// new findings.
const maxRuns = 3

// survive fixes the store of a seed until there are no steps, and undoes everything. It
// returns the errors.
func survive(t *testing.T, seed uint64, policy gc.Policy, all *tally) (wrong complaints) {
	b, _ := randomStore(seed)
	m, state := b.Memory(), t.TempDir()
	first := dump(m)
	var runs []string
	for before := (*plan.Plan)(nil); ; {
		p, r := planned(t, m, policy)
		if before != nil && len(p.Steps) > 0 && !mayFollow(before) {
			wrong.say("one more fix would do", listed(p))
		}
		if len(p.Steps) == 0 {
			for f := range r.Findings {
				if f.Cure == finding.CureRemove && !f.InGrace || f.Cure == finding.CureRebuild {
					wrong.say("found, and not fixed", f.Kind.String()+" "+f.Path)
				}
			}
			break
		}
		if len(runs) == maxRuns {
			wrong.say("it never ends", listed(p))
			break
		}
		was := dump(m)
		out := carryOut(t, m, state, p, policy)
		all.fixes++
		all.steps += len(p.Steps)
		if halted(p, out) {
			all.halted++
		}
		wrong.afterFix(was, dump(m), p, out)
		runs, before = append(runs, out.Run), p
	}
	can := pulls(dump(m))
	for ref := range pulls(first) {
		if !can[ref] {
			wrong.say("can't be pulled any more", ref)
		}
	}
	undoAll(t, m, state, runs)
	wrong.say("after the undo", diff(first, dump(m)))
	return wrong
}

// afterFix compares the result of a fix with its plan.
func (c *complaints) afterFix(was, is map[string]string, p *plan.Plan, out *Outcome) {
	c.say("a tag's needs", lost(needs(was), was, is))
	if halted(p, out) { // it did less
		c.say("gone besides", strings.Join(deleted(survivors(was, p), bodies(is)), "\n"))
		return
	}
	for _, l := range out.NotDone {
		c.say("left", l.Step.Key+": "+l.Reason)
	}
	c.say("not what the plan says", diff(survivors(was, p), bodies(is)))
}

func planned(t *testing.T, m *fixtures.Memory, policy gc.Policy) (*plan.Plan, *check.Result) {
	t.Helper()
	r, _, err := check.Store(context.Background(), m, options(policy))
	if err != nil {
		t.Fatal(err)
	}
	return plan.New(r, policy), r
}

// carryOut carries out a plan, without limits for missing blobs.
func carryOut(t *testing.T, m *fixtures.Memory, state string, p *plan.Plan, policy gc.Policy) *Outcome {
	t.Helper()
	in := input(m.Store(), state, p, policy)
	in.Limits.MaxDelete = 1
	out, err := Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// random builds a random store and damages it.
type random struct {
	*fixtures.Builder
	*rand.Rand
	images []fixtures.Manifest
	blobs  []fixtures.Descriptor
}

// randomStore returns the store of a seed, and how it was made.
func randomStore(seed uint64) (*fixtures.Builder, []string) {
	r := random{Builder: fixtures.New(seed), Rand: rand.New(rand.NewPCG(seed, 11))}
	if seed%10 == 0 {
		r.Builder = fixtures.Standard().Clone(seed)
	}
	var story []string
	for range 3 {
		story = append(story, r.image(), r.loose())
	}
	for range 2 + r.IntN(8) {
		story = append(story, r.grow())
	}
	for range r.IntN(6) {
		story = append(story, r.spoil())
	}
	return r.Builder, story
}

func one[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

func (r *random) repo() string { return one(r.Rand, "a", "a/b", "c") }

func (r *random) tag() string { return one(r.Rand, "", "", "v1", "v2", "v3") }

func (r *random) image() string {
	repo, tag, want := r.repo(), r.tag(), fixtures.Image{Layers: []int{20}}
	if len(r.images) > 0 && r.IntN(2) == 0 {
		want.Shared = one(r.Rand, r.images...).Blobs
		want.Shared = want.Shared[min(1, len(want.Shared)):]
	}
	r.images = append(r.images, r.Image(repo, tag, want))
	return fmt.Sprintf("image %s:%s %s", repo, tag, r.images[len(r.images)-1].Digest)
}

func (r *random) loose() string {
	repo := r.repo()
	d := r.Push(repo, fixtures.OCILayer, fmt.Appendf(nil, "blob %d", len(r.blobs)))
	r.blobs = append(r.blobs, d)
	return fmt.Sprintf("blob in %s %s", repo, d.Digest)
}

// grow adds something that a registry may have.
func (r *random) grow() string {
	repo, tag, m := r.repo(), r.tag(), one(r.Rand, r.images...)
	at := fmt.Sprintf(" %s:%s of %s", repo, tag, m.Digest)
	switch r.IntN(15) {
	case 0:
		r.images = append(r.images, r.Index(repo, tag, m, one(r.Rand, r.images...)))
		return "index" + at
	case 1:
		m.Repository = repo
		r.images = append(r.images, r.Referrer(m, "application/x"))
		return "referrer" + at
	case 2:
		r.Cosign(m, "sig")
		return "signature" + at
	case 3:
		r.BuildKitCache(repo, "cache", 2)
		return "cache" + at
	case 4:
		return "alias " + r.Alias(repo, r.Push(repo, "x/y", fmt.Appendf(nil, "aliased %d", r.IntN(5))))
	case 5:
		r.Tag(repo, "v4", m.Digest)
		return "tag v4" + at
	case 6, 7:
		return r.delete(m)
	case 8:
		return "upload " + r.Upload(repo, 30)
	case 9:
		return "temp " + r.Temp(one(r.Rand, r.Keys()...))
	case 10:
		_, key := r.Signature(m)
		return "legacy " + key
	case 11:
		return r.loose()
	case 12:
		return r.foreign(one(r.Rand, r.Keys()...))
	case 13:
		return r.foreign(r.Upload(repo, 10) + "/data")
	}
	return r.image()
}

// foreign adds a foreign file beside a file or above it.
func (r *random) foreign(key string) string {
	dir := path.Dir(key)
	for r.IntN(3) == 0 && dir != layout.Root {
		dir = path.Dir(dir)
	}
	r.Put(dir+"/notes", []byte("somebody's"))
	return "foreign in " + dir
}

// delete deletes a manifest as a registry does, and maybe its blobs.
func (r *random) delete(m fixtures.Manifest) string {
	if !r.Has(m.RevisionKey()) {
		return "nothing to delete"
	}
	r.DeleteManifest(m)
	if r.IntN(2) == 0 {
		return fmt.Sprintf("deleted %s@%s", m.Repository, m.Digest)
	}
	for i := range m.Blobs {
		if r.Has(m.LayerKey(i)) { // an image may have a layer twice
			r.Erase(m.LayerKey(i))
		}
	}
	return fmt.Sprintf("deleted %s@%s and its layer links", m.Repository, m.Digest)
}

// spoil damages one object, or sets a new time.
func (r *random) spoil() string {
	keys := slices.DeleteFunc(r.Keys(), func(key string) bool { return !strings.HasPrefix(key, layout.Root) })
	if r.IntN(2) == 0 { // links of manifests are chosen more often than their number
		keys = slices.DeleteFunc(keys, func(key string) bool { return !strings.Contains(key, "/_manifests/") })
	}
	if len(keys) == 0 {
		return "nothing to spoil"
	}
	key := one(r.Rand, keys...)
	link := strings.HasSuffix(key, "/link")
	switch kind := r.IntN(10); {
	case kind == 0:
		r.Edit(key, func(body []byte) []byte { return body[:r.IntN(len(body)+1)] })
		return "cut " + key
	case kind == 1 && link:
		r.Edit(key, func(body []byte) []byte { return append(body, '\n') })
		return "newline " + key
	case kind == 2 && link:
		to := one(r.Rand, one(r.Rand, r.images...).Digest, one(r.Rand, r.blobs...).Digest)
		r.Edit(key, func([]byte) []byte { return []byte(to.String()) })
		return fmt.Sprintf("%s holds %s", key, to)
	case kind == 3:
		r.Touch(key, now.Add(-time.Minute))
		return "young " + key
	case kind == 4:
		r.Unlink(key)
		return "unlinked " + key
	case kind == 5 && !link:
		r.Edit(key, func(body []byte) []byte { return append(body, 'x') })
		return "longer " + key
	case kind == 6:
		return r.foreign(key)
	}
	r.Erase(key)
	return "erased " + key
}

// mayFollow reports whether one fix may need another: a rebuilt link keeps its old content
// until then, and a tag's empty directory, like a broken revision link, pins its repository.
func mayFollow(first *plan.Plan) bool {
	return slices.ContainsFunc(first.Steps, func(s plan.Step) bool {
		return s.Op == plan.Write || s.Kind == plan.Directory && strings.Contains(s.Key, "/_manifests/tags/") ||
			s.Kind == plan.RevisionLink && s.IsLink() && string(s.Content) != s.Digest
	})
}

// halted reports whether a run wrote links and removed nothing because a removal didn't
// follow any more: a repaired tag may need a revision link where an empty directory was to be
// removed.
func halted(p *plan.Plan, out *Outcome) bool {
	return len(out.NotDone) > 0 && writes(p) && !slices.ContainsFunc(out.NotDone, func(l NotDone) bool {
		return !strings.Contains(l.Reason, "changed while links were written")
	})
}

func writes(p *plan.Plan) bool {
	return slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Op == plan.Write })
}

func listed(p *plan.Plan) string {
	var lines []string
	for _, s := range p.Steps {
		lines = append(lines, fmt.Sprint(s.Op, " ", s.Key, ": ", s.Finding))
	}
	return strings.Join(lines, "\n")
}

// survivors returns the files of a store after a plan: without those removed, with those
// written. Directories of uploads are removed with their content, others only if they are
// empty.
func survivors(was map[string]string, p *plan.Plan) map[string]string {
	left := bodies(was)
	for _, s := range p.Steps {
		switch {
		case s.Op == plan.Write:
			left[s.Key] = string(s.Body)
		case s.Kind == plan.Upload && strings.HasSuffix(s.Key, "/"):
			for key := range left {
				if _, foreign := layout.Parse(key); strings.HasPrefix(key, s.Key) && foreign == nil {
					delete(left, key)
				}
			}
		default:
			delete(left, s.Key)
		}
	}
	return left
}

// bodies returns the files of a dump without times.
func bodies(all map[string]string) map[string]string {
	files := map[string]string{}
	for key, content := range all {
		if !strings.HasSuffix(key, "/") {
			_, files[key], _ = strings.Cut(content, " ")
		}
	}
	return files
}
