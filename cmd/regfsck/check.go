package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/backend"
	"regfsck/backend/inventory"
	"regfsck/backend/words"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/outside"
	"regfsck/cmd/regfsck/sources"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/journal"
	"regfsck/report"
	"regfsck/report/exitcode"
	"regfsck/report/progress"
	"regfsck/walker/cache"
)

// runCheck checks a store. It changes nothing.
func runCheck(s *session, c *cli.Context) error {
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
	accepted, acceptNotes, err := acceptedOf(c, found.String(), s.now())
	if err != nil {
		return err
	}
	if err := out.open(found, p.follow); err != nil {
		return err
	}
	defer out.discard()
	known, err := ledgersOf(s, c, found, p, out)
	if err != nil {
		return err
	}
	if known.part.N > 0 {
		return hashPart(s, c, known, found, p, severities[failOn], out)
	}
	defer known.discard()

	r := &report.Check{
		Version: version, Target: found.String(), Repeat: commandLine(c), Reach: s.reach(c), Fix: fixLine(c, found),
		Looked: p.looked(), FailOn: severities[failOn], Accepted: accepted,
	}
	if old := c.String(sinceName); old != "" {
		if r.Since, err = readPast(old); err != nil {
			return err
		}
	}
	o := s.options(p, found, out)
	state, err := outside.StateDir(c.String("state"), found, s.drivers, s.getenv)
	if err != nil && c.String("state") != "" {
		return err
	}
	recorded := err == nil
	if err == nil && found.Traits().ListsRemoved {
		o.Removed = s.removed(found, state)
	}
	past, unseen := sources.OwnPast(found, state, backend.Access{Follow: p.follow, Say: out.say})
	defer past.Close()
	o.Past = past
	return withSources(s, c, found, out, func(ctx context.Context, from sources.All) error {
		o.From, o.Ledger, o.Prove = from.Blobs(), known.Ledger, known.prove
		o.Partial = true
		compared := true
		compare := func(ctx context.Context, judged *check.Result) (err error) {
			r.Replicas, compared, err = from.Compare(ctx, judged.Scan)
			r.Phases = judged.Scan.Phases()
			return err
		}
		if len(from) == 0 {
			compare = nil
		} else {
			out.more = []string{"compare"}
		}
		if err := s.examine(ctx, r, found, p.follow, o, out, compare); err != nil {
			return err
		}
		r.Result.Notes = slices.Concat(acceptNotes, r.Result.Notes, unseen(r.Result))
		notes, written := known.end()
		r.Result.Notes = append(r.Result.Notes, notes...)
		if !written || !compared {
			r.Exit |= exitcode.Incomplete
		}
		if recorded {
			note, failed := keepRecord(ctx, r, found, state, c.String("state"), out)
			if note != "" {
				r.Result.Notes = append(r.Result.Notes, note)
			}
			if failed {
				r.Exit |= exitcode.Incomplete
			}
		}
		return s.deliver(r, r.Exit, out)
	})
}

// storeArgument returns STORE, or "" if it was not given.
func storeArgument(c *cli.Context) (string, error) {
	switch {
	case c.NArg() > 1:
		return "", failure.Misuse(seeHelp(c.Command.Name), "one STORE is checked at a time, and %d were given", c.NArg())
	case c.NArg() == 1 && c.Args().First() == "":
		return "", failure.Misuse(seeHelp(c.Command.Name), "STORE is empty")
	}
	return c.Args().First(), nil
}

