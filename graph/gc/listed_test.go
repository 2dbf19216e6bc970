package gc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/inuse"
	"regfsck/graph/retain"
)

// TestRelatedImages: an image in use is kept with every tag on it, an index of it, or its
// children, in any repository.
func TestRelatedImages(t *testing.T) {
	b := fixtures.New(1)
	amd, arm := b.Image("app", "amd", fixtures.Image{}), b.Image("app", "arm", fixtures.Image{})
	index := b.Index("app", "v1", amd, arm)
	outer := b.Index("app", "all", index)
	b.Tag("app", "stable", index.Digest)
	lone := b.Image("app", "", fixtures.Image{})
	loneIndex := b.Index("app", "", lone)
	b.Image("app", "other", fixtures.Image{Shared: amd.Blobs[1:]})
	b.Mount("copy", amd.Blobs[0].Digest)
	b.Mount("copy", amd.Blobs[1].Digest)
	b.Mount("copy", amd.Blobs[2].Digest)
	b.PushManifest("copy", "v9", amd.MediaType, amd.Body)
	b.Image("copy", "last", fixtures.Image{})
	scan, err := graph.Read(context.Background(), b.Memory(), graph.Options{Now: fixtures.Epoch.AddDate(1, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	list := func(text string) map[string][]inuse.Image {
		images, err := inuse.ReadList(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return map[string][]inuse.Image{"list": images}
	}
	none, _ := retain.ParseGlob("*")
	policy := retain.Policy{{Rules: retain.Rules{Lists: []string{"list"}, MayRemove: []retain.Glob{none}}}}
	rejected := func(context.Context, *Removal) ([]Rejection, error) { return nil, nil }
	for text, want := range map[string]string{
		"reg.io/app@" + amd.Digest.String():                "app:all app:amd app:stable app:v1 copy:v9",
		"docker-pullable://x/app@" + index.Digest.String(): "app:all app:amd app:arm app:stable app:v1 copy:v9",
		"reg.io/app@" + outer.Digest.String():              "app:all app:amd app:arm app:stable app:v1 copy:v9",
		"docker://" + amd.Blobs[0].Digest.String():         "app:all app:amd app:stable app:v1 copy:v9",
		"reg.io/x:1 " + amd.Blobs[0].Digest.Hex()[:12]:     "app:all app:amd app:stable app:v1 copy:v9",
		"reg.io/x:1 " + arm.Digest.Hex()[:13]:              "app:all app:arm app:stable app:v1",
		"reg.io/app:v1":                                    "app:v1",
		"reg.io/app:other reg.io/copy:v9":                  "app:other copy:v9",
		"reg.io/app v1":                                    "app:v1",
		"CONTAINER ID   IMAGE        COMMAND\n0123456789ab   reg.io/app   \"/run…\"\n": "app:all app:amd app:arm app:other app:stable app:v1 app@lone app@loneIndex",
		"reg.io/app": "app:all app:amd app:arm app:other app:stable app:v1 app@lone app@loneIndex",
		"REPOSITORY   TAG\nreg.io/app   v1\nreg.io/app   gone\n":        "app:v1",
		"image:\n  tag: v1\n  repository: reg.io/app\n":                 "app:v1",
		"images:\n- name: reg.io/app\n  newTag: v1\n":                   "app:v1",
		"images:\n  reg.io/app: v1\n  reg.io/copy: v9\n  reg.io/x:1:\n": "app:v1 copy:v9",
		"x.io/app:none app@" + lone.Digest.String():                     "app@lone app@loneIndex",
		"app@" + loneIndex.Digest.String():                              "app@lone app@loneIndex",
	} {
		made, err := SelectByPolicy(context.Background(), scan, Retention{Policy: policy, Untagged: true, Rejected: rejected, Lists: list(text)})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var kept []string
		for _, d := range made.Decisions {
			if name := d.Ref().String(); d.Keep {
				if strings.HasSuffix(name, lone.Digest.String()) {
					name = "app@lone"
				} else if strings.HasSuffix(name, loneIndex.Digest.String()) {
					name = "app@loneIndex"
				}
				kept = append(kept, name)
				if d.Digest != lone.Digest.String() && (len(d.Rules) != 1 || !strings.HasPrefix(d.Rules[0], "keep-list list (")) {
					t.Errorf("%s: %s is kept by %q", text, name, d.Rules)
				}
			}
		}
		if slices.Sort(kept); strings.Join(kept, " ") != want {
			t.Errorf("%s: %q is kept, want %q", text, kept, want)
		}
	}
	for text, want := range map[string]string{
		"reg.io/app:v1 reg.io/app:gone q.io/a:1 q.io/b:2 docker.io/library/c:3": "list names 1 image of the store, 3 images of other hosts (docker.io, q.io), 1 image that the store hasn't got (reg.io/app:gone)",
		"reg.io/app:v1 some words app:v1":                                       "list names 2 images of the store",
		"CONTAINER ID   IMAGE   COMMAND\n0123456789ab   reg.io/app   \"/run\"\n0123456789ac   reg.io/app:v1   \"/run\"\n0123456789ad   q.io/else   \"/run\"": "list names 2 images of the store, 1 image of other hosts (q.io); 1 image with neither a tag nor a digest (reg.io/app): all tags of their repositories are kept; write :latest if that is meant, and docker ps needs --no-trunc to print digests",
		"REPOSITORY   TAG\nreg.io/app   v1\n": "list names 1 image of the store",
	} {
		made, err := SelectByPolicy(context.Background(), scan, Retention{Policy: policy, Rejected: rejected, Lists: list(text)})
		if err != nil || len(made.Notes) != 1 || made.Notes[0] != want {
			t.Errorf("%s: %+v, %v", text, made, err)
		}
	}
	_, err = SelectByPolicy(context.Background(), scan, Retention{Policy: policy, Lists: list("q.io/a:1 reg.io/app:v77")})
	if wrong, ok := errors.AsType[*InputError](err); !ok || wrong.File != "list" {
		t.Errorf("a list of another registry is followed: %v", err)
	}
}

// TestAReferrerInUseKeepsItsSubject: a referrer is removed with its subject, so the subject
// of one in use is kept.
func TestAReferrerInUseKeepsItsSubject(t *testing.T) {
	b := fixtures.New(1)
	stated, tagged, other := b.Image("app", "stated", fixtures.Image{}), b.Image("app", "tagged", fixtures.Image{}), b.Image("app", "other", fixtures.Image{})
	sbom := b.Referrer(stated, "application/vnd.example.sbom")
	about := b.Referrer(sbom, "application/vnd.example.sig")
	cosign := b.Cosign(tagged, "sig")
	b.Cosign(other, "sig")
	now := fixtures.Epoch.AddDate(1, 0, 0)
	scan, err := graph.Read(context.Background(), b.Memory(), graph.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	everything, _ := retain.ParseGlob("*")
	for reference, want := range map[string]string{
		sbom.Digest.String(): "app:stated", about.Digest.String(): "app:stated", cosign.Digest.String(): "app:tagged",
		fixtures.FallbackTag(tagged.Digest) + ".sig": "app:tagged",
	} {
		images, err := inuse.ReadList(strings.NewReader("reg.io/app:none reg.io/app:" + reference + " reg.io/app@" + reference))
		if err != nil {
			t.Fatal(err)
		}
		log := inuse.NewLog(now)
		asked := func(days int, path string) {
			log.Read(strings.NewReader("x - - [" + now.AddDate(0, 0, -days).Format("02/Jan/2006:15:04:05 -0700") + `] "GET /v2/` + path + `" 200 10`))
		}
		for day := range 92 {
			asked(day, "")
		}
		asked(5, "app/manifests/"+reference)
		for _, rules := range []retain.Rules{{Lists: []string{"in use"}}, {PulledWithin: retain.Duration{Days: 90}, PulledLogs: []string{"in use"}}} {
			rules.MayRemove = []retain.Glob{everything}
			made, err := SelectByPolicy(context.Background(), scan, Retention{
				Policy: retain.Policy{{Rules: rules}}, Lists: map[string][]inuse.Image{"in use": images}, Logs: map[string]*inuse.Log{"in use": log},
				Rejected: func(context.Context, *Removal) ([]Rejection, error) { return nil, nil },
			})
			if err != nil {
				t.Errorf("%s: %v", reference, err)
				continue
			}
			var kept []string
			for _, d := range made.Decisions {
				if d.Keep && d.Subject == "" {
					kept = append(kept, d.Ref().String())
				}
			}
			if strings.Join(kept, " ") != want {
				t.Errorf("%s: %q is kept, want %q", reference, kept, want)
			}
		}
	}
}
