package main

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/backend/file"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/outside"
	"regfsck/cmd/regfsck/registry"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// many returns a store with so many needed blobs and orphans.
func many(needed, spare int) *fixtures.Builder {
	b := fixtures.New(3)
	b.Image("app", "1", fixtures.Image{Layers: slices.Repeat([]int{4}, needed)})
	lone := fixtures.New(4)
	lone.Image("lone", "1", fixtures.Image{Layers: slices.Repeat([]int{5}, spare)})
	for _, key := range lone.Keys() {
		if strings.HasPrefix(key, layout.Blobs) {
			f, _ := lone.File(key)
			b.Put(key, f.Body)
		}
	}
	b.Image("app", "2", fixtures.Image{}) // newer than all of them
	return b
}

// guard is a change of a store that must be refused.
type guard struct {
	name  string
	build func() *fixtures.Builder
	world func(t *testing.T, f *fake) // makes the reason
	args  string                      // besides fix STORE
	want  string                      // in the reason
	how   string                      // in the hint
	goes  string                      // flags that permit it, "" for none
}

// voidTagged returns a store of which only an empty repository is removed.
func voidTagged() *fixtures.Builder {
	b := small()
	b.Mkdir(path.Dir(layout.TagKey("void", "any")))
	return b
}

// config writes a registry's configuration for the store, followed by more.
func (f *fake) config(t *testing.T, more string) {
	write(t, filepath.Join(f.dir, "config.yml"), "version: 0.1\nstorage: {filesystem: {rootdirectory: "+f.store+"}}\n"+more)
}

func guards() []guard {
	orphan := littered
	none := func(*testing.T, *fake) {}
	return []guard{
		{"something can't be read", func() *fixtures.Builder { return damaged("blob-orphan") }, func(t *testing.T, f *fake) {
			if err := fixtures.Damages()[0].Disk(f.store, f.aside(t)); err != nil {
				t.Fatal(err)
			}
		}, "--also tag-dangling", "incomplete", "--follow", ""},
		{"the store is in motion", orphan, func(_ *testing.T, f *fake) {
			f.check = func(ctx context.Context, r backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
				result, phases, err := check.Store(ctx, r, o)
				result.Counts[finding.StoreChanged].Count++
				return result, phases, err
			}
		}, "", "was changed while it was read", "Stop the registry", ""},
		{"repositories not there", func() *fixtures.Builder {
			b := small()
			b.RemoveAll(layout.Repositories)
			return b
		}, none, "", "no repository", "mounted", ""},
		{"blobs not mounted", func() *fixtures.Builder {
			b := small()
			b.Mount("a", layout.Sum([]byte("dangling")))
			for _, key := range b.Keys() {
				if strings.HasPrefix(key, layout.Blobs) {
					b.Erase(key)
				}
			}
			b.Mkdir(layout.Blobs + "/sha256/00/" + strings.Repeat("0", 64)) // garbage
			return b
		}, none, "", "are missing", "mounted", "--max-delete 100%"},
		{"a database", func() *fixtures.Builder {
			b := voidTagged()
			b.Put(layout.Locks+"/database-in-use", nil)
			return b
		}, none, "", "database", "registry's own tools", ""},
		{"a database in the configuration", voidTagged, func(t *testing.T, f *fake) { f.config(t, "database: {enabled: true}\n") },
			"CONFIG", "database.enabled in ", "registry's own tools", ""},
		{"a database in a variable", voidTagged, func(t *testing.T, f *fake) {
			f.config(t, "")
			f.env["REGISTRY_DATABASE_ENABLED"] = "yes"
		}, "CONFIG", "REGISTRY_DATABASE_ENABLED", "registry's own tools", ""},
		{"a database that isn't marked", func() *fixtures.Builder {
			b := small()
			for i := range 12 {
				body := []byte{byte(i)}
				b.Put(layout.BlobKey(layout.Sum(body)), body)
			}
			return b
		}, none, "", "newer than the last push that wrote links", "filesystem-in-use", ""},
		{"too much", func() *fixtures.Builder { return many(750, 300) }, none, "", "blobs would be removed", "--max-delete", "--max-delete 40%"},
		{"anything", orphan, none, "--max-delete 0%", "of the", "--max-delete", "--max-delete 100%"},
		{"tags elsewhere", func() *fixtures.Builder {
			b := small()
			b.Image("lone", "", fixtures.Image{})
			return b
		}, none, "--untagged", "no tag at all", "--allow-tagless", "--allow-tagless"},
		{"tags in Harbor's database", func() *fixtures.Builder {
			b := small()
			b.Image("app", "", fixtures.Image{})
			b.Image("app", "newest", fixtures.Image{})
			return b
		}, func(t *testing.T, f *fake) {
			f.config(t, "auth: {htpasswd: {realm: harbor-registry-basic-realm, path: /p}}\n")
		},
			"CONFIG --untagged", "Harbor", "--allow-tagless", "--allow-tagless"},
		{"tags that seem to be in a database", func() *fixtures.Builder {
			b := fixtures.New(3)
			for _, tag := range []string{"v1", ""} {
				for i := range 8 {
					b.Image(fmt.Sprint("r", i), tag, fixtures.Image{})
				}
			}
			return b
		}, none, "--untagged", "every tag is older", "--allow-tagless", "--allow-tagless"},
		{"a registry at work", orphan, func(t *testing.T, f *fake) {
			f.config(t, "http: {addr: ':5000'}\n")
			f.answers = func(_ context.Context, s location.Server) registry.State {
				if s.Address != "localhost:5000" {
					return registry.Absent
				}
				return registry.Writable
			}
		}, "CONFIG", "a registry answers at localhost:5000", "--registry-running-ok", "--registry-running-ok"},
	}
}

