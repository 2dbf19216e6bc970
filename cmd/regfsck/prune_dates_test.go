package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/walker/layout"
)

// TestPruneByCreated uses the created times of images, or the pushed time with a note.
func TestPruneByCreated(t *testing.T) {
	b := fixtures.New(1)
	at := func(month int, tag string) fixtures.Manifest {
		b.SetClock(fixtures.Epoch.AddDate(0, month, 0))
		return b.Image("app", tag, fixtures.Image{})
	}
	first, second := at(0, "first"), at(1, "second")
	b.SetClock(fixtures.Epoch.AddDate(0, 2, 0))
	chart := b.Helm("app", "chart")
	lost := at(3, "lost")
	b.SetClock(fixtures.Epoch.AddDate(0, 4, 0)) // pushed again in another order
	b.Tag("app", "second", second.Digest)
	b.Tag("app", "first", first.Digest)
	f := newFix(t, b)
	for flags, want := range map[string]string{
		"--keep-last 1":                "app:chart app:lost app:second",
		"--keep-last 1 --time created": "app:chart app:first app:second",
		"--keep-last 2 --time created": "app:first app:second",
	} {
		p := f.prune(t, strings.Fields(flags)...)
		if got := strings.Join(p.going(), " "); got != want {
			t.Errorf("%s: goes %s, want %s", flags, got, want)
		}
	}
	p := f.prune(t, "--keep-last", "1", "--time", "created")
	if v := p.of(t, "app:chart"); v.By != "pushed" || v.Note != "created isn't known" || v.Digest != chart.Digest.String() {
		t.Errorf("%+v", v)
	}
	if v := p.of(t, "app:second"); v.By != "created" || v.Note != "" || !strings.HasPrefix(v.Date, "2024-04-01T12:00:0") {
		t.Errorf("%+v", v)
	}
	f.run("prune", "STORE", "--keep-last", "1", "--time", "created")
	if !strings.Contains(f.out.String(), "created isn't known") {
		t.Errorf("the text doesn't say which date was used:\n%s", f.out.String())
	}
	b.Erase(lost.Blobs[0].Key()) // the config; the tag is broken but judged normally
	f.rewrite(t, b)
	if v := f.prune(t, "--keep-last", "1", "--time", "created").of(t, "app:lost"); v.By != "pushed" || v.Note != "created isn't known" || !strings.HasPrefix(v.Date, "2024-06-01") {
		t.Errorf("%+v", v)
	}
}

// TestPruneReadsNoMoreConfigsThanItNeeds: with pushed times it reads none.
func TestPruneReadsNoMoreConfigsThanItNeeds(t *testing.T) {
	b, _ := aged()
	f := newFix(t, b)
	opened := &opening{keys: map[string]bool{}}
	f.check = func(ctx context.Context, r backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
		opened.Reader = r
		return check.Store(ctx, opened, o)
	}
	f.prune(t, "--keep-last", "1")
	byPush := len(opened.keys)
	f.prune(t, "--keep-last", "1", "--time", "created", "--repo", "other")
	if more := len(opened.keys) - byPush; byPush != 11 || more != 3 {
		t.Errorf("%d keys were opened, where there are 11 manifests; then %d more, where there are 3 configs", byPush, more)
	}
}

// opening records the keys that are opened.
type opening struct {
	backend.Reader
	mu   sync.Mutex
	keys map[string]bool
}

func (o *opening) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	o.mu.Lock()
	o.keys[key] = true
	o.mu.Unlock()
	return o.Reader.Open(ctx, key)
}

// TestPruneInATimeZone: half past eleven at night in London is the next day in Berlin, so two
// tags of one evening are of two days there.
func TestPruneInATimeZone(t *testing.T) {
	b := fixtures.New(1)
	for i, at := range []string{"2024-05-10T20:00:00Z", "2024-05-10T21:30:00Z", "2024-05-10T22:30:00Z", "2024-05-12T10:00:00Z"} {
		moment, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		b.SetClock(moment)
		b.Image("app", fmt.Sprintf("v%d", i), fixtures.Image{})
	}
	f := newFix(t, b)
	plans := map[string]string{}
	for zone, want := range map[string]string{
		"": "app:v0 app:v1", "UTC": "app:v0 app:v1", ":UTC": "app:v0 app:v1",
		"Europe/Berlin": "app:v0 app:v1", "America/New_York": "app:v0 app:v1",
	} {
		f.env["TZ"] = zone
		p := f.prune(t, "--keep-daily", "2")
		if got := strings.Join(p.going(), " "); got != want {
			t.Errorf("TZ=%s: goes %s, want %s", zone, got, want)
		}
		plans[zone] = strings.Join(f.prune(t, "--keep-daily", "3").going(), " ")
	}
	for zone, want := range map[string]string{"": "app:v1", "UTC": "app:v1", ":UTC": "app:v1", "Europe/Berlin": "app:v0", "America/New_York": "app:v1"} {
		if plans[zone] != want {
			t.Errorf("TZ=%s: of three days goes %s, want %s", zone, plans[zone], want)
		}
	}
	before := f.content(t)
	f.env["TZ"] = "Europe/Nowhere"
	if exit := f.run("prune", "STORE", "--keep-daily", "1", "--apply", "--yes"); exit != 16 || !strings.Contains(f.errs.String(), "TZ=Europe/Nowhere") || !strings.Contains(f.errs.String(), "Europe/Berlin") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "refused", before)
}

