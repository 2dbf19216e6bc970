package apply

import (
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// inOneRun fixes a store, wants a second fix to have nothing to do, and the undo
// to bring everything back.
func inOneRun(t *testing.T, b *fixtures.Builder, policy graph.Policy) (was, is map[string]string) {
	t.Helper()
	m, state := b.Memory(), t.TempDir()
	was = dump(m)
	mustFix(t, m.Store(), state, policy)
	is = dump(m)
	if again := mustFix(t, m.Store(), state, policy); again.Run != "" {
		t.Errorf("a second fix has something to do: %+v", again)
	}
	undoRest(t, m, state)
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
	return was, is
}

// A tag that is given up isn't put right before: no plan writes a key that it
// removes.
func TestWhatGoesIsNotWrittenBefore(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	subject := b.Image("a", "v2", fixtures.Image{})
	b.Cosign(subject, "sig")
	b.DeleteManifest(subject)
	tag := strings.Replace(subject.Digest.String(), ":", "-", 1) + ".sig"
	current := layout.CurrentKey("a", tag)
	b.Edit(current, func([]byte) []byte { return nil })
	var policy graph.Policy
	p, _ := planned(t, b.Memory(), policy)
	if !slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Op == plan.Write && s.Key == current }) {
		t.Fatalf("nothing writes %s:\n%s", current, listed(p))
	}
	policy.Also[graph.SignatureOrphaned] = true
	p, _ = planned(t, b.Memory(), policy)
	ops := map[string]plan.Op{}
	for _, s := range p.Steps {
		if other, twice := ops[s.Key]; twice {
			t.Errorf("%s: %s and %s", s.Key, other, s.Op)
		}
		ops[s.Key] = s.Op
	}
	if ops[current] != plan.Remove {
		t.Errorf("the tag stays:\n%s", listed(p))
	}
	_, is := inOneRun(t, b, policy)
	for key := range is {
		if strings.HasPrefix(key, layout.TagKey("a", tag)) {
			t.Errorf("%s is left", key)
		}
	}
}

// A temporary file in an upload goes with it, and one that is younger than the
// upload doesn't keep it from going once both are old.
func TestATemporaryFileInAnUpload(t *testing.T) {
	for _, in := range []string{"/data", "/startedat", "/hashstates/sha256/0"} {
		b := fixtures.New(1)
		b.Image("a", "v1", fixtures.Image{})
		upload := b.Upload("a", 30)
		temp := b.Temp(upload + in)
		was, is := inOneRun(t, b, graph.Policy{})
		if was[temp] == "" {
			t.Fatalf("%s was never there", temp)
		}
		for key := range is {
			if strings.HasPrefix(key, upload) {
				t.Errorf("%s is left", key)
			}
		}
	}
}

// A repository of which --untagged takes the last manifest goes in the same run,
// and the one that is nested in it stays, with its layers.
func TestARepositoryGoesWithItsLastManifest(t *testing.T) {
	b := fixtures.New(1)
	gone := b.Image("a", "", fixtures.Image{})
	b.Upload("a", 30)
	nested := b.Image("a/b", "v1", fixtures.Image{})
	_, is := inOneRun(t, b, graph.Policy{Untagged: true})
	for key := range is {
		if strings.HasPrefix(key, layout.RepositoryKey("a")+"/_") {
			t.Errorf("%s is left", key)
		}
	}
	for _, key := range parts(gone) {
		if _, left := is[key]; left {
			t.Errorf("%s is left", key)
		}
	}
	if !pulls(is)["a/b:v1"] {
		t.Errorf("%s can't be pulled", nested.Digest)
	}
}

// What is foreign stays and keeps what it lies in; the rest goes, and nothing is
// tried again and again.
func TestWhatIsForeignStaysAndTheRestGoes(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a/b", "v1", fixtures.Image{})
	b.Image("z", "v1", fixtures.Image{})
	orphan := b.Image("a", "", fixtures.Image{})
	upload := b.Upload("z", 30)
	notes := []string{
		layout.RepositoryKey("a") + "/_uploads/notes", layout.RepositoryKey("a") + "/notes",
		upload + "/notes", strings.TrimSuffix(orphan.Key(), "data") + "notes", layout.Blobs + "/sha256/notes",
	}
	for _, key := range notes {
		b.Put(key, []byte("somebody's"))
	}
	was, is := inOneRun(t, b, graph.Policy{Untagged: true})
	stay(t, was, is, append(notes, upload+"/data", upload+"/startedat")...)
	for _, key := range append(parts(orphan), layout.RepositoryKey("a")+"/_manifests/", layout.RepositoryKey("a")+"/_layers/") {
		if _, left := is[key]; left {
			t.Errorf("%s is left", key)
		}
	}
	stillPulls(t, was, is)
}
