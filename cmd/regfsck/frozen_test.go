package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/walker/layout"
)

// frozenStores is the number of random stores.
const frozenStores = 40

// TestNothingIsSaidOtherwise compares hashes of the JSON of check, fix, rm, prune, ls and why
// with testdata, for the standard store with each damage and random stores. A change that is
// meant to change the output writes new hashes with -update, and its commit says why.
func TestNothingIsSaidOtherwise(t *testing.T) {
	said := &sayings{fake: newWhole(t, fixtures.Standard()), hash: map[string][]byte{}}
	said.all(t, "standard", fixtures.Standard())
	for _, d := range fixtures.Damages() {
		if d.Disk == nil {
			b := fixtures.Standard()
			d.Apply(b)
			said.all(t, "damages", b)
		}
	}
	for seed := range uint64(frozenStores) {
		b, _ := fixtures.Random(seed)
		said.all(t, "chance", b)
	}
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(said.hash)) {
		fmt.Fprintf(&lines, "%s %x\n", name, said.hash[name])
	}
	sameText(t, filepath.Join("testdata", "frozen.txt"), lines.String())
}

// sayings are hashes of output, by group of stores and command.
type sayings struct {
	*fake
	hash map[string][]byte
}

// all runs every command on a store.
func (s *sayings) all(t *testing.T, group string, b *fixtures.Builder) {
	t.Helper()
	memory := b.Memory() // in memory, since the disk takes most of the time
	s.check = func(ctx context.Context, _ backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
		return check.Store(ctx, memory, o)
	}
	repository, blob := "", ""
	for _, key := range b.Keys() {
		k, err := layout.Parse(key)
		if err == nil && repository == "" && k.Kind == layout.TagCurrent {
			repository = k.Repository
		}
		if err == nil && blob == "" && k.Kind == layout.Blob {
			blob = k.Algorithm + ":" + k.Hex
		}
	}
	commands := [][]string{{"check"}, {"fix"}, {"fix", "--untagged", "--grace", "0"}, {"ls"}, {"ls", "--broken"}, {"prune", "--keep-last", "1"}}
	if repository != "" {
		commands = append(commands, []string{"rm", repository}, []string{"ls", repository}, []string{"why", repository})
	}
	if blob != "" {
		commands = append(commands, []string{"why", blob})
	}
	for _, words := range commands {
		s.run(slices.Concat(words[:1], []string{"STORE", "--json", "--no-progress"}, words[1:])...)
		name := group + " " + words[0]
		sum := sha256.Sum256(slices.Concat(s.hash[name], []byte(s.lasting(t))))
		s.hash[name] = sum[:]
	}
}

// lasting returns the output without what varies. Errors are kept.
func (s *sayings) lasting(t *testing.T) string {
	t.Helper()
	if s.out.Len() == 0 {
		return strings.ReplaceAll(s.errs.String(), s.store, "STORE")
	}
	var doc map[string]any
	decoder := json.NewDecoder(bytes.NewReader(s.out.Bytes()))
	decoder.UseNumber()
	if err := decoder.Decode(&doc); err != nil {
		t.Fatalf("%v in\n%s\n%s", err, s.out.String(), s.errs.String())
	}
	for _, field := range []string{"started", "finished", "cost", "tool", "state"} {
		delete(doc, field)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.ReplaceAll(string(text), s.store, "STORE"), os.TempDir(), "TMP")
}
