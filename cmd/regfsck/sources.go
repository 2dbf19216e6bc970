package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/backend"
	"regfsck/backend/source"
	"regfsck/backend/source/remote"
	"regfsck/cmd/regfsck/location"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/replica"
	"regfsck/report/exitcode"
)

// fromFlags say what may have the blobs that a store lacks.
func fromFlags() []cli.Flag {
	return group(aboutCopies,
		&cli.StringSliceFlag{Name: "from", Usage: "copy what is missing or corrupt from `SOURCE`: a registry's storage as STORE, a directory with blobs/sha256/…, or a registry https://host[/prefix] (repeatable, the first that has it is taken)"},
		&cli.BoolFlag{Name: "from-all", Usage: "copy also what no tag is known to need: what manifests without a tag lack"},
		&cli.StringSliceFlag{Name: "from-repo", Usage: "look in a registry's repository NEW for what OLD needs here, as `OLD=NEW` (repeatable)"},
	)
}

// repoFlag says of which repositories tags come back.
func repoFlag() cli.Flag {
	return group(aboutCopies, &cli.StringSliceFlag{Name: "repo", Usage: "with --also tag-from-source, bring back tags of the repository `NAME` only (repeatable)"})[0]
}

// rateFlag bounds how fast copies are made.
func rateFlag() cli.Flag {
	return group(aboutCopies, &cli.StringFlag{Name: "from-rate", Usage: "copy at most `BYTES` in a second from all sources together, such as 10MiB"})[0]
}

// rateOf returns the bytes a second that --from-rate allows; 0 is no limit.
func rateOf(c *cli.Context) (int64, error) {
	if !c.IsSet("from-rate") {
		return 0, nil
	}
	n, err := size(c.String("from-rate"))
	if err != nil {
		return 0, misuse(seeHelp(c.Command.Name), "--from-rate %w", err)
	}
	return n, nil
}

// size reads a number of bytes: a number, and KiB to TiB, or kB to TB.
func size(s string) (int64, error) {
	digits, unit := strings.TrimRight(s, "kKMGTiB"), 1.0
	if at, ok := map[string]float64{
		"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}[s[len(digits):]]; ok {
		unit = at
	} else {
		digits = ""
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || !(n*unit >= 1 && n*unit < math.MaxInt64) {
		return 0, fmt.Errorf("is a number of bytes like 500kB or 10MiB, not %q", s)
	}
	return int64(n * unit), nil
}

// opened is a source, and where it is a store what reads that; else nil.
type opened struct {
	source.Source
	store backend.Reader
	gone  error // why a source of a saved plan can't be used any more; nil where it can
}

// sources are what a command copies from. They are closed together.
type sources []opened

// Close ends the use of all of them.
func (all sources) Close() {
	for _, s := range all {
		s.Close()
	}
}

// blobs are the sources as they are asked for blobs.
func (all sources) blobs() (of []source.Source) {
	for _, s := range all {
		of = append(of, s.Source)
	}
	return of
}

// compare compares the tags of a store that was read with those of each source. Whole is
// false where those of a store could not be listed.
func (all sources) compare(ctx context.Context, scan *graph.Scan) (found []replica.Comparison, whole bool, err error) {
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

// tags returns the tags of the sources that are stores, of the repositories of those names;
// of all where there are none.
func (all sources) tags(ctx context.Context, repositories []string, workers int) (*graph.Copied, error) {
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
		return nil, &failure{exitcode.Incomplete, fmt.Errorf("nothing says any more which tags come back: %w", backend.Join(gone...)), nothingChanged}
	}
	if len(readers) == 0 {
		return nil, misuse("", "--also %s needs a registry's storage in --from: nothing else knows which tags it had", finding.TagFromSource)
	}
	copied, err := replica.Take(ctx, readers, names, workers, repositories)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, &failure{exitcode.Incomplete, err, nothingChanged}
	}
	for _, name := range repositories {
		if !slices.ContainsFunc(copied.Tags, func(t graph.CopiedTag) bool { return t.Repository == name }) {
			return nil, misuse("", "--repo %s: no source has a tag of it", name)
		}
	}
	return copied, nil
}

