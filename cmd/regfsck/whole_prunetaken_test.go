package main

import (
	"crypto/sha512"
	"fmt"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// spoken is a store with tags that go and a manifest without a tag, which something
// speaks for.
func spoken(speak func(b *fixtures.Builder) fixtures.Manifest) (b *fixtures.Builder, stays fixtures.Manifest) {
	b = fixtures.New(1)
	for _, tag := range []string{"v1", "v2", "v3"} {
		b.Image("other", tag, fixtures.Image{})
	}
	return b, speak(b)
}

// A rule takes no manifest without a tag that a fix would keep, and what it can't
// take in one repository keeps nothing in the others.
func TestARuleTakesNoManifestThatAFixKeeps(t *testing.T) {
	for name, c := range map[string]struct {
		why   string
		speak func(b *fixtures.Builder) fixtures.Manifest
	}{
		"young": {"within the grace period", func(b *fixtures.Builder) fixtures.Manifest {
			b.Image("app", "v1", fixtures.Image{})
			return b.Image("app", "", fixtures.Image{})
		}},
		"an uncertain tag": {"the tag lost may mean it", func(b *fixtures.Builder) fixtures.Manifest {
			m := b.Image("app", "lost", fixtures.Image{})
			b.Erase(layout.HistoryKey("app", "lost", m.Digest))
			b.Edit(layout.CurrentKey("app", "lost"), func([]byte) []byte { return nil })
			return m
		}},
		"a subject by another algorithm": {"another algorithm's digest", func(b *fixtures.Builder) fixtures.Manifest {
			m := b.Image("app", "v1", fixtures.Image{})
			file, _ := b.File(m.Key())
			form := `{"schemaVersion":2,"config":{"digest":%q},"subject":{"digest":"sha512:%x"}}`
			return b.PushManifest("app", "", fixtures.OCIManifest, fmt.Appendf(nil, form, m.Blobs[0].Digest, sha512.Sum512(file.Body)))
		}},
		"a broken neighbour": {"something of its repository is broken", func(b *fixtures.Builder) fixtures.Manifest {
			broken := b.Image("app", "v1", fixtures.Image{})
			b.Edit(broken.Key(), func([]byte) []byte { return nil })
			return b.Image("app", "", fixtures.Image{})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b, m := spoken(c.speak)
			f := newFix(t, b)
			grace := "0s"
			if name == "young" {
				grace = "100000h"
			}
			args := []string{"prune", "STORE", "--keep-last", "1", "--untagged", "--grace", grace}
			if exit := f.run(append(args, "--json")...); exit&^4 != 0 || !strings.Contains(f.out.String(), c.why) {
				t.Errorf("exit %d, and lacks %q:\n%s%s", exit, c.why, f.out.String(), f.errs.String())
			}
			if exit := f.run(append(args, "--apply", "--yes")...); exit&^4 != 0 {
				t.Errorf("exit %d, %s", exit, f.errs.String())
			}
			left := f.content(t)
			for _, key := range []string{m.RevisionKey(), m.Key()} {
				if _, ok := left[key]; !ok {
					t.Errorf("%s is gone", key)
				}
			}
			if _, ok := left[layout.CurrentKey("other", "v1")]; ok {
				t.Error("no tag went")
			}
		})
	}
}

// A tag or repository of a name that no registry accepts stays, and keeps no rule
// from the rest.
func TestARuleLeavesOddNamesAlone(t *testing.T) {
	for _, odd := range [][2]string{{"app", "-odd"}, {"Odd", "v1"}} {
		b, _ := spoken(func(b *fixtures.Builder) fixtures.Manifest { return b.Image(odd[0], odd[1], fixtures.Image{}) })
		b.Image(odd[0], "v2", fixtures.Image{})
		f := newFix(t, b)
		if exit := f.run("prune", "STORE", "--keep-last", "1", "--apply", "--yes"); exit != 0 {
			t.Errorf("%v: exit %d, %s", odd, exit, f.errs.String())
		}
		left := f.content(t)
		if _, ok := left[layout.CurrentKey(odd[0], odd[1])]; !ok {
			t.Errorf("%v is gone", odd)
		}
		if _, ok := left[layout.CurrentKey("other", "v1")]; ok {
			t.Errorf("%v: no tag went", odd)
		}
	}
}
