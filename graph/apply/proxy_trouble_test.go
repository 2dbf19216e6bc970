package apply

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/fixtures/bucket"
	"regfsck/graph"
)

// A longer run: go test ./graph/apply -run TroubleInBuckets -buckets 5000
// One bucket again: go test ./graph/apply -run TroubleInBuckets -buckets 1 -bucket 4711
var (
	troubledBuckets = flag.Uint64("buckets", 48, "how many buckets meet trouble")
	troubledBucket  = flag.Uint64("bucket", 0, "the seed of the first of them")
)

// Whatever goes wrong between a bucket and a check, a fix and its undo: no tag
// loses anything, nothing goes that an undisturbed fix keeps, what follows
// undisturbed comes to the same end, and an undo brings back every byte.
func TestTroubleInBuckets(t *testing.T) {
	const groups = 4
	names := slices.Sorted(maps.Keys(mishaps))
	for group := range uint64(groups) {
		t.Run(fmt.Sprint(group), func(t *testing.T) {
			t.Parallel()
			server := bucket.Start(t, bucket.Options{Versioning: true})
			proxy := bucket.Front(t, server, bucket.Settings{CountOnly: true})
			for i := group; i < *troubledBuckets; i += groups {
				seed := *troubledBucket + i
				name := names[seed%uint64(len(names))]
				f := &front{T: t, seed: seed, kind: mishaps[name], place: server.Make(t, fmt.Sprint("registry-", seed)), proxy: proxy}
				f.keep = seed/uint64(len(names))%2 == 0
				b, what := troubledStore(seed)
				f.how = fmt.Sprintf("seed %d, %s, %s, versions %v", seed, what, name, f.keep)
				f.fillAndTry(b)
			}
		})
	}
}

// troubledStore is one of each damage, or a store at random.
func troubledStore(seed uint64) (*fixtures.Builder, string) {
	all := oneOfEach()
	names := slices.Sorted(maps.Keys(all))
	if seed%4 == 0 {
		b, _ := randomStore(seed)
		return b, "random"
	}
	name := names[seed%uint64(len(names))]
	if seed%4 == 1 {
		name = "messy"
	}
	return all[name], name
}

// fillAndTry puts a store into the bucket and does all that can go wrong.
func (f *front) fillAndTry(b *fixtures.Builder) {
	if f.keep {
		f.place.SetVersioning(f.T, bucket.Enabled)
	}
	f.place.Fill(f.T, bucket.From(b.Into, "root/"))
	f.state, f.policy = f.TempDir(), graph.Policy{Untagged: true}
	was := f.dump()
	m := &fixtures.Memory{}
	b.Into(m.Put, func(string) {}) // a bucket has no empty directories
	f.fixAll(m.Store(), f.TempDir())
	want := map[string]string{}
	for key, body := range files(dump(m)) {
		want[key] = " " + body
	}
	f.check(was)
	f.fix(was, want)
	if f.keep {
		f.undo(was, want)
	}
}

// check checks in trouble: what is told is incomplete, or right, and damage is
// told of nothing that is sound.
func (f *front) check(was map[string]string) {
	f.Helper()
	right, _, err := graph.Check(f.Context(), f.open(0, false), f.options())
	if err != nil {
		f.Fatal(err)
	}
	hurt, _, err := graph.Check(f.Context(), f.open(1, true), f.options())
	f.proxy.Heal()
	if d := diff(was, f.dump()); d != "" {
		f.Fatalf("%s: a check changed\n%s", f.how, d)
	}
	if err != nil {
		return
	}
	unsound := map[string]bool{}
	for found := range right.Findings {
		unsound[found.Path] = true
	}
	for found := range hurt.Findings {
		if found.ID.Severity() == graph.Error && !unsound[found.Path] {
			f.Errorf("%s: %s %s %s", f.how, found.ID, found.Path, found.Detail)
		}
	}
	if is, want := everything(hurt), everything(right); hurt.Complete && !f.kind.lies && !slices.Equal(is, want) {
		f.Errorf("%s: complete, and it says\n%s\nwant\n%s", f.how, strings.Join(is, "\n"), strings.Join(want, "\n"))
	}
}

// fix fixes in trouble, and then without.
func (f *front) fix(was, want map[string]string) {
	f.Helper()
	f.tryFix(f.open(2, true), f.state)
	f.proxy.Heal()
	is := f.dump()
	if l := lost(needs(was), was, is); l != "" {
		f.Fatalf("%s: a tag's needs:\n%s", f.how, l)
	}
	gone := deleted(was, want)
	for _, key := range deleted(was, is) {
		if !slices.Contains(gone, key) {
			f.Fatalf("%s: %s is gone", f.how, key)
		}
	}
	f.fixAll(f.unlocked(), f.state)
	if d := diff(want, f.dump()); d != "" {
		f.Fatalf("%s: after the next fix:\n%s", f.how, d)
	}
}

// undo undoes in trouble, and then without.
func (f *front) undo(was, want map[string]string) {
	f.Helper()
	Undo(context.Background(), f.open(3, true), f.state, "")
	f.proxy.Heal()
	needed := needs(was)
	maps.DeleteFunc(needed, func(key string, _ bool) bool { return was[key] != want[key] }) // written by the fix, and on their way back
	if l := lost(needed, was, f.dump()); l != "" {
		f.Fatalf("%s: after a broken undo a tag's needs:\n%s", f.how, l)
	}
	stays := f.undoAll(f.unlocked())
	is := f.dump()
	maps.DeleteFunc(is, func(key string, _ string) bool { return slices.Contains(stays, key) })
	if d := diff(was, is); d != "" {
		f.Fatalf("%s: after the undo:\n%s", f.how, d)
	}
}

// undoAll undoes all runs without trouble. It returns the links that one run had
// written and a later one had taken away: when that is undone, this server gives
// them a new time, as a push would, so that the first run leaves them. Two runs
// within two seconds can't be told apart by time: what came back in trouble may
// then be left as somebody else's.
func (f *front) undoAll(s backend.Store) (stays []string) {
	f.Helper()
	runs, err := os.ReadDir(filepath.Join(f.state, "runs"))
	if err != nil && !os.IsNotExist(err) {
		f.Fatal(err)
	}
	for {
		out, err := Undo(context.Background(), s, f.state, "")
		if errors.Is(err, ErrNoRun) {
			return stays
		}
		if err != nil {
			f.Fatalf("%s: undo: %v", f.how, err)
		}
		for _, l := range out.NotDone {
			switch {
			case l.Reason == errRewritten.Error() && len(runs) > 1:
				stays = append(stays, l.Step.Key)
			case l.Failed || l.Reason == errRewritten.Error() || l.Reason == errLost.Error():
				f.Fatalf("%s: undo: %+v", f.how, l)
			}
		}
	}
}
