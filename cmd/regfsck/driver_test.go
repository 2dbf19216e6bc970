package main

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/report/exitcode"
)

// memoryDriver returns a driver with one store in memory.
func memoryDriver(store *fixtures.Memory) backend.Driver {
	traits := backend.Traits{Noun: "memory", RequestsCost: true}
	find := func(name string, v backend.Values) (backend.Location, error) {
		if name != "it" {
			return nil, errors.New("nobody remembers " + name)
		}
		return &memoryLocation{store, traits, v.Option("memory-words") != ""}, nil
	}
	return backend.Driver{
		Scheme: "memory", Form: "memory://name", ConfigNames: []string{"memory"}, Traits: traits,
		Options: []backend.Option{
			{Name: "memory-words", Usage: "say more", Switch: true},
			{Name: "memory-size", Usage: "remember `N` things", Check: func(value string) error { return errors.New("is never " + value) }},
		},
		Parse: func(store string, v backend.Values) (backend.Location, error) {
			return find(strings.TrimPrefix(store, "memory://"), v)
		},
		FromConfig: func(c backend.Config, v backend.Values) (backend.Location, error) {
			name, _ := c.Parameters["name"].(string)
			return find(name, v)
		},
	}
}

type memoryLocation struct {
	store  *fixtures.Memory
	traits backend.Traits
	wordy  bool
}

func (l *memoryLocation) String() string         { return "memory://it" }
func (l *memoryLocation) Identity() string       { return l.String() }
func (l *memoryLocation) Traits() backend.Traits { return l.traits }

func (l *memoryLocation) Open(_ context.Context, a backend.Access) (backend.OpenedReader, error) {
	if l.wordy && a.Say != nil {
		a.Say("remembering")
	}
	return openMemory{l.store}, nil
}

func (l *memoryLocation) Near(address string) (backend.Location, error) {
	return nil, errors.New("nothing is near " + address)
}

func (l *memoryLocation) OpenStore(context.Context, backend.Access, string) (backend.OpenedStore, error) {
	return nil, errors.ErrUnsupported
}

type openMemory struct{ *fixtures.Memory }

func (openMemory) Close() error { return nil }

// TestADriverIsOneLine adds a driver: its store is checked as a directory is, by address and
// by configuration, and its options are flags.
func TestADriverIsOneLine(t *testing.T) {
	b := fixtures.Standard()
	at := slices.IndexFunc(b.Keys(), func(key string) bool { return strings.HasSuffix(key, "/data") })
	b.Unlink(b.Keys()[at])
	f := newWhole(t, b)
	f.drivers = append(f.drivers, memoryDriver(b.Memory()))

	config := filepath.Join(f.dir, "config.yml")
	write(t, config, "version: 0.1\nstorage: {memory: {name: it}}\n")
	want := f.judge(t)
	if want.Verdict != "damaged" || len(want.Findings) == 0 {
		t.Fatalf("%+v", want)
	}
	for _, store := range []string{"memory://it", config} {
		var got answer
		exit := f.run("check", store, "--json", "--no-progress")
		if err := json.Unmarshal(f.out.Bytes(), &got); err != nil {
			t.Fatalf("%s: exit %d, %v: %s", store, exit, err, f.errs.String())
		}
		if exit != want.Exit.Code || got.Totals != want.Totals || !slices.Equal(got.lines(), want.lines()) {
			t.Errorf("%s: exit %d, %+v, want %+v", store, exit, got, want)
		}
	}

	if exit := f.run("check", "memory://it", "--memory-words", "--no-progress"); exit != want.Exit.Code || !strings.Contains(f.errs.String(), "remembering") ||
		!strings.Contains(f.out.String(), "list, ") || !strings.Contains(f.out.String(), "--memory-words") {
		t.Errorf("exit %d: %s%s", exit, f.out.String(), f.errs.String())
	}
	for _, bad := range []struct{ args, says string }{
		{"check memory://lost", "nobody remembers lost"},
		{"check memory://it --memory-size 5", "--memory-size is never 5"},
		{"check STORE --memory-words", "--memory-words is about memorys, and " + f.store + " is none"},
		{"check memory://it --s3-region x", "--s3-region is about buckets, and memory://it is none"},
		{"check other://it", "an address s3://bucket/prefix or memory://name, or"},
	} {
		if exit := f.run(strings.Fields(bad.args)...); exit != int(exitcode.Usage) || !strings.Contains(f.errs.String(), bad.says) {
			t.Errorf("%s: exit %d, %s", bad.args, exit, f.errs.String())
		}
	}
	if f.run("check", "--help"); !strings.Contains(f.out.String(), "--memory-words") {
		t.Error("the help doesn't name the driver's options")
	}
}