// openSources opens what --from names, in its order. A flag by which a store is reached
// holds for sources of its kind too.
func (s *session) openSources(c *cli.Context, names, renamed []string, target location.Location, out *output) (all sources, err error) {
	there, err := renames(renamed)
	if err == nil && len(there) > 0 && !slices.ContainsFunc(names, remote.Is) {
		err = errors.New("is about a registry that --from names, and it names none")
	}
	if err != nil {
		return nil, misuse(seeHelp(c.Command.Name), "--from-repo %w", err)
	}
	for _, name := range names {
		from, err := s.openSource(c, name, there, target, out)
		if err != nil {
			all.Close()
			return nil, misuse("", "--from %w", err)
		}
		all = append(all, from)
	}
	return all, nil
}

// savedSources opens the sources of a saved plan. One that can't be opened any more fails
// what only it has, and nothing else.
func (s *session) savedSources(c *cli.Context, names, renamed []string, target location.Location, out *output) (all sources) {
	there, _ := renames(renamed) // as they were checked when the plan was made
	for _, name := range names {
		from, err := s.openSource(c, name, there, target, out)
		if err != nil {
			gone := errors.New("can't be used any more: " + strings.TrimPrefix(err.Error(), name+": "))
			from = opened{Source: source.Gone(name, gone), gone: gone}
		}
		all = append(all, from)
	}
	return all
}

// openSource finds out what a source is, and opens it to be read.
func (s *session) openSource(c *cli.Context, name string, renamed map[string][]string, target location.Location, out *output) (from opened, err error) {
	if name == "" {
		return from, errors.New("needs a SOURCE")
	}
	if remote.Is(name) {
		from.Source, err = remote.New(name, remote.Options{Renamed: renamed, Certificates: certificates(s.getenv)})
		return from, err
	}
	l, err := location.Resolve(name, s.understanding(c))
	if err == nil {
		if l.Identity() == target.Identity() {
			return from, errors.New(name + " is the store itself: name a copy of it")
		}
		r, err := l.Open(c.Context, backend.Access{Workers: out.workers, Say: out.say})
		if err != nil {
			return from, err
		}
		return opened{Source: source.OfStore(l.String(), r), store: r}, nil
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

// renames reads what --from-repo says: under which names a registry has the store's
// repositories.
func renames(pairs []string) (map[string][]string, error) {
	there := map[string][]string{}
	for _, pair := range pairs {
		old, name, ok := strings.Cut(pair, "=")
		if old, name = strings.Trim(old, "/"), strings.Trim(name, "/"); !ok || old == "" || name == "" {
			return nil, fmt.Errorf("is OLD=NEW, such as team/app=mirror/team/app, not %q", pair)
		}
		there[old] = append(there[old], name)
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

// ownPast returns what the store keeps of what was removed from it or written over, and
// what its runs keep in the state directory and in the others that are known. Nothing is
// opened before it is asked. unseen are then the directories on other machines, as a note
// where something is still lost; nil for none.
func ownPast(target location.Location, state string, follow []string, out *output) (past source.Source, unseen func(*check.Result) []string) {
	var elsewhere []string
	unseen = func(r *check.Result) []string {
		if len(elsewhere) == 0 || r.Totals.Prospect.Lost == 0 {
			return nil
		}
		return []string{"Earlier runs may keep what is lost in state directories that could not be looked into: " +
			strings.Join(elsewhere, ", ") + ". Run the command on that machine too, and mount what is not mounted."}
	}
	return source.OfPast(func(ctx context.Context) (all []source.OpenedPast, err error) {
		access := backend.Access{Follow: follow, Say: out.say}
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

// withSources calls do with the sources that --from names, and closes them then.
func (s *session) withSources(c *cli.Context, target location.Location, out *output, do func(ctx context.Context, from sources) error) error {
	from, err := s.openSources(c, c.StringSlice("from"), c.StringSlice("from-repo"), target, out)
	if err != nil {
		return err
	}
	defer from.Close()
	return do(c.Context, from)
}
