// Package sources opens what the blobs that a store lacks are copied from: registries' own
// storage, directories of blobs, registries that are asked over HTTP, and what the store's
// own earlier runs keep.
package sources

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regfsck/backend"
	"regfsck/backend/source"
	"regfsck/backend/source/remote"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/replica"
	"regfsck/report/exitcode"
)

// Source is a source that was opened.
type Source struct {
	source.Source
	store backend.Reader // what reads it where it is a store; else nil
	gone  error          // why a source of a saved plan can't be used any more; nil where it can
}

// All are the sources that a command copies from, the first first. They are closed together.
type All []Source

// Close ends the use of all of them.
func (all All) Close() {
	for _, s := range all {
		s.Close()
	}
}

// Blobs are the sources as they are asked for blobs.
func (all All) Blobs() (of []source.Source) {
	for _, s := range all {
		of = append(of, s.Source)
	}
	return of
}

// Compare compares the tags of a store that was read with those of each source. Whole is
// false where those of a store could not be listed.
func (all All) Compare(ctx context.Context, scan *graph.Scan) (found []replica.Comparison, whole bool, err error) {
	if len(all) == 0 {
		return nil, true, nil
	}
	whole = true
	err = scan.Phase(ctx, "compare", "tags", func(ctx context.Context) error {
		for _, s := range all {
			if s.store == nil {
				found = append(found, replica.NotCompared(s.String(), "it is no registry's storage"))
				continue
			}
			c, err := replica.Compare(ctx, scan.Graph, s.String(), s.store, scan.Workers)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				c, whole = replica.NotCompared(s.String(), "it can't be listed: "+err.Error()), false
			}
			scan.Count += int64(c.There)
			found = append(found, c)
		}
		return nil
	})
	return found, whole, err
}

// Tags returns the tags of the sources that are stores, of the repositories of those names;
// of all where there are none.
func (all All) Tags(ctx context.Context, repositories []string, workers int) (*graph.Copied, error) {
	var readers []backend.Reader
	var names []string
	var gone []error
	for _, s := range all {
		if s.store != nil {
			readers, names = append(readers, s.store), append(names, s.String())
		}
		if s.gone != nil {
			gone = append(gone, fmt.Errorf("%s %w", s, s.gone))
		}
	}
	if len(readers) == 0 && len(gone) > 0 {
		return nil, failure.New(exitcode.Incomplete, fmt.Errorf("nothing says any more which tags come back: %w", backend.Join(gone...)), failure.NothingChanged)
	}
	if len(readers) == 0 {
		return nil, failure.Misuse("", "--also %s needs a registry's storage in --from: nothing else knows which tags it had", finding.TagFromSource)
	}
	copied, err := replica.Take(ctx, readers, names, workers, repositories)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, failure.New(exitcode.Incomplete, err, failure.NothingChanged)
	}
	for _, name := range repositories {
		if !slices.ContainsFunc(copied.Tags, func(t graph.CopiedTag) bool { return t.Repository == name }) {
			return nil, failure.Misuse("", "--repo %s: no source has a tag of it", name)
		}
	}
	return copied, nil
}

// Opener opens the sources of a store.
type Opener struct {
	Target  location.Location // the store, which is no source of its own
	Names   location.Options  // in which surroundings sources that are stores are named
	Workers int               // that read a source; 0 for as many as usual
	Say     func(line string) // is told what is waited for
}

// Open opens the sources of these names, in their order. Renamed is what Renames returned.
func (o Opener) Open(ctx context.Context, names []string, renamed map[string][]string) (all All, err error) {
	for _, name := range names {
		from, err := o.open(ctx, name, renamed)
		if err != nil {
			all.Close()
			return nil, err
		}
		all = append(all, from)
	}
	return all, nil
}

// OpenSaved opens the sources of a saved plan. One that can't be opened any more fails what
// only it has, and nothing else.
func (o Opener) OpenSaved(ctx context.Context, names []string, renamed map[string][]string) (all All) {
	for _, name := range names {
		from, err := o.open(ctx, name, renamed)
		if err != nil {
			gone := errors.New("can't be used any more: " + strings.TrimPrefix(err.Error(), name+": "))
			from = Source{Source: source.Unavailable(name, gone), gone: gone}
		}
		all = append(all, from)
	}
	return all
}

