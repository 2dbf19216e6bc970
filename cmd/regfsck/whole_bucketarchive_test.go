package main

import (
	"slices"
	"testing"

	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/walker/layout"
)

// Objects in an archive class make images unpullable, whether the listing, the
// cache or a read tells of them; restored ones don't, nor does a class that is read
// at once.
func TestArchivedObjectsOfABucket(t *testing.T) {
	b := fixtures.Standard()
	m := b.Tagged("windows", "ltsc")
	layer, manifest := layout.BlobKey(m.Blobs[1].Digest), m.Key()
	f, s := bucketed(t)
	s.Make(t, "registry").Fill(t, s3test.From(b.Into, "some/path/"))
	f.store = "s3://registry/some/path"
	current, link := layout.CurrentKey("windows", "ltsc"), m.LayerKey(1)
	nobody := func(string) bool { return false }
	for _, c := range []struct {
		name, class, key string
		restored, cache  bool
		broken           bool
	}{
		{"a layer", "GLACIER", layer, false, true, true},
		{"a layer", "DEEP_ARCHIVE", layer, false, false, true},
		{"a restored layer", "GLACIER", layer, true, true, false},
		{"a layer at hand", "GLACIER_IR", layer, true, true, false},
		{"a manifest", "GLACIER", manifest, false, false, true},
		{"a known manifest", "GLACIER", manifest, false, true, true},
		{"a restored manifest", "DEEP_ARCHIVE", manifest, true, false, false},
		{"a restored, known manifest", "DEEP_ARCHIVE", manifest, true, true, false},
		{"a tag's link", "GLACIER", current, false, true, true},
		{"a restored tag's link", "GLACIER", current, true, true, false},
		{"a layer link", "DEEP_ARCHIVE", link, false, false, true},
		{"a restored layer link", "DEEP_ARCHIVE", link, true, false, false},
	} {
		is := func(key string) bool { return key == "some/path/"+c.key }
		restored := nobody
		if c.restored {
			restored = is
		}
		proxy := s3test.Front(t, s, s3test.Settings{})
		proxy.Inject(s3test.Fault{Do: s3test.Archive(c.class, is, restored)})
		flags := []string{"--s3-endpoint", proxy.Endpoint}
		if !c.cache {
			flags = append(flags, "--no-cache")
		}
		a := f.judge(t, flags...)
		var broken []string
		for _, tag := range a.Broken {
			broken = append(broken, tag.Ref)
		}
		want, code := []string(nil), 0
		if c.broken {
			want, code = []string{"windows:ltsc"}, 4
		}
		if !slices.Equal(broken, want) || a.Exit.Code != code || !a.Complete {
			t.Errorf("%s in %s, cache %t: broken are %q, exit %d, complete %t: %+v", c.name, c.class, c.cache, broken, a.Exit.Code, a.Complete, a.Findings)
		}
		if found := slices.ContainsFunc(a.Findings, func(f found) bool { return f.ID == "blob-archived" && f.Path == c.key }); found != c.broken {
			t.Errorf("%s in %s, cache %t: %+v", c.name, c.class, c.cache, a.Findings)
		}
	}
}
