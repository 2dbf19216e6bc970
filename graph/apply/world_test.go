package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// now is long after anything was built.
var now = fixtures.Epoch.AddDate(1, 0, 0)

// options have one worker, so that the n-th operation is the same each time.
func options(p graph.Policy) graph.Options {
	return graph.Options{Workers: 1, Grace: time.Hour, UploadsOlderThan: time.Hour, Now: now, Policy: p, Thorough: true}
}

func input(s backend.Store, state string, p *plan.Plan, policy graph.Policy) Input {
	return Input{
		Store: s, State: state, Scan: options(policy), Run: backend.Run{Keep: true}, Plan: p,
		Limits: Limits{MaxDelete: DefaultMaxDelete, MinObjects: 3 * batchSize, AllowTagless: true},
		Now:    func() time.Time { return now }, Workers: 1,
	}
}

// fix plans and applies, as regfsck fix --apply does.
func fix(s backend.Store, state string, policy graph.Policy) (*Outcome, error) {
	return fixBy(1, s, state, policy)
}

// fixBy is fix with so many workers.
func fixBy(workers int, s backend.Store, state string, policy graph.Policy) (*Outcome, error) {
	if _, err := Finish(context.Background(), s, state); err != nil {
		return nil, err
	}
	o := options(policy)
	o.Again, o.Workers = true, workers
	result, _, err := graph.Check(context.Background(), s, o)
	if err != nil {
		return nil, err
	}
	in := input(s, state, plan.New(result, policy), policy)
	in.Found, in.Made, in.Scan.Workers, in.Workers = result, true, workers, workers
	if reasons := Refusals(result, in.Plan, in.Limits, Facts{Given: in.Given}); len(reasons) > 0 {
		return nil, &Refused{reasons}
	}
	return Run(context.Background(), in)
}

// mustFix is fix where nothing goes wrong.
func mustFix(t *testing.T, s backend.Store, state string, policy graph.Policy) *Outcome {
	t.Helper()
	out, err := fix(s, state, policy)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.NotDone) > 0 {
		t.Fatalf("left: %+v", out.NotDone)
	}
	return out
}

// dump is all that a store holds: files with their bytes and times, and empty
// directories, with a slash.
func dump(r backend.Reader) map[string]string {
	all := map[string]string{}
	none := func(string) backend.Hint { return backend.Hint{} }
	err := r.List(context.Background(), "docker", none, func(b backend.Batch) error {
		for _, it := range b.Items {
			key := strings.Clone(b.Dir + "/" + it.Name)
			all[key] = fmt.Sprint(it.Modified)
			if strings.HasSuffix(key, "/") {
				all[key] = ""
			}
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	for key, modified := range all {
		if !strings.HasSuffix(key, "/") {
			all[key] = modified + " " + string(body(r, key))
		}
	}
	return all
}

func body(r backend.Reader, key string) []byte {
	f, err := r.Open(context.Background(), key)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		panic(err)
	}
	return b
}

// diff says what differs, a line each.
func diff(was, is map[string]string) string {
	var lines []string
	for key, old := range was {
		if new, ok := is[key]; !ok {
			lines = append(lines, "- "+key)
		} else if new != old {
			lines = append(lines, fmt.Sprintf("~ %s: %.120q, was %.120q", key, new, old))
		}
	}
	for key := range is {
		if _, ok := was[key]; !ok {
			lines = append(lines, "+ "+key)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// needs is what every tag of a store needs and has: a judge of its own that
// knows nothing of graphs.
func needs(files map[string]string) map[string]bool {
	n := needing{files: files, needed: map[string]bool{}}
	for key, content := range files {
		k, err := layout.Parse(strings.TrimSuffix(key, "/"))
		if err != nil || k.Kind != layout.TagCurrent {
			continue
		}
		n.add(key)
		_, link, _ := strings.Cut(content, " ")
		if d, ok := layout.ParseDigest(link); ok {
			n.manifest(k.Repository, d)
		}
	}
	return n.needed
}

type needing struct {
	files  map[string]string
	needed map[string]bool
}

func (n needing) add(key string) (content string, first bool) {
	content, ok := n.files[key]
	if !ok || n.needed[key] {
		return "", false
	}
	n.needed[key] = true
	_, content, _ = strings.Cut(content, " ")
	return content, true
}

func (n needing) manifest(repo string, d layout.Digest) {
	n.add(layout.RevisionKey(repo, d))
	n.add(layout.LayerKey(repo, d))
	n.add(layout.BlobKey(d))
	_, body, _ := strings.Cut(n.files[layout.BlobKey(d)], " ")
	var doc struct {
		Config                   struct{ Digest string }
		Layers, Manifests, Blobs []struct{ Digest string }
		FSLayers                 []struct{ BlobSum string }
	}
	if json.Unmarshal([]byte(body), &doc) != nil {
		return
	}
	n.blob(repo, doc.Config.Digest)
	for _, l := range slices.Concat(doc.Layers, doc.Blobs) {
		n.blob(repo, l.Digest)
	}
	for _, l := range doc.FSLayers {
		n.blob(repo, l.BlobSum)
	}
	for _, m := range doc.Manifests {
		if child, ok := layout.ParseDigest(m.Digest); ok {
			n.manifest(repo, child)
		}
	}
}

func (n needing) blob(repo, name string) {
	if d, ok := layout.ParseDigest(name); ok {
		n.add(layout.LayerKey(repo, d))
		n.add(layout.BlobKey(d))
		return
	}
	alg, hex, _ := strings.Cut(name, ":")
	target, _ := n.add(layout.Key{Kind: layout.LayerLink, Repository: repo, Algorithm: alg, Hex: hex}.String())
	if strings.HasPrefix(target, "sha256:") {
		n.blob(repo, target)
	}
}

// lost says which of what was needed is gone, or isn't what it was; a link or a
// blob may have been put right.
func lost(needed map[string]bool, was, is map[string]string) string {
	var lines []string
	for key := range needed {
		new, ok := is[key]
		switch {
		case !ok:
			lines = append(lines, "gone: "+key)
		case new != was[key] && strings.HasSuffix(key, "/data") && !healed(key, was[key], new):
			lines = append(lines, "other bytes: "+key)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// healed reports whether a blob's bytes hash to its digest now, and didn't before.
func healed(key, was, is string) bool {
	_, was, _ = strings.Cut(was, " ")
	_, is, _ = strings.Cut(is, " ")
	return hashesTo(key, is) && !hashesTo(key, was)
}

// deleted are the keys that are gone.
func deleted(was, is map[string]string) []string {
	var gone []string
	for key := range was {
		if _, ok := is[key]; !ok && !strings.HasSuffix(key, "/") {
			gone = append(gone, key)
		}
	}
	slices.Sort(gone)
	return gone
}

// policies are those under which stores are fixed, by name.
func policies() map[string]graph.Policy {
	var also graph.Policy
	for id := range finding.Kinds {
		also.Also[id] = true
	}
	both := also
	both.Untagged = true
	return map[string]graph.Policy{"": {}, "untagged": {Untagged: true}, "also": also, "untagged and also": both}
}