// TestGuards: each guard refuses with exit code 64, says what to do, and changes nothing; a
// dry run shows the same; and the flag in its hint permits the change.
func TestGuards(t *testing.T) {
	for _, g := range guards() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			f := newFix(t, g.build())
			g.world(t, f)
			args := []string{"fix", "STORE"}
			flags := strings.Fields(g.args)
			if slices.Contains(flags, "CONFIG") {
				args[1], flags = "DIR/config.yml", flags[1:]
			}
			args = append(args, flags...)
			before := snapshot(t, f.store)
			exit := f.run(args...)
			text := strings.Join(strings.Fields(f.out.String()), " ")
			if exit&64 != 0 || !strings.Contains(text, "--apply would be refused: ") || !strings.Contains(text, g.want) || !strings.Contains(text, g.how) {
				t.Errorf("dry run: exit %d, %s\n%s", exit, f.out.String(), f.errs.String())
			}
			exit = f.run(append(args, "--apply", "--yes")...)
			if exit != 64 || !strings.Contains(f.errs.String(), g.want) || !strings.Contains(f.errs.String(), g.how) {
				t.Errorf("exit %d, %s", exit, f.errs.String())
			}
			if diff := before.Diff(snapshot(t, f.store)); len(diff) > 0 {
				t.Errorf("the store changed\n%s", strings.Join(diff, "\n"))
			}
			if g.goes == "" {
				return
			}
			if exit := f.run(slices.Concat(args, []string{"--apply", "--yes", "--quiet"}, strings.Fields(g.goes))...); exit&^5 != 0 {
				t.Errorf("with %s: exit %d, %s%s", g.goes, exit, f.out.String(), f.errs.String())
			}
			if len(before.Diff(snapshot(t, f.store))) == 0 {
				t.Errorf("with %s nothing was done", g.goes)
			}
		})
	}
}

