package check

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/walker/layout"
)

// signatureOf returns the tag of a manifest's signature.
func signatureOf(m fixtures.Manifest) string {
	return strings.Replace(m.Digest.String(), ":", "-", 1) + ".sig"
}

// signedIn adds a signature of a manifest to another repository.
func signedIn(b *fixtures.Builder, repo string, m fixtures.Manifest) {
	m.Repository = repo
	b.Cosign(m, "sig")
}

// orphaned returns the orphaned signatures of a check, with their cures.
func orphaned(r *Result) (all []string) {
	for f := range r.Findings {
		if f.Kind == finding.SignatureOrphaned {
			all = append(all, f.Path+" "+string(f.Cure))
		}
	}
	return all
}

// TestSignaturesInARepositoryOfTheirOwn: a signature's subject is looked up in the whole
// store.
func TestSignaturesInARepositoryOfTheirOwn(t *testing.T) {
	b := fixtures.New(1)
	image := b.Image("app", "v1", fixtures.Image{})
	untagged := b.Image("app", "", fixtures.Image{})
	index := b.Platforms("zoo/multi", "v1", "linux/amd64", "linux/arm64")
	for _, m := range []fixtures.Manifest{image, untagged, index, index.Children[0]} {
		signedIn(b, "sigs", m)
	}
	if got := orphaned(examine(t, b.Memory(), nil)); len(got) > 0 {
		t.Errorf("all images are there, and orphaned are %q", got)
	}
	b.Unlink(index.Children[0].RevisionKey()) // the index still has it
	if got := orphaned(examine(t, b.Memory(), nil)); len(got) > 0 {
		t.Errorf("an index names it, and orphaned are %q", got)
	}
	b.RemoveAll(layout.RepositoryKey("zoo/multi"))
	got, want := orphaned(examine(t, b.Memory(), nil)), []string{}
	for _, m := range []fixtures.Manifest{index, index.Children[0]} {
		want = append(want, layout.CurrentKey("sigs", signatureOf(m))+" remove-ask")
	}
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("orphaned are %q, want %q", got, want)
	}
	b.RemoveAll(layout.RepositoryKey("app"))
	r := examine(t, b.Memory(), nil)
	if got := orphaned(r); len(got) != 4 || strings.Contains(strings.Join(got, " "), "remove-ask") {
		t.Errorf("with no image here, they are offered: %q", got)
	}
	for f := range r.Findings {
		if f.Kind == finding.SignatureOrphaned && !strings.Contains(f.Detail, "in another registry") {
			t.Errorf("it isn't said that the image may be elsewhere: %q", f.Detail)
		}
	}
	b.Image("sigs", "tool", fixtures.Image{})
	if got := orphaned(examine(t, b.Memory(), nil)); len(got) != 4 || strings.Contains(strings.Join(got, " "), "none") {
		t.Errorf("with an image beside them they aren't offered: %q", got)
	}
	b.Lock("database-in-use")
	if got := orphaned(examine(t, b.Memory(), nil)); len(got) > 0 {
		t.Errorf("where links are in a database, %q are orphaned", got)
	}
}

// TestARemovalReportsOrphanedSignatures: a removal lists signatures whose subject it removes.
func TestARemovalReportsOrphanedSignatures(t *testing.T) {
	b := fixtures.New(1)
	one, two := b.Image("app", "v1", fixtures.Image{}), b.Image("app", "v2", fixtures.Image{})
	b.Cosign(one, "sig") // removed too
	for _, m := range []fixtures.Manifest{one, two} {
		signedIn(b, "sigs", m)
	}
	elsewhere := func(m fixtures.Manifest) string {
		return "sigs:" + signatureOf(m)
	}
	m := b.Memory()
	for _, c := range []struct {
		name    string
		removal gc.Removal
		want    []string
	}{
		{"a tag", gc.Removal{Tags: map[string]map[string]string{"app": {"v1": "asked"}}}, []string{elsewhere(one)}},
		{"its link alone", gc.Removal{Tags: map[string]map[string]string{"app": {"v1": "asked"}}, TagsOnly: true}, nil},
		{"a repository", gc.Removal{Repositories: map[string]string{"app": "asked"}}, []string{elsewhere(one), elsewhere(two)}},
		{"with the signatures", gc.Removal{Repositories: map[string]string{"app": "asked", "sigs": "asked"}}, nil},
		{"the signatures", gc.Removal{Repositories: map[string]string{"sigs": "asked"}}, nil},
	} {
		r, _, err := Store(context.Background(), m, Options{Options: graph.Options{Now: oracle.Now}, Policy: gc.Policy{Removal: &c.removal}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range r.OrphanedReferrers {
			got = append(got, s.Ref())
		}
		slices.Sort(c.want)
		if slices.Sort(got); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q lose their image, want %q", c.name, got, c.want)
		}
	}
}

// TestALegacySignatureThatIsKept: one that is kept, in grace or because it is skipped, keeps
// its blob.
func TestALegacySignatureThatIsKept(t *testing.T) {
	b := fixtures.New(1)
	signed, key := b.Signature(b.Image("app", "v1", fixtures.Image{}))
	expect(t, examine(t, b.Memory(), nil), "blob-orphan "+signed.Key()+" remove", "signature-legacy "+key+" remove")
	left := examine(t, b.Memory(), func(o *Options) { o.Skip[finding.SignatureLegacy] = true })
	if n := left.Counts[finding.BlobOrphan].Count; n > 0 {
		t.Errorf("the signature is left alone, and %d blobs are called orphans", n)
	}
	b.Touch(key, b.Now().AddDate(1, 0, 0))
	nothingGoes(t, examine(t, b.Memory(), func(o *Options) { o.Grace = time.Hour }))
}
