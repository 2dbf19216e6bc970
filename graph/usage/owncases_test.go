package usage

import (
	"testing"

	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// takes returns the bytes of an image without the given layers.
func takes(m fixtures.Manifest, without ...fixtures.Descriptor) int64 {
	sum := m.Size
	for _, d := range m.Blobs {
		sum += d.Size
	}
	for _, d := range without {
		sum -= d.Size
	}
	return sum
}

// TestOwnOfTheUsualCases: own bytes in common cases, computed by hand.
func TestOwnOfTheUsualCases(t *testing.T) {
	b := fixtures.New(1)
	base := b.Image("base", "v1", fixtures.Image{Layers: []int{5000}})
	layer := base.Blobs[1]
	app := b.Image("app", "v1", fixtures.Image{Layers: []int{300}, Shared: []fixtures.Descriptor{layer}})
	twin := b.Image("twin", "a", fixtures.Image{})
	b.Tag("twin", "b", twin.Digest)

	amd := b.Image("multi", "", fixtures.Image{Platform: "linux/amd64"})
	arm := b.Image("multi", "arm", fixtures.Image{Platform: "linux/arm64"})
	index := b.Index("multi", "all", amd, arm)

	signed := b.Image("signed", "v1", fixtures.Image{})
	cosign := b.Cosign(signed, "sig")
	sbom := b.Referrer(signed, "application/x")
	fallback := b.Fallback(signed, sbom)

	nested := b.Image("app/nested", "v1", fixtures.Image{Layers: []int{40}, Shared: app.Blobs[1:]})
	loose := b.Push("app", "x", []byte("nobody's"))
	young := b.Push("base", "x", []byte("young, and nobody's yet"))
	b.Touch(layout.LayerKey("base", young.Digest), oracle.Now)

	r := examine(t, b.Memory(), summed)
	sigs := takes(cosign) + takes(sbom) + fallback.Size
	want := map[string][2]int64{ // own and shared
		"app":        {takes(app, app.Blobs[1:]...), takes(app) - takes(app, app.Blobs[1:]...)},
		"app/nested": {takes(nested, app.Blobs[1:]...), takes(app) - takes(app, app.Blobs[1:]...)},
		"base":       {takes(base, layer) + young.Size, layer.Size},
		"multi":      {index.Size + takes(amd) + takes(arm), 0},
		"signed":     {takes(signed) + sigs, 0},
		"twin":       {takes(twin), 0},
	}
	all, _ := Of(r.Marks, r.Broken).Repositories()
	for _, u := range all {
		if got := [2]int64{u.Own, u.Shared}; got != want[u.Name] {
			t.Errorf("%s owns and shares %d, not %d", u.Name, got, want[u.Name])
		}
	}
	if n := r.Counts[finding.BlobOrphan].Bytes; len(all) != len(want) || n != loose.Size {
		t.Errorf("%d repositories, %d bytes of garbage", len(all), n)
	}

	tags := map[string]int64{
		"twin:a": 0, "twin:b": 0, "multi:arm": 0, "multi:all": index.Size + takes(amd), "base:v1": takes(base, layer),
		"signed:v1": takes(signed) + sigs,
		"signed:" + fixtures.FallbackTag(signed.Digest) + ".sig": takes(cosign),
		"signed:" + fixtures.FallbackTag(signed.Digest):          fallback.Size,
	}
	for _, name := range Of(r.Marks, r.Broken).Names() {
		uses, pinned := Of(r.Marks, r.Broken).Tags(name)
		for _, u := range uses {
			if want, ok := tags[name+":"+u.Name]; ok && (u.Own != want || pinned != "") {
				t.Errorf("%s:%s owns %d, not %d (%s)", name, u.Name, u.Own, want, pinned)
			}
			if name == "signed" && u.Name == "v1" && len(u.Referrers) != 2 {
				t.Errorf("about %s are %+v", u.Name, u.Referrers)
			}
		}
	}
}

// ownOf returns the own bytes of a repository's tags.
func ownOf(t *testing.T, b *fixtures.Builder, repository string) map[string]int64 {
	t.Helper()
	uses, pinned := usageOf(examine(t, b.Memory(), summed)).Tags(repository)
	if pinned != "" {
		t.Errorf("%s: %s", repository, pinned)
	}
	own := map[string]int64{}
	for _, u := range uses {
		own[u.Name] = u.Own
	}
	return own
}

// TestAYoungHistoryOwnsTheManifestToo: another tag's history entry keeps a manifest only
// while it is in grace.
func TestAYoungHistoryOwnsTheManifestToo(t *testing.T) {
	b := fixtures.New(1)
	old := b.Image("a", "v1", fixtures.Image{})
	b.Image("a", "v1", fixtures.Image{})
	b.Tag("a", "v2", old.Digest)
	if own := ownOf(t, b, "a")["v2"]; own != takes(old) {
		t.Errorf("%d, not %d", own, takes(old))
	}
	b.Touch(layout.HistoryKey("a", "v1", old.Digest), oracle.Now)
	if own := ownOf(t, b, "a")["v2"]; own != takes(old)-old.Size {
		t.Errorf("%d while the history is young, not %d", own, takes(old)-old.Size)
	}
}

// TestATagOnItsOwnChild: a referrers tag whose subject only it leads to is removed with it.
func TestATagOnItsOwnChild(t *testing.T) {
	b := fixtures.New(1)
	image := b.Image("a", "", fixtures.Image{})
	index := b.Fallback(image, image)
	other := b.Image("a", "v1", fixtures.Image{})
	own := ownOf(t, b, "a")
	if own["v1"] != takes(other) || own[fixtures.FallbackTag(image.Digest)] != index.Size+takes(image) {
		t.Errorf("%v", own)
	}
}