// open finds out what a source is, and opens it to be read.
func (o Opener) open(ctx context.Context, name string, renamed map[string][]string) (from Source, err error) {
	if name == "" {
		return from, errors.New("needs a SOURCE")
	}
	if remote.Is(name) {
		from.Source, err = remote.New(name, remote.Options{Renamed: renamed, Certificates: certificates(o.Names.Values.Getenv)})
		return from, err
	}
	l, err := location.Resolve(name, o.Names)
	if err == nil {
		if l.Identity() == o.Target.Identity() {
			return from, errors.New(name + " is the store itself: name a copy of it")
		}
		r, err := l.Open(ctx, backend.Access{Workers: o.Workers, Say: o.Say})
		if err != nil {
			return from, err
		}
		return Source{Source: source.OfStore(l.String(), r), store: r}, nil
	}
	info, statErr := os.Stat(name)
	switch {
	case strings.Contains(name, "://") || statErr != nil:
		return from, err
	case !info.IsDir() && archived(name):
		return from, errors.New(name + " is an archive: unpack it, and name the directory")
	case !info.IsDir():
		return from, err
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return from, err
	}
	from.Source, err = source.OfDirectory(path)
	return from, err
}

// Renames reads pairs OLD=NEW: under which names NEW a registry has the repository that is
// OLD in the store. It is an error where none of the named sources is a registry.
func Renames(pairs, sources []string) (map[string][]string, error) {
	there := map[string][]string{}
	for _, pair := range pairs {
		old, name, ok := strings.Cut(pair, "=")
		if old, name = strings.Trim(old, "/"), strings.Trim(name, "/"); !ok || old == "" || name == "" {
			return nil, fmt.Errorf("is OLD=NEW, such as team/app=mirror/team/app, not %q", pair)
		}
		there[old] = append(there[old], name)
	}
	if len(there) > 0 && !slices.ContainsFunc(sources, remote.Is) {
		return there, errors.New("is about a registry that --from names, and it names none")
	}
	return there, nil
}

// certificates are the directories in which Docker keeps the authorities that it trusts.
func certificates(getenv func(string) string) []string {
	all := []string{"/etc/docker/certs.d"}
	if home := getenv("HOME"); home != "" {
		all = append(all, filepath.Join(home, ".config", "docker", "certs.d"))
	}
	return all
}

// OwnPast returns what the store keeps of what was removed from it or written over, and
// what its runs keep in the state directory and in the others that are known. Nothing is
// opened before it is asked. unseen are then the directories on other machines, as a note
// where something is still lost; nil for none.
func OwnPast(target location.Location, state string, access backend.Access) (past source.Source, unseen func(*check.Result) []string) {
	var elsewhere []string
	unseen = func(r *check.Result) []string {
		if len(elsewhere) == 0 || r.Totals.Prospect.Lost == 0 {
			return nil
		}
		return []string{"Earlier runs may keep what is lost in state directories that could not be looked into: " +
			strings.Join(elsewhere, ", ") + ". Run the command on that machine too, and mount what is not mounted."}
	}
	return source.OfPast(func(ctx context.Context) (all []source.OpenedPast, err error) {
		w, err := target.OpenStore(ctx, access, state)
		if errors.Is(err, errors.ErrUnsupported) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, w)
		if target.Traits().KeptAs != "" { // it is asked itself, whatever state directory it is opened with
			return all, nil
		}
		others, err := w.States(ctx)
		for _, d := range others {
			if !d.Reachable() {
				elsewhere = append(elsewhere, d.String())
			}
			if !d.Reachable() || d.Path == state {
				continue
			}
			other, failed := target.OpenStore(ctx, access, d.Path)
			if failed != nil {
				err = backend.Join(err, failed)
				continue
			}
			all = append(all, other)
		}
		return all, err
	}), unseen
}

// archived reports whether a file's name is an archive's.
func archived(name string) bool {
	for _, end := range []string{".tar", ".tgz", ".tar.gz", ".tar.zst", ".zip"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}
