package apply

import (
	"context"
	"errors"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
)

// What was pushed again since a plan was made, byte for byte the same, isn't what
// somebody wanted to go: the plan is refused.
func TestWhatIsPushedAgainDoesNotGo(t *testing.T) {
	untagged := graph.Policy{Untagged: true}
	for name, c := range map[string]struct {
		policy graph.Policy
		again  func(*fixtures.Builder, fixtures.Manifest)
	}{
		"a tag that is named":              {asking("a:v1"), pushTag},
		"a tag of a repository that goes":  {asking("a"), pushTag},
		"a manifest of a tag that goes":    {asking("a:v1"), pushManifest},
		"a manifest of a whole repository": {asking("a"), pushManifest},
		"a manifest that no tag leads to":  {untagged, pushManifest},
	} {
		t.Run(name, func(t *testing.T) {
			b := fixtures.New(1)
			b.Image("a", "v2", fixtures.Image{})
			tag := "v1"
			if c.policy.Untagged {
				tag = ""
			}
			image := b.Image("a", tag, fixtures.Image{})
			p, _ := planned(t, b.Memory(), c.policy)
			if len(p.Steps) == 0 {
				t.Fatal("nothing is planned")
			}
			b.SetClock(now.AddDate(0, -1, 0)) // long enough ago that nothing is in grace
			c.again(b, image)
			m := b.Memory()
			was := dump(m)
			in := input(m.Store(), t.TempDir(), p, c.policy)
			in.Limits.AnyAmount = true
			var no *Refused
			if _, err := Run(context.Background(), in); !errors.As(err, &no) {
				t.Errorf("%v, and should be refused", err)
			}
			if d := diff(was, dump(m)); d != "" {
				t.Error(d)
			}
		})
	}
}

// pushTag is the end of a push of what a repository has already.
func pushTag(b *fixtures.Builder, m fixtures.Manifest) { b.Tag("a", "v1", m.Digest) }

// pushManifest is what a push by digest leaves of a manifest that is there.
func pushManifest(b *fixtures.Builder, m fixtures.Manifest) {
	b.Put(m.RevisionKey(), []byte(m.Digest.String()))
}