// TestADatabaseInTheConfiguration: if links are in a database, no blob is garbage, and check
// says why.
func TestADatabaseInTheConfiguration(t *testing.T) {
	f := newFix(t, littered())
	var r struct {
		Counts map[string]struct{ Count int }
		Notes  []string
	}
	f.config(t, "database: {enabled: false}\n")
	f.document(t, &r, "check", "DIR/config.yml")
	if r.Counts["blob-orphan"].Count == 0 {
		t.Fatal("there is no garbage in the fixture")
	}
	f.config(t, "database: {enabled: true}\n")
	r.Counts = nil
	f.document(t, &r, "check", "DIR/config.yml")
	if n := r.Counts["blob-orphan"].Count; n > 0 || !strings.Contains(strings.Join(r.Notes, "\n"), "database.enabled in ") {
		t.Errorf("%d blobs are garbage; notes %q", n, r.Notes)
	}
	f.config(t, "database: {enabled: prefer}\n")
	write(t, filepath.Join(f.store, layout.Locks, "filesystem-in-use"), "")
	f.document(t, &r, "check", "DIR/config.yml")
	if r.Counts["blob-orphan"].Count == 0 {
		t.Error("a store that is marked as one of files is taken for one in a database")
	}
}

func TestAReadOnlyRegistryMayAnswer(t *testing.T) {
	f := newFix(t, littered())
	write(t, filepath.Join(f.dir, "config.yml"), "version: 0.1\nstorage:\n  maintenance: {readonly: {enabled: true}}\n  cache: {blobdescriptor: redis}\n"+
		"  filesystem: {rootdirectory: "+f.store+"}\nhttp: {addr: ':5000'}\nredis: {addr: 'cache:6379', password: hush}\n")
	f.answers = func(context.Context, location.Server) registry.State { return registry.ReadOnly }
	if exit := f.run("fix", "DIR/config.yml", "--apply", "--yes"); exit != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	text := strings.Join(strings.Fields(f.out.String()), " ")
	for _, want := range []string{"blobs::*", "repository::*", "cache:6379", "A restart alone is not enough", "regfsck purge " + f.dir + "/config.yml 20"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, f.out.String())
		}
	}
	if strings.Contains(text, "hush") {
		t.Error("a secret is told")
	}
}

