package statedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/backend"
)

// paths returns the paths of state directories that can be read.
func paths(all []backend.StateDir) string {
	var is []string
	for _, d := range all {
		if d.Reachable() {
			is = append(is, filepath.Base(d.Path))
		}
	}
	return strings.Join(is, " ")
}

// TestKnownStateDirectories: a store's record names state directories of its own, also those that
// know it by another name, or that were moved with it, and none of another store.
func TestKnownStateDirectories(t *testing.T) {
	dir := t.TempDir()
	at := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	store := at("store")
	for _, d := range []string{store, at("nowhere"), at("other"), at("other", "inside")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mark := ""
	add := func(path string, of Claim) {
		t.Helper()
		if of.State = path; of.Take() != nil {
			t.Fatal(of.Take())
		}
		mark, _ = Claim{State: path, Store: store, Local: true}.Marked(mark)
	}
	add(at("plain"), Claim{Store: store, Local: true})
	add(at("gone"), Claim{Store: at("nowhere"), Local: true})
	add(at("others"), Claim{Store: at("other"), Local: true})
	add(at("other", "inside", "own"), Claim{Store: at("other"), Local: true})
	add(at("bucket"), Claim{Store: "s3://a/b at http://c"})
	add(at("store", "mine"), Claim{Store: store, Local: true})
	if err := os.Remove(at("nowhere")); err != nil {
		t.Fatal(err)
	}
	if got := paths(Claim{State: at("this"), Store: store, Local: true}.Known(mark)); got != "mine gone plain" {
		t.Errorf("%q", got)
	}
	moved := at("moved")
	if err := os.Rename(store, moved); err != nil {
		t.Fatal(err)
	}
	if got := paths(Claim{State: at("this"), Store: moved, Local: true}.Known(mark)); !strings.Contains(got, "mine") || !strings.Contains(got, "plain") || strings.Contains(got, "bucket") {
		t.Errorf("moved: %q", got)
	}
	for name, want := range map[string]string{"s3://a/b at https://d": "bucket", "s3://a/b": "bucket", "s3://a at http://c": ""} {
		if got := paths(Claim{State: at("this"), Store: name}.Known(Hostname() + "\t" + at("bucket") + "\n")); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if err := os.Chmod(at("plain"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, d := range (Claim{State: at("this"), Store: moved, Local: true}).Known(mark) {
		if d.Path == at("plain") && os.Geteuid() == 0 && (d.Reachable() || d.Unread == "") {
			t.Errorf("anybody may write there: %+v", d)
		}
	}
}

// TestALongRecord: the record of state directories has the newest first, and loses the oldest.
func TestALongRecord(t *testing.T) {
	dir := t.TempDir()
	mark := strings.Repeat("a host\t/some/old/path\n", MaxClaim/23+1)
	c := Claim{State: filepath.Join(dir, "state"), Store: filepath.Join(dir, "store"), Local: true}
	if err := os.Mkdir(c.Store, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := c.Take(); err != nil {
		t.Fatal(err)
	}
	got, is := c.Marked(mark)
	if !is || len(got) > MaxClaim || !strings.HasSuffix(got, "\n") {
		t.Errorf("%d bytes, %t", len(got), is)
	}
	if _, again := c.Marked(got); again {
		t.Error("it is added twice")
	}
	all := Claim{State: "/another", Store: c.Store, Local: true}.Known(got[:min(len(got), MaxClaim)])
	if len(all) != 2 || all[0].Path != c.State || all[1].Path != "/some/old/path" {
		t.Errorf("%+v", all)
	}
}
