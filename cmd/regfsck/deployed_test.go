package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/registry"
)

// deployed is what a unit or manifest of cmd/dist runs: the program's arguments in order,
// with the container's name, and the configurations.
type deployed struct {
	steps   []step
	configs []string
}

type step struct {
	name string
	args []string
}

// readManifest returns what a manifest for Kubernetes runs.
func readManifest(t *testing.T, name string) (d deployed) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("../dist/kubernetes", name))
	if err != nil {
		t.Fatal(err)
	}
	var visit func(n *yaml.Node)
	visit = func(n *yaml.Node) {
		var c struct {
			Name          string
			Command, Args []string
			Data          map[string]string
		}
		if n.Kind == yaml.MappingNode && n.Decode(&c) == nil {
			if slices.Equal(c.Command, []string{"regfsck"}) {
				d.steps = append(d.steps, step{c.Name, c.Args})
			}
			d.configs = slices.AppendSeq(d.configs, maps.Values(c.Data))
		}
		for _, child := range n.Content {
			visit(child)
		}
	}
	for in := yaml.NewDecoder(bytes.NewReader(body)); ; {
		var document yaml.Node
		if err := in.Decode(&document); errors.Is(err, io.EOF) {
			return d
		} else if err != nil {
			t.Fatal(err)
		}
		visit(&document)
	}
}

// here replaces the paths of a machine by those of the test.
func (f *fake) here(text string) string {
	return strings.NewReplacer("/var/lib/registry", f.store, "/etc/regfsck", f.dir, "/var/log/regfsck", f.dir, "${LOGS_DIRECTORY}", f.dir, "${STORE}", f.store).Replace(text)
}

func (f *fake) step(s step) int {
	var args []string
	for _, a := range s.args {
		args = append(args, f.here(a))
	}
	return f.run(args...)
}

// TestNightlyChecks runs the commands of the systemd unit and the CronJob: they write reports
// and change nothing.
func TestNightlyChecks(t *testing.T) {
	unit, err := os.ReadFile("../dist/systemd/regfsck-check.service")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(unit), "\nExecStart=/usr/bin/regfsck ")
	line, _, _ = strings.Cut(line, "\n")
	for name, s := range map[string]step{"unit": {args: strings.Fields(line)}, "CronJob": readManifest(t, "check.yaml").steps[0]} {
		f := newFix(t, rotten())
		before := snapshot(t, f.store)
		if exit := f.step(s); exit != 4 || f.errs.Len() > 0 || strings.Count(f.out.String(), "\n") > 1 {
			t.Errorf("%s: exit %d, %s%s", name, exit, f.out.String(), f.errs.String())
		}
		for _, report := range []string{"check.html", "check.json", "check.prom"} {
			if info, err := os.Stat(filepath.Join(f.dir, report)); err != nil || info.Size() == 0 {
				t.Errorf("%s: %s: %v", name, report, err)
			}
		}
		if !maps.Equal(before, snapshot(t, f.store)) {
			t.Errorf("%s changed the store", name)
		}
	}
}

// TestWindow runs the program's steps of the maintenance Job: with a read-only registry, with
// one that accepts pushes, and over damage.
func TestWindow(t *testing.T) {
	window := readManifest(t, "window.yaml")
	if len(window.steps) != 4 || len(window.configs) != 1 {
		t.Fatalf("%+v", window)
	}
	start := func(t *testing.T, f *fake, is registry.State) {
		write(t, f.dir+"/config.yml", f.here(window.configs[0]))
		f.answers = func(_ context.Context, s location.Server) registry.State {
			if s.Address != "registry:5000" {
				return registry.Absent
			}
			return is
		}
	}
	t.Run("read-only", func(t *testing.T) {
		f := newFix(t, littered())
		start(t, f, registry.ReadOnly)
		for _, s := range window.steps {
			if exit := f.step(s); exit != 0 {
				t.Errorf("%s: exit %d, %s%s", s.name, exit, f.out.String(), f.errs.String())
			}
		}
		if f.run("check", "STORE", "--fail-on", "garbage"); !strings.Contains(f.out.String(), "CLEAN") {
			t.Errorf("garbage is left: %s", f.out.String())
		}
		if exit := f.run("undo", "DIR/config.yml"); exit != 0 {
			t.Errorf("what was removed can't be put back: exit %d, %s", exit, f.errs.String())
		}
	})
	t.Run("writable", func(t *testing.T) {
		f := newFix(t, littered())
		start(t, f, registry.Writable)
		before := snapshot(t, f.store)
		f.sleep = func(context.Context, time.Time) error { return nil }
		want := map[string]int{"wait": 64, "fix": 64}
		for _, s := range window.steps[:3] {
			if exit := f.step(s); exit != want[s.name] {
				t.Errorf("%s: exit %d, %s%s", s.name, exit, f.out.String(), f.errs.String())
			}
		}
		if !maps.Equal(before, snapshot(t, f.store)) {
			t.Error("the store was changed under a registry that takes pushes")
		}
	})
	t.Run("damaged", func(t *testing.T) {
		f := newFix(t, rotten())
		start(t, f, registry.Writable)
		if exit := f.step(window.steps[0]); exit != 4 {
			t.Errorf("exit %d, %s", exit, f.errs.String())
		}
	})
}
