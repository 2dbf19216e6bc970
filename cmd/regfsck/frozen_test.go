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

// frozenStores is how many stores of chance are asked.
const frozenStores = 40

// TestNothingIsSaidOtherwise holds the hashes of what check, fix, rm, prune, ls and
// why say, as JSON, of the standard store with each damage and of stores of chance. A
// change of what is built inside leaves them as they are. One that is meant to change
// an answer writes them anew with -update, and its commit says which and why.
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

// sayings are the hashes of all that was said, by group of stores and command.
type sayings struct {
	*fake
	hash map[string][]byte
}

// all asks every command about a store.
func (s *sayings) all(t *testing.T, group string, b *fixtures.Builder) {
	t.Helper()
	memory := b.Memory() // the disk takes most of the time, and says the same
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

// lasting is what was printed, without what differs each time. An error is kept as
// it is.
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