// copied returns a store copied without times: n images made over years, with files written
// within minutes.
func copied(n int) *fixtures.Builder {
	b := fixtures.New(1)
	for i := range n {
		b.SetClock(fixtures.Epoch.AddDate(-5, i, 0))
		b.Image("app", fmt.Sprintf("v%02d", i), fixtures.Image{Layers: []int{40}})
	}
	for i, key := range b.Keys() {
		b.Touch(key, fixtures.Epoch.Add(time.Duration(i)*time.Second))
	}
	return b
}

func TestPruneRefusesACopy(t *testing.T) {
	f := newFix(t, copied(60))
	before := f.content(t)
	for _, flags := range []string{"--keep-last 5", "--keep-within 1y", "--keep-daily 3 --keep-tags x"} {
		for _, apply := range []string{"", " --apply --yes"} {
			exit := f.run(strings.Fields("prune STORE " + flags + apply)...)
			if exit != 16 || !strings.Contains(f.errs.String(), "the 60 tags of") || !strings.Contains(f.errs.String(), "--time created") {
				t.Errorf("%s%s: exit %d, %s%s", flags, apply, exit, f.out.String(), f.errs.String())
			}
			f.untouched(t, flags, before)
		}
	}
	p := f.prune(t, "--keep-tags", "^v0")
	if len(p.going()) != 49 { // all but v00 to v09, and the newest
		t.Errorf("by name %d go", len(p.going()))
	}
	var a applied
	p = f.prune(t, "--keep-last", "5", "--time", "created")
	if f.document(t, &a, "prune", "STORE", "--keep-last", "5", "--time", "created", "--apply", "--yes"); a.Plan != p.Plan || a.Totals.Done != len(p.Steps) || len(p.going()) != 55 {
		t.Errorf("%+v, %s", a, f.errs.String())
	}
	want := []string{"app:v55", "app:v56", "app:v57", "app:v58", "app:v59"}
	if stays := f.prune(t, "--keep-tags", ".").names(true); !slices.Equal(stays, want) {
		t.Errorf("%q stays, not %q", stays, want)
	}
	few := newFix(t, copied(50))
	if p := few.prune(t, "--keep-last", "5"); len(p.going()) != 45 || p.Exit.Code != 0 {
		t.Errorf("of 50 tags %d go, exit %d", len(p.going()), p.Exit.Code)
	}
}

// TestInvalidDates: a tag without another date than one before 2013 or in the future is kept.
func TestInvalidDates(t *testing.T) {
	b, _ := aged()
	b.Touch(layout.CurrentKey("other", "v0"), time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC))
	b.Touch(layout.CurrentKey("other", "v1"), time.Now().AddDate(9, 0, 0))
	f := newFix(t, b)
	p := f.prune(t, "--keep-last", "1", "--repo", "other")
	for tag, why := range map[string]string{"other:v0": "is before 2013", "other:v1": "is in the future"} {
		if v := p.of(t, tag); !v.Keep || !strings.Contains(v.reason(), why) {
			t.Errorf("%s: %+v", tag, v)
		}
	}
	if p := f.prune(t, "--keep-last", "1", "--repo", "other", "--time", "created"); strings.Join(p.going(), " ") != "other:v0 other:v1" {
		t.Errorf("%q goes", p.going())
	}
}

// TestARebuiltTagIsAsOldAsItWas: a rebuilt link in a bucket has a new time, but its tag isn't
// the newest, whichever state directory the run had that rebuilt it. If that can't be read, the
// answer says so.
func TestARebuiltTagIsAsOldAsItWas(t *testing.T) {
	b := fixtures.New(1)
	for i, tag := range []string{"v1", "v2", "v3"} {
		b.SetClock(fixtures.Epoch.AddDate(0, i, 0))
		b.Image("app", tag, fixtures.Image{})
	}
	b.Edit(layout.CurrentKey("app", "v1"), func([]byte) []byte { return nil })
	for flags, readable := range map[string]bool{"": true, "--state DIR/other": true, "--state DIR/gone": false} {
		f, _, _ := change(t, b, s3test.Enabled)
		var a applied
		if f.document(t, &a, append([]string{"fix", "STORE", "--apply", "--yes", "--only", "link-invalid"}, strings.Fields(flags)...)...); a.Totals.Done != 1 {
			t.Fatalf("%+v, %s", a, f.errs.String())
		}
		if err := os.RemoveAll(filepath.Join(f.dir, "gone")); err != nil {
			t.Fatal(err)
		}
		f.run("prune", "STORE", "--keep-last", "2")
		said := f.out.String()
		if is := strings.Contains(said, "- v1  pushed 2024-03-01") && !strings.Contains(said, "- v2") && !strings.Contains(said, "- v3"); is != readable {
			t.Errorf("%s: %s%s", flags, said, f.errs.String())
		}
		if strings.Contains(said, "can't be read here") == readable {
			t.Errorf("%s: %s", flags, said)
		}
	}
}
