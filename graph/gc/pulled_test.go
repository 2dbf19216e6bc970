package gc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/inuse"
	"regfsck/graph/retain"
	"regfsck/walker/layout"
)

// TestTheNewestPullOfADigestCounts: of several pulls related to a tag the newest counts.
func TestTheNewestPullOfADigestCounts(t *testing.T) {
	b := fixtures.New(1)
	amd, arm := b.Image("app", "amd", fixtures.Image{}), b.Image("app", "arm", fixtures.Image{})
	index := b.Index("app", "v1", amd, arm)
	outer := b.Index("app", "all", index)
	now := fixtures.Epoch.AddDate(1, 0, 0)
	scan, err := graph.Read(context.Background(), b.Memory(), graph.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	everything, _ := retain.ParseGlob("*")
	policy := retain.Policy{{Rules: retain.Rules{PulledWithin: retain.Duration{Days: 90}, PulledLogs: []string{"log"}, MayRemove: []retain.Glob{everything}}}}
	type pulls map[layout.Digest]int // days ago
	for _, c := range []struct {
		what  string
		pulls pulls
		kept  string
	}{
		{"the second child of late", pulls{amd.Digest: 100, arm.Digest: 5}, "all arm v1"},
		{"the first child of late", pulls{amd.Digest: 5, arm.Digest: 100}, "all amd v1"},
		{"a child later than the index", pulls{index.Digest: 100, arm.Digest: 5}, "all arm v1"},
		{"the index later than a child", pulls{index.Digest: 5, arm.Digest: 100}, "all amd arm v1"},
		{"an index of it later than the index and a child", pulls{outer.Digest: 5, index.Digest: 100, amd.Digest: 101}, "all amd arm v1"},
		{"a child later than the index and an index of it", pulls{outer.Digest: 101, index.Digest: 100, amd.Digest: 5}, "all amd v1"},
		{"none of late", pulls{outer.Digest: 101, index.Digest: 100, amd.Digest: 102}, ""},
	} {
		log := inuse.NewLog(now)
		var lines strings.Builder
		line := func(at time.Time, path string) {
			fmt.Fprintf(&lines, "10.0.0.1 - - [%s] \"GET /v2/%s HTTP/1.1\" 200 10\n", at.Format("02/Jan/2006:15:04:05 -0700"), path)
		}
		for day := range 92 {
			line(now.AddDate(0, 0, -day), "")
		}
		for digest, days := range c.pulls {
			line(now.AddDate(0, 0, -days), "app/manifests/"+digest.String())
		}
		if err := log.Read(strings.NewReader(lines.String())); err != nil {
			t.Fatal(err)
		}
		made, err := SelectByPolicy(context.Background(), scan, Retention{Policy: policy, Logs: map[string]*inuse.Log{"log": log},
			Rejected: func(context.Context, *Removal) ([]Rejection, error) { return nil, nil }})
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		var kept []string
		for _, d := range made.Decisions {
			if d.Keep {
				kept = append(kept, strings.TrimPrefix(d.Ref().String(), "app:"))
			}
		}
		if slices.Sort(kept); strings.Join(kept, " ") != c.kept {
			t.Errorf("%s: %q is kept, want %q", c.what, kept, c.kept)
		}
	}
}
