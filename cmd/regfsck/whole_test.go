package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
)

// The tests in files named whole_* run the whole program on stores in real
// directories.

// newWhole returns the world a year after the builder's store was written to
// STORE, with nothing faked that decides what is found.
func newWhole(t *testing.T, b *fixtures.Builder) *fake {
	t.Helper()
	f := newFake(t)
	f.check = graph.Check
	f.now = func() time.Time { return fixtures.Epoch.AddDate(1, 0, 0) }
	f.rewrite(t, b)
	return f
}

// rewrite makes STORE hold the builder's store and nothing else. Only what isn't
// in it is removed before, since removing a store takes ten times as long as
// writing it.
func (f *fake) rewrite(t *testing.T, b *fixtures.Builder) {
	t.Helper()
	err := filepath.WalkDir(f.store, func(path string, e fs.DirEntry, err error) error {
		key, _ := filepath.Rel(f.store, path)
		_, file := b.File(key)
		if err != nil || key == "." || b.Has(key) && (e.IsDir() && !file || e.Type().IsRegular() && file) {
			return err
		}
		if err := os.RemoveAll(path); err != nil || !e.IsDir() {
			return err
		}
		return fs.SkipDir
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.WriteDir(f.store); err != nil {
		t.Fatal(err)
	}
}

// answer is the part of a document that tests look into.
type answer struct {
	Complete bool
	Verdict  string
	Totals   struct {
		Repositories, Tags, Revisions, Blobs int
		TagsBroken                           int `json:"tags_broken"`
		TagsUnknown                          int `json:"tags_unknown"`
	}
	Broken   []struct{ Ref string } `json:"broken_tags"`
	Findings []found
	Exit     struct {
		Code int
		Bits []string
	}
}

// found is a finding in a document.
type found struct {
	ID, Path, Repository, Tag, Digest, Detail, Cure string
	Affects                                         []string
}

// judge runs a check with --json and returns what it says.
func (f *fake) judge(t *testing.T, flags ...string) (a answer) {
	t.Helper()
	exit := f.run(slices.Concat([]string{"check", "STORE", "--json", "--no-progress"}, flags)...)
	if err := json.Unmarshal(f.out.Bytes(), &a); err != nil {
		t.Fatalf("check %q: exit %d, %v in\n%s\n%s", flags, exit, err, f.out.String(), f.errs.String())
	}
	if a.Exit.Code != exit {
		t.Errorf("check %q: the document says exit %d, and it was %d", flags, a.Exit.Code, exit)
	}
	if f.errs.Len() > 0 {
		t.Errorf("check %q: stderr holds %q", flags, f.errs.String())
	}
	return a
}

// lines are the findings without what is only for people, sorted.
func (a answer) lines() []string {
	all := []string{}
	for _, x := range a.Findings {
		all = append(all, line(x.ID, x.Path, x.Repository, x.Tag, x.Digest, x.Affects))
	}
	slices.Sort(all)
	return all
}

// told are the lines of what a damage brings, sorted.
func told(found []fixtures.Found) []string {
	all := []string{}
	for _, x := range found {
		all = append(all, line(x.ID, x.Path, x.Repository, x.Tag, x.Digest, x.Affects))
	}
	slices.Sort(all)
	return all
}

func line(id, path, repository, tag, digest string, affects []string) string {
	return strings.Join([]string{id, path, repository, tag, digest, strings.Join(affects, ",")}, " | ")
}

// flagsFor are the flags under which a check sees a damage.
func flagsFor(d fixtures.Damage) []string {
	flags := []string{}
	if d.Thorough {
		flags = append(flags, "--thorough")
	}
	if d.Verify {
		flags = append(flags, "--verify", "all")
	}
	if d.Untagged {
		flags = append(flags, "--untagged")
	}
	return flags
}

// aside returns a new empty directory beside STORE.
func (f *fake) aside(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(f.store), "aside")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// snapshot takes a picture of a directory.
func snapshot(t *testing.T, dir string) fixtures.Picture {
	t.Helper()
	p, err := fixtures.Snapshot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// damaged returns the Standard store with the named damages, in this order; of
// several damages of one id it is the first.
func damaged(ids ...string) *fixtures.Builder {
	b := fixtures.Standard()
	all := fixtures.Damages()
	for _, id := range ids {
		all[slices.IndexFunc(all, func(d fixtures.Damage) bool { return d.ID == id })].Apply(b)
	}
	return b
}