// TestTheRegistryIsAsked: the answer of the running registry counts, not its configuration;
// undo and purge ask it as fix does.
func TestTheRegistryIsAsked(t *testing.T) {
	f := newFix(t, littered())
	said := registry.Absent
	f.answers = func(context.Context, location.Server) registry.State { return said }
	f.config(t, "http: {addr: ':5000'}\n")
	readonly := "storage: {maintenance: {readonly: {enabled: true}}, filesystem: {rootdirectory: " + f.store + "}}\nhttp: {addr: ':5000'}\n"
	write(t, filepath.Join(f.dir, "readonly.yml"), "version: 0.1\n"+readonly)
	write(t, filepath.Join(f.dir, "cache.yml"), "version: 0.1\n"+readonly+"proxy: {remoteurl: 'https://x.example'}\n")
	var a applied
	apply := func(config string, flags ...string) int {
		return f.document(t, &a, append([]string{"fix", "DIR/" + config, "--apply", "--yes"}, flags...)...)
	}
	if exit := apply("config.yml"); exit != 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	run := a.Run
	for _, c := range []struct {
		said   registry.State
		config string
		want   string // the refusal, "" for none
	}{
		{registry.Writable, "config.yml", "localhost:5000 and takes pushes"},
		{registry.Writable, "readonly.yml", "was started without that"},
		{registry.Unclear, "readonly.yml", "it is unknown whether it is read-only"},
		{registry.ReadOnly, "cache.yml", "writes what is pulled"},
		{registry.ReadOnly, "readonly.yml", ""},
		{registry.ReadOnly, "config.yml", ""},
		{registry.Absent, "cache.yml", ""},
	} {
		said = c.said
		before := f.content(t)
		commands := [][]string{{"undo", "DIR/" + c.config}, {"purge", "DIR/" + c.config, run, "--yes"}, {"fix", "DIR/" + c.config, "--apply", "--yes"}}
		for _, args := range commands {
			if c.want == "" {
				continue
			}
			if exit := f.run(args...); exit != 64 || !strings.Contains(f.errs.String(), c.want) || !strings.Contains(f.errs.String(), "--registry-running-ok") {
				t.Errorf("%v, %s: exit %d, %s", c.said, args, exit, f.errs.String())
			}
			f.untouched(t, args[0], before)
		}
		if exit := f.run("undo", "DIR/"+c.config, "--list"); exit != 0 {
			t.Errorf("a list is refused: exit %d, %s", exit, f.errs.String())
		}
		if c.want != "" {
			continue
		}
		if exit := f.run("undo", "DIR/"+c.config); exit != 0 {
			t.Errorf("%v, undo %s: exit %d, %s", c.said, c.config, exit, f.errs.String())
		}
		if exit := apply(c.config); exit != 0 {
			t.Errorf("%v, fix %s: exit %d, %s", c.said, c.config, exit, f.errs.String())
		}
		run = a.Run
	}
	said = registry.Writable
	if exit := f.run("undo", "DIR/config.yml", "--registry-running-ok"); exit != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	if exit := f.run("fix", "DIR/config.yml", "--registry-running-ok", "--apply", "--yes"); exit != 0 ||
		!strings.Contains(strings.Join(strings.Fields(f.out.String()), " "), "--registry-running-ok") {
		t.Errorf("the printed undo would be refused: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
}

func TestOneRunAtATime(t *testing.T) {
	f := newFix(t, littered())
	w, err := file.OpenStore(f.store, file.Options{}, filepath.Join(f.store, outside.StateName))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	unlock, err := w.Lock(context.Background(), backend.Run{ID: "20260101-000000-abcd"})
	if err != nil {
		t.Fatal(err)
	}
	before := f.content(t)
	for _, args := range []string{"fix STORE --apply --yes", "fix STORE --apply --yes --state DIR/state"} {
		if exit := f.run(strings.Fields(args)...); exit != 64 || !strings.Contains(f.errs.String(), "another run") {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
		f.untouched(t, args, before)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if exit := f.run("fix", "STORE", "--apply", "--yes"); exit != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}

// TestAnUnfinishedUndoIsFinishedFirst: nothing else may change the store before an undo is
// complete.
func TestAnUnfinishedUndoIsFinishedFirst(t *testing.T) {
	f := newFix(t, littered())
	before := f.content(t)
	var a applied
	f.document(t, &a, "fix", "STORE", "--apply", "--yes")
	name := filepath.Join(f.store, outside.StateName, "runs", a.Run, "journal.jsonl")
	journal, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf(`{"undo":{"time":"2026-01-01T00:00:00Z"},"n":%d`, bytes.Count(journal, []byte("\n"))+1)
	line += fmt.Sprintf(`,"crc":%d}`, crc32.Checksum([]byte(line), crc32.MakeTable(crc32.Castagnoli))) + "\n"
	write(t, name, string(append(journal, line...)))
	after := f.content(t)
	if exit := f.run("fix", "STORE", "--apply", "--yes"); exit != 64 || !strings.Contains(f.errs.String(), "the undo of run "+a.Run) {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "refused", after)
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	f.untouched(t, "undone", before)
	if exit := f.run("fix", "STORE", "--apply", "--yes"); exit != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}

func TestStateElsewhere(t *testing.T) {
	f := newFix(t, littered())
	before := f.content(t)
	for _, args := range []string{
		"fix STORE --state STORE/docker/state", "fix STORE --state STORE/docker/registry/v2/blobs", "undo STORE --state STORE/docker/registry/x",
		"fix STORE --state DIR/nowhere/state", "fix STORE --save-plan STORE/p", "fix STORE --save-plan DIR/nowhere/p", "fix STORE --report STORE/.regfsck/r.json",
	} {
		if exit := f.run(strings.Fields(args)...); exit != 16 {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
		f.untouched(t, args, before)
	}
	if files, err := os.ReadDir(f.dir); err != nil || len(files) > 0 {
		t.Errorf("%v, %v: something is left", files, err)
	}
}
