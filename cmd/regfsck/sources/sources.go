// Package sources opens the sources from which lost blobs are copied: other registries'
// storage, directories and archives of blobs, registries over HTTP, and what the store's own
// earlier runs quarantined.
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

// Source is an opened source.
type Source struct {
	source.Source
	store backend.Reader // nil unless the source is a registry's storage
	gone  error          // why a source of a saved plan can't be opened; nil if it can
}

// All are the sources of a command, in order of preference.
type All []Source

// Close closes all sources.
func (all All) Close() {
	for _, s := range all {
		s.Close()
	}
}

// Blobs returns the sources as sources of blobs.
func (all All) Blobs() (of []source.Source) {
	for _, s := range all {
		of = append(of, s.Source)
	}
	return of
}

// Compare compares a store's tags with those of each source. whole is false if a source's
// tags could not be listed.
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

// Tags returns the tags of those sources that are registries' storage, of the named
// repositories, or of all if there are no names.
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
		return nil, failure.New(exitcode.Incomplete, fmt.Errorf("which tags to restore is unknown: %w", backend.Join(gone...)), failure.NothingChanged)
	}
	if len(readers) == 0 {
		return nil, failure.Misuse("", "--also %s needs a registry's storage in --from: other sources don't have its tags", finding.TagFromSource)
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
	Target  location.Location // the store; it can't be its own source
	Names   location.Options  // for sources that are stores
	Workers int               // to read a source; 0 for the default
	Say     func(line string) // prints what is waited for
}

// Open opens sources by their names, in order. renamed is the result of Renames.
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

// OpenSaved opens the sources of a saved plan. One that can't be opened fails only the blobs
// that no other source has.
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

// archives are the endings of archives' names.
var archives = []string{".tar", ".tgz", ".tar.gz", ".tar.zst", ".zip"}

// open opens one source.
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
	case !info.IsDir() && slices.ContainsFunc(archives, func(end string) bool { return strings.HasSuffix(name, end) }):
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

// Renames parses pairs OLD=NEW: repository OLD of the store is NEW in the registries. It is
// an error if no source is a registry.
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

// certificates returns the directories of certificate authorities that Docker trusts.
func certificates(getenv func(string) string) []string {
	all := []string{"/etc/docker/certs.d"}
	if home := getenv("HOME"); home != "" {
		all = append(all, filepath.Join(home, ".config", "docker", "certs.d"))
	}
	return all
}

// OwnPast returns a source of what the store's own runs quarantined, in the state directory
// and in others that are known, and of its noncurrent versions. It opens them when first
// asked. unseen then returns a note on the directories on other machines, if something is
// still lost.
func OwnPast(target location.Location, state string, access backend.Access) (past source.Source, unseen func(*check.Result) []string) {
	var elsewhere []string
	unseen = func(r *check.Result) []string {
		if len(elsewhere) == 0 || r.Totals.Prospect.Lost == 0 {
			return nil
		}
		return []string{"Earlier runs may keep the lost blobs in state directories that could not be read: " +
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
		if target.Traits().KeptAs != "" { // that source covers all state directories
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