// options returns the options to read and check a store.
func (s *session) options(p policy, t location.Location, out *output) check.Options {
	o := check.Options{
		Options: graph.Options{
			Workers: cmp.Or(out.workers, t.Traits().Parallel), Grace: p.grace, UploadsOlderThan: p.uploads, Now: s.now(),
			Thorough: p.thorough, AllAffects: p.allAffects, Cache: t.Cache, Verify: p.verify,
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

// staleFor is how long a listing may still name removed keys (Traits.ListsRemoved).
const staleFor = 7 * 24 * time.Hour

// removed returns a function that reports whether an earlier run removed a key, for stores
// whose listings still name removed keys; nil for other stores.
func (s *session) removed(t location.Location, state string) func(key string) bool {
	if !t.Traits().ListsRemoved {
		return nil
	}
	return journal.RemovedKeys(state, s.now().Add(-staleFor))
}

// judging is printed when a check is interrupted while it hashes.
const judging = "regfsck: what was found until now is judged; a second Ctrl-C ends it at once"

// interruptible is the progress of a check that judges what it has found when ctx ends.
type interruptible struct {
	*progress.Display
	ctx  context.Context
	said bool
}

// Phase implements graph.Progress.
func (p *interruptible) Phase(name string) {
	if name == "judge" && p.ctx.Err() != nil && !p.said {
		p.said = true
		p.Say(judging)
	}
	p.Display.Phase(name)
}

// afterCheck reads more of a store after the check, while the store is open.
type afterCheck func(ctx context.Context, found *check.Result) error

// examine checks the store, fills in r, and calls then if it isn't nil.
func (s *session) examine(ctx context.Context, r *report.Check, t location.Location, follow []string, o check.Options, out *output, then afterCheck) error {
	store, err := openToRead(ctx, t, follow, out)
	if err != nil {
		return err
	}
	defer store.Close()
	phases := []string{"blobs", "links", "manifests", "verify", "judge"}
	if len(s.listings) > 0 {
		phases = append([]string{"listing"}, phases...)
	}
	bar := s.progress(out, append(phases, out.more...)...)
	defer bar.Close()
	o.Progress = bar
	if o.Partial {
		o.Progress = &interruptible{Display: bar, ctx: ctx}
	}
	var listing *inventory.Reader
	var age string
	if len(s.listings) > 0 {
		if listing, age, err = listedBy(ctx, s.listings, t, store, &o); err != nil {
			return err
		}
		store = listing
	}
	r.Started = o.Now
	err = s.read(ctx, r, t, store, o, then)
	switch {
	case err == nil && r.Result.Interrupted:
	case ctx.Err() != nil && o.Partial:
		return failure.New(exitcode.Cancelled, errors.New("cancelled"+soFar(r.Phases)+"; nothing was changed"), "")
	default:
		if err := notRead(ctx, t, err); err != nil {
			return err
		}
	}
	if listing != nil {
		r.Listing = (*report.Listing)(listing.Comparison)
		r.Result.Notes = slices.Concat([]string{age}, compared(listing.Comparison), r.Result.Notes)
	}
	r.Finished = s.now()
	r.Cost, r.Requests, r.LinksByETag = store.Cost(), t.Traits().RequestsCost, store.Cost().LinksProven
	count(r)
	r.Accepted.Tally(r.Result.Findings, r.Result.Broken)
	r.Exit = exitcode.OfCheck(r.Result, r.FailOn, r.Accepted)
	if r.Result.Interrupted {
		r.Exit |= exitcode.Cancelled
		left := r.Result.Scan.Unhashed
		r.Result.Notes = append([]string{"The check was interrupted while it hashed blobs: " + words.Plural(left.Blobs, "blob was", "blobs were") + " not hashed (" + words.Size(left.Bytes) + "). This is what was found until then."}, r.Result.Notes...)
	}
	return nil
}

// openToRead opens a store to read it.
func openToRead(ctx context.Context, t location.Location, follow []string, out *output) (backend.OpenedReader, error) {
	if err := t.CheckFollowed(follow); err != nil {
		return nil, err
	}
	store, err := t.Open(ctx, backend.Access{Workers: out.workers, Follow: follow, Say: out.say})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, notOpen(err)
	}
	return store, nil
}

// notRead returns the failure of reading a store, which returned err; nil if it succeeded.
func notRead(ctx context.Context, t location.Location, err error) error {
	var known *failure.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return failure.Misuse("", "%s: %w", t, err)
	}
	return failure.New(exitcode.Incomplete, err, "The state of this store is unknown. Nothing was changed.")
}

// soFar describes what a cancelled check had read, "" for nothing.
func soFar(phases []graph.Phase) string {
	var read []string
	for _, p := range phases {
		if p.Count > 0 {
			read = append(read, words.Number(p.Count)+" "+p.Unit)
		}
	}
	if len(read) == 0 {
		return ""
	}
	return " after " + strings.Join(read, " and ") + ", which is too little for any result"
}

// notOpen returns the failure of opening a store: incomplete if the service is unavailable,
// else misuse.
func notOpen(err error) error {
	if errors.Is(err, backend.ErrUnavailable) {
		return failure.New(exitcode.Incomplete, err, "The state of this store is unknown. Nothing was changed.")
	}
	return failure.Misuse("", "%w", err)
}

// count adds up the objects and links of r's phases.
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

// waitFor returns a function that announces a concurrent change and waits until it can be
// rechecked.
func (s *session) waitFor(out *output) func(context.Context, graph.ConcurrentChange) error {
	return func(ctx context.Context, m graph.ConcurrentChange) error {
		rest := m.Until.Sub(s.now())
		if rest <= 0 {
			return nil
		}
		more := ""
		if m.Keys > 1 {
			more = " and " + words.Plural(m.Keys-1, "link more", "links more")
		}
		out.say(fmt.Sprintf("something was written or removed within the last minute around %s%s: waiting %d s to look again (--no-wait judges at once)",
			m.Key, more, int64((rest+time.Second-1)/time.Second)))
		return s.sleep(ctx, m.Until)
	}
}

const sinceName = "since"

// maxKnown is the most bytes of manifests in the cache.
const maxKnown = 256 << 20

// read checks the store with the manifest cache, calls then, and writes the cache.
func (s *session) read(ctx context.Context, r *report.Check, t location.Location, store backend.Reader, o check.Options, then afterCheck) (err error) {
	var note string
	o.Known, note = s.known(t)
	r.Result, r.Phases, err = s.check(ctx, store, o)
	if err == nil && then != nil && !r.Result.Interrupted { // an interrupted check answers at once
		err = then(ctx, r.Result)
	}
	if o.Known != nil {
		r.ManifestsCached = o.Known.Taken()
		if broke := o.Known.Close(); broke != nil {
			note = unkept(broke)
		}
	}
	if note != "" && r.Result != nil {
		r.Result.Notes = append(r.Result.Notes, note)
	}
	return err
}

// known opens the manifest cache; nil if none is used. A note says why it can't be opened.
func (s *session) known(t location.Location) (c *cache.Cache, note string) {
	if !t.Traits().RequestsCost || s.noCache {
		return nil, ""
	}
	dir, err := s.caches()
	if err == nil {
		c, err = cache.Open(filepath.Join(dir, "regfsck", "manifests"), maxKnown, s.now())
	}
	if err != nil {
		return nil, unkept(err)
	}
	return c, ""
}

// unkept says why the next run will have to fetch again what this one has.
func unkept(err error) string {
	return fmt.Sprintf("Manifests can't be cached for the next run: %v. The result is the same; --no-cache turns the cache off.", err)
}
