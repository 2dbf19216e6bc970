package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadInput gives the program what can't be checked: it says so in one
// sentence, reads and writes nothing, and has no answer.
func TestBadInput(t *testing.T) {
	f := newWhole(t, small())
	config := func(name, storage string) {
		write(t, filepath.Join(f.dir, name), "version: 0.1\nstorage:\n"+strings.ReplaceAll(storage, "STORE", f.store))
	}
	config("unknown.yml", "  floppy: {}\n")
	config("two.yml", "  filesystem: {rootdirectory: STORE}\n  s3: {bucket: b, secretkey: hush}\n")
	config("s3.yml", "  s3: {bucket: b, secretkey: hush}\n")
	config("none.yml", "  delete: {enabled: true}\n")
	config("nowhere.yml", "  filesystem: {rootdirectory: STORE/nowhere}\n")
	write(t, filepath.Join(f.dir, "list.yml"), "- version\n- storage\n")
	write(t, filepath.Join(f.dir, "letter.txt"), "Dear registry,\n")
	write(t, filepath.Join(f.dir, "nothing"), "")
	write(t, filepath.Join(f.dir, "home/letter.txt"), "no registry's")
	write(t, filepath.Join(f.dir, "hollow/docker/registry/v2/letter.txt"), "no registry's")
	for _, dir := range []string{"empty", "unborn/docker/registry/v2", "bare/blobs", "bare/repositories"} {
		if err := os.MkdirAll(filepath.Join(f.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	before := snapshot(t, filepath.Dir(f.store))
	for _, c := range []struct{ args, want string }{
		{"check DIR/nowhere", "DIR/nowhere: there is no such file or folder"},
		{"check DIR/nothing/x", "DIR/nothing/x"},
		{"check DIR/empty", "DIR/empty is an empty folder"},
		{"check DIR/home", "DIR/home holds no folder docker/registry/v2"},
		{"check DIR/hollow", "neither blobs nor repositories"},
		{"check DIR/unborn", "DIR/unborn/docker/registry/v2 is empty"},
		{"check DIR/bare/blobs", "a part of a registry's storage"},
		{"check STORE/docker/registry/v2/blobs", "a part of a registry's storage"},
		{"check DIR/letter.txt", "neither a folder nor a registry's configuration"},
		{"check DIR/list.yml", "neither a folder nor a registry's configuration"},
		{"check DIR/nothing", "DIR/nothing is an empty file"},
		{"check /dev/null", "/dev/null is neither a folder nor a file"},
		{"check DIR/unknown.yml", `DIR/unknown.yml, line 3: storage driver "floppy"`},
		{"check DIR/two.yml", "two storage drivers: filesystem (line 3) and s3 (line 4)"},
		{"check DIR/s3.yml", "storage driver s3: accesskey and secretkey"},
		{"check DIR/none.yml", "names no driver"},
		{"check DIR/nowhere.yml", "STORE/nowhere: there is no such file or folder"},
		{"check s3://user:hush@bucket/prefix", "keys don't belong into an address"},
		{"check https://registry.example", "an address s3://bucket/prefix"},
		{"check STORE STORE", "is checked at a time, and 2 were given"},
		{"check STORE --loud", "there is no flag --loud"},
		{"check STORE --verify most", "--verify is manifests, all, or a share"},
		{"check STORE --follow STORE/nowhere", "follow nowhere: no such file or directory"},
		{"check STORE --report STORE/r.json", "inside the store"},
		{"explain blob-lost", `there is no finding "blob-lost"`},
		{"mend STORE", `there is no command "mend"`},
	} {
		for _, flag := range []string{"", " --json", " --quiet"} {
			if flag != "" && !strings.HasPrefix(c.args, "check") {
				continue
			}
			exit := f.run(strings.Fields(c.args + flag)...)
			want := strings.NewReplacer("STORE", f.store, "DIR", f.dir).Replace(c.want)
			sentence, hint, _ := strings.Cut(f.errs.String(), "\n")
			if exit != 16 || !strings.HasPrefix(sentence, "regfsck: ") || !strings.Contains(sentence, want) {
				t.Errorf("%s%s: exit %d, %q, want %q", c.args, flag, exit, f.errs.String(), want)
			}
			if strings.Count(hint, "\n") > 1 || strings.Contains(f.errs.String(), "hush") {
				t.Errorf("%s%s: said too much: %s", c.args, flag, f.errs.String())
			}
			if f.out.Len() > 0 {
				t.Errorf("%s%s: stdout holds %q", c.args, flag, f.out.String())
			}
		}
	}
	if diff := before.Diff(snapshot(t, filepath.Dir(f.store))); len(diff) > 0 {
		t.Errorf("changed\n%s", strings.Join(diff, "\n"))
	}
}

// write writes a file and the directories that it stands in.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
