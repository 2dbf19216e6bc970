package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/backend"
	"regfsck/cmd/regfsck/location"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/journal"
	"regfsck/report"
)

// checkCommand examines a store and changes nothing.
func checkCommand(s *session) *cli.Command {
	flags := slices.Concat(outputFlags(), policyFlags(), judgeFlags(), fromFlags(), s.driverFlags(), []cli.Flag{s.noCacheFlag()})
	return complete(&cli.Command{
		Name:      "check",
		ArgsUsage: "[flags] [STORE]",
		Flags:     flags,
		Action:    s.checkStore,
	})
}

func (s *session) checkStore(c *cli.Context) error {
	store, err := storeArgument(c)
	if err != nil {
		return err
	}
	p, err := policyOf(c)
	if err != nil {
		return err
	}
	out, err := s.outputOf(c)
	if err != nil {
		return err
	}
	failOn, err := oneOf(c, "fail-on", failOns)
	if err != nil {
		return err
	}
	found, err := s.resolve(c, store)
	if err != nil {
		return err
	}
	if err := out.open(found, p.follow); err != nil {
		return err
	}
	defer out.discard()

	r := &report.Check{
		Version: version, Target: found.String(), Repeat: commandLine(c), Reach: s.reach(c), Fix: fixLine(c, found),
		Looked: p.looked(), FailOn: severity(failOn),
	}
	o := s.options(p, found, out)
	state, err := s.stateDir("", found)
	if err == nil && found.Traits().ListsRemoved {
		o.Removed = s.removed(found, state)
	}
	o.Past = ownPast(found, state, p.follow, out)
	defer o.Past.Close()
	return s.withSources(c, found, out, func(ctx context.Context, from sources) error {
		o.From = from
		if err := s.examine(ctx, r, found, p.follow, o, out); err != nil {
			return err
		}
		return s.deliver(r, r.Exit, out)
	})
}

// storeArgument returns STORE, or "" where it was left out.
func storeArgument(c *cli.Context) (string, error) {
	switch {
	case c.NArg() > 1:
		return "", misuse(seeHelp(c.Command.Name), "one STORE is checked at a time, and %d were given", c.NArg())
	case c.NArg() == 1 && c.Args().First() == "":
		return "", misuse(seeHelp(c.Command.Name), "STORE is empty")
	}
	return c.Args().First(), nil
}

// options says how a store is to be read and judged.
func (s *session) options(p policy, t location.Location, out *output) check.Options {
	o := check.Options{
		Options: graph.Options{
			Workers: cmp.Or(out.workers, t.Traits().Parallel), Grace: p.grace, UploadsOlderThan: p.uploads, Now: s.now(),
			Thorough: p.thorough, Cache: t.Cache, Verify: p.verify,
			Database: t.Database, UnlessMarked: t.DatabaseUnlessMarked,
		},
		Policy: p.Policy,
	}
	o.Usage = o.Usage || out.usage
	if p.wait {
		o.Wait = s.waitFor(out)
	}
	return o
}

// staleFor is how long a store is thought to list what was removed (Traits.ListsRemoved).
const staleFor = 7 * 24 * time.Hour

// removed tells which keys of a store earlier runs have removed, as the state
// directory knows, so that a listing that still names them isn't believed; nil for
// none.
func (s *session) removed(t location.Location, state string) func(key string) bool {
	if !t.Traits().ListsRemoved {
		return nil
	}
	return journal.RemovedKeys(state, s.now().Add(-staleFor))
}

// lostAtMost is how many orphans are read at most to count the whole images among
// them. Where requests cost, each is one.
func lostAtMost(t location.Location) int {
	if t.Traits().RequestsCost {
		return 64
	}
	return 1000
}

// later is what a command still reads once a store was judged, while it is open.
type later func(ctx context.Context, found *check.Result) error

// examine reads the store and fills in what was found.
func (s *session) examine(ctx context.Context, r *report.Check, t location.Location, follow []string, o check.Options, out *output) error {
	return s.examineAnd(ctx, r, t, follow, o, out, nil)
}

// examineAnd does what examine does, and then something more.
func (s *session) examineAnd(ctx context.Context, r *report.Check, t location.Location, follow []string, o check.Options, out *output, then later) error {
	if err := apart(t, follow); err != nil {
		return err
	}
	store, err := t.Open(ctx, backend.Access{Workers: out.workers, Follow: follow, Say: out.say})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return notOpen(err)
	}
	defer store.Close()

	if bar := s.progress(out); bar != nil {
		defer bar.Close()
		o.Progress = bar
	}
	r.Started = o.Now
	err = s.read(ctx, r, t, store, o, then)
	var known *failure
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &known):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return misuse("", "%s: %w", t, err)
	case err != nil:
		return &failure{report.Incomplete, err, "Nothing can be said about this store. Nothing was changed."}
	}
	r.Finished = s.now()
	r.Cost, r.Requests, r.LinksByETag = store.Cost(), t.Traits().RequestsCost, store.Cost().LinksProven
	count(r)
	r.Exit = report.ExitOf(r.Result, r.FailOn)
	return nil
}

// notOpen says why a store could not be opened: because of what was asked for, or
// because who keeps it doesn't answer.
func notOpen(err error) error {
	if errors.Is(err, backend.ErrUnavailable) {
		return &failure{report.Incomplete, err, "Nothing can be said about this store. Nothing was changed."}
	}
	return misuse("", "%w", err)
}

// count sums up what the phases went through.
func count(r *report.Check) {
	for _, p := range r.Phases {
		switch p.Unit {
		case "links":
			r.LinksRead += p.Count - r.Cost.LinksProven
			r.Objects += p.Count
		case "blobs":
			r.Objects += p.Count
		}
	}
}

// apart refuses links to follow that lead to what has another name in the store
// already: what is seen twice is judged twice, and what isn't needed under one
// name would be taken from the other. What can't be resolved is left to whoever
// opens it.
func apart(t location.Location, follow []string) error {
	root, err := filepath.EvalSymlinks(t.Traits().Root)
	if err != nil {
		return nil
	}
	seen := location.Occupied(t, root)
	named := map[string]bool{}
	for _, path := range follow {
		at := path
		if !filepath.IsAbs(at) {
			at = t.Path(at)
		}
		parent, err := filepath.EvalSymlinks(filepath.Dir(at))
		if err != nil {
			continue
		}
		at = filepath.Join(parent, filepath.Base(at))
		real, err := filepath.EvalSymlinks(at)
		if err != nil || real == at || named[at] { // a mount is told apart where the store is listed
			continue
		}
		named[at] = true
		for _, other := range seen {
			if backend.Within(real, other) || backend.Within(other, real) {
				return misuse("", "--follow %s: it leads to %s, which is a part of the store under another name", path, real)
			}
		}
		seen = append(seen, real)
	}
	return nil
}

// waitFor returns what waits for links in motion, and says so.
func (s *session) waitFor(out *output) func(context.Context, graph.ConcurrentChange) error {
	return func(ctx context.Context, m graph.ConcurrentChange) error {
		rest := m.Until.Sub(s.now())
		if rest <= 0 {
			return nil
		}
		more := ""
		if m.Keys > 1 {
			more = " and " + report.Plural(m.Keys-1, "link more", "links more")
		}
		out.say(fmt.Sprintf("something was written or removed within the last minute around %s%s: waiting %d s to look again (--no-wait judges at once)",
			m.Key, more, int64((rest+time.Second-1)/time.Second)))
		return s.sleep(ctx, m.Until)
	}
}
