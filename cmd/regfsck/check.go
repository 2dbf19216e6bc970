package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/backend"
	"regfsck/backend/batch"
	"regfsck/backend/words"
	"regfsck/cmd/regfsck/catalog"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/outside"
	"regfsck/cmd/regfsck/sources"
	"regfsck/cmd/regfsck/value"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/report"
	"regfsck/report/exitcode"
	"regfsck/report/progress"
	"regfsck/walker/cache"
	"regfsck/walker/ledger"
)

// runCheck examines a store and changes nothing.
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
		return hashPart(s, c, known, found, p, severity(failOn), out)
	}
	defer known.discard()

	r := &report.Check{
		Version: version, Target: found.String(), Repeat: commandLine(c), Reach: s.reach(c), Fix: fixLine(c, found),
		Looked: p.looked(), FailOn: severity(failOn), Accepted: accepted,
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
	return s.withSources(c, found, out, func(ctx context.Context, from sources.All) error {
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
		if err := s.examineAnd(ctx, r, found, p.follow, o, out, compare); err != nil {
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

// storeArgument returns STORE, or "" where it was left out.
func storeArgument(c *cli.Context) (string, error) {
	switch {
	case c.NArg() > 1:
		return "", failure.Misuse(seeHelp(c.Command.Name), "one STORE is checked at a time, and %d were given", c.NArg())
	case c.NArg() == 1 && c.Args().First() == "":
		return "", failure.Misuse(seeHelp(c.Command.Name), "STORE is empty")
	}
	return c.Args().First(), nil
}

// options says how a store is to be read and judged.
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

// judging is what is said when a check is interrupted while it hashes: sources may still
// have to be asked.
const judging = "regfsck: what was found until now is judged; a second Ctrl-C ends it at once"

// goingOn is the progress of a check that goes on where ctx ends, and says so then.
type goingOn struct {
	*progress.Display
	ctx  context.Context
	told bool
}

// Phase is graph.Progress's.
func (p *goingOn) Phase(name string) {
	if name == "judge" && p.ctx.Err() != nil && !p.told {
		p.told = true
		p.Say(judging)
	}
	p.Display.Phase(name)
}

// later is what a command still reads once a store was judged, while it is open.
type later func(ctx context.Context, found *check.Result) error

// examine reads the store and fills in what was found.
func (s *session) examine(ctx context.Context, r *report.Check, t location.Location, follow []string, o check.Options, out *output) error {
	return s.examineAnd(ctx, r, t, follow, o, out, nil)
}

// examineAnd does what examine does, and then something more.
func (s *session) examineAnd(ctx context.Context, r *report.Check, t location.Location, follow []string, o check.Options, out *output, then later) error {
	if err := t.CheckFollowed(follow); err != nil {
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
	phases := []string{"blobs", "links", "manifests", "verify", "judge"}
	if len(s.listings) > 0 {
		phases = append([]string{"listing"}, phases...)
	}
	bar := s.progress(out, append(phases, out.more...)...)
	defer bar.Close()
	o.Progress = bar
	if o.Partial {
		o.Progress = &goingOn{Display: bar, ctx: ctx}
	}
	store, notes, err := listedBy(ctx, s.listings, t, store, &o)
	if err != nil {
		return err
	}
	r.Started = o.Now
	err = s.read(ctx, r, t, store, o, then)
	var known *failure.Error
	switch {
	case err == nil && r.Result.Stopped():
	case ctx.Err() != nil && o.Partial:
		return failure.New(exitcode.Cancelled, errors.New("cancelled"+soFar(r.Phases)+"; nothing was changed"), "")
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &known):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return failure.Misuse("", "%s: %w", t, err)
	case err != nil:
		return failure.New(exitcode.Incomplete, err, "Nothing can be said about this store. Nothing was changed.")
	}
	r.Result.Notes = append(notes, r.Result.Notes...)
	r.Finished = s.now()
	r.Cost, r.Requests, r.LinksByETag = store.Cost(), t.Traits().RequestsCost, store.Cost().LinksProven
	count(r)
	r.Accepted.Tally(r.Result.Findings, r.Result.Broken)
	r.Exit = exitcode.OfCheck(r.Result, r.FailOn, r.Accepted)
	if r.Result.Stopped() {
		r.Exit |= exitcode.Cancelled
		left := r.Result.Scan.Unhashed
		r.Result.Notes = append([]string{"The check was interrupted while it hashed blobs: " + words.Plural(left.Blobs, "blob was", "blobs were") + " not hashed (" + words.Size(left.Bytes) + "). This is what was found until then."}, r.Result.Notes...)
	}
	return nil
}

// soFar says what was read before a check was cancelled, which can't be judged yet.
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
	return " after " + strings.Join(read, " and ") + ", of which nothing can be said without the rest"
}

// notOpen says why a store could not be opened: because of what was asked for, or
// because who keeps it doesn't answer.
func notOpen(err error) error {
	if errors.Is(err, backend.ErrUnavailable) {
		return failure.New(exitcode.Incomplete, err, "Nothing can be said about this store. Nothing was changed.")
	}
	return failure.Misuse("", "%w", err)
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

// waitFor returns what waits for links in motion, and says so.
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

// ledgerNames are the names of ledgerFlags.
var ledgerNames = []string{"ledger", "reverify-after", "verified", "shard"}

// ledgerFlags say which blobs were hashed before, and where it is written down.
func ledgerFlags() []cli.Flag {
	return group(catalog.AboutLedger,
		textFlag("ledger", "hash only what `FILE` doesn't know to be right, and write down there what was hashed"),
		valueFlag("reverify-after", "90d", "hash again what was hashed longer than `DURATION` ago"),
		listFlag("verified", "take blobs for hashed that the ledger `FILE` knows to be right, or the report of a batch job whose manifest.json it is; a pattern such as 'part-*' names several (repeatable)"),
		textFlag("shard", "hash only the part `I/N` of all blobs, without a look at links; N alone takes I from $"+completionIndex+", which counts from 0"),
	)
}

const sinceName = "since"

// completionIndex is the variable in which Kubernetes tells a pod of an Indexed Job which
// one it is, from 0.
const completionIndex = "JOB_COMPLETION_INDEX"

// ledgers are what is known of the store from before.
type ledgers struct {
	*ledger.Ledger             // nil where nobody asked for any
	path           string      // of the file that is written; "" for none
	prove          bool        // every blob is to be proven
	part           ledger.Part // to which the run keeps; N is 0 for none
}

// clockSkew is how far the clocks of machines that write ledgers may be apart.
const clockSkew = 5 * time.Minute

// ledgersOf reads the ledgers that were named, and reports of batch jobs as such.
func ledgersOf(s *session, c *cli.Context, t location.Location, p policy, out *output) (l ledgers, err error) {
	now := s.now()
	l.path = c.String("ledger")
	files := c.StringSlice("verified")
	hint := seeHelp(c.Command.Name)
	if c.IsSet("shard") {
		if l.part, err = shardOf(c.String("shard"), s.getenv(completionIndex)); err != nil {
			return l, failure.Misuse(hint, "--shard %w", err)
		}
		for _, name := range []string{"verify", "verified", "from", "untagged", "thorough", "grace", "uploads-older-than", "no-wait", listingName, sinceName, "state", acceptName} {
			if c.IsSet(name) {
				return l, failure.Misuse(hint, "--shard only hashes blobs, and goes without --%s", name)
			}
		}
	}
	whole := p.verify == graph.Verify{}
	switch {
	case c.IsSet("shard") && l.path == "":
		return l, failure.Misuse(hint, "--shard needs --ledger, where its part is written down")
	case c.IsSet("ledger") && l.path == "":
		return l, failure.Misuse(hint, "--ledger needs a FILE")
	case l.path != "" && whole && l.part.N == 0:
		return l, failure.Misuse(hint, "--ledger needs --verify: all, missing, a part like 3/30, or a size like 200GiB")
	case p.verify.Budget > 0 && l.path == "":
		return l, failure.Misuse(hint, "--verify %s needs --ledger, which tells what wasn't hashed for the longest time", c.String("verify"))
	case p.verify.Missing && len(files) == 0:
		return l, failure.Misuse(hint, "--verify missing needs --verified, which tells what isn't missing")
	case len(files) > 0 && !whole && !p.verify.Missing:
		return l, failure.Misuse(hint, "--verified goes with --verify missing, or without --verify")
	case c.IsSet("reverify-after") && l.path == "" && len(files) == 0:
		return l, failure.Misuse(hint, "--reverify-after needs --ledger or --verified")
	case l.path == "" && len(files) == 0:
		return l, nil
	}
	after, err := value.Duration(c.String("reverify-after"))
	if err != nil {
		return l, failure.Misuse(hint, "--reverify-after %w", err)
	}
	l.Ledger, l.prove = &ledger.Ledger{Since: now.Add(-after).Unix(), Until: now.Add(clockSkew).Unix()}, len(files) > 0
	paths, err := matching(files)
	if err != nil {
		return l, failure.Misuse("", "--verified %w", err)
	}
	bar := s.progress(out)
	defer bar.Close()
	for _, path := range paths {
		if isReport(path) {
			bar.Phase("report")
			bar.Total(-1, "rows")
			err = readReport(s, c, t, path, l.Ledger, out, bar)
		} else {
			bar.Phase("ledger")
			if err = l.Read(path, t.Identity()); err != nil {
				err = notRead(path, err)
			}
		}
		if c.Context.Err() != nil {
			return l, c.Context.Err()
		}
		if err != nil {
			return l, failure.Misuse("", "--verified %w", err)
		}
	}
	if l.path == "" {
		return l, nil
	}
	if _, err := outside.Directory(l.path, t, p.follow); err != nil {
		return l, failure.Misuse("", "--ledger %w", err)
	}
	if err := l.Open(l.path, t.Identity()); err != nil {
		return l, failure.Misuse("", "--ledger %w", notRead(l.path, err))
	}
	return l, nil
}

// matching returns the files that paths and patterns name, each of which has to name one.
func matching(patterns []string) (paths []string, err error) {
	for _, p := range patterns {
		if strings.Contains(p, "://") {
			paths = append(paths, p)
			continue
		}
		if _, err := os.Stat(p); err == nil {
			paths = append(paths, p)
			continue
		}
		found, err := filepath.Glob(p)
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("%s: there is no such file", p)
		}
		paths = append(paths, found...)
	}
	return paths, nil
}

// isReport reports whether what --verified names is the report of a batch job, and no ledger.
func isReport(name string) bool {
	return strings.Contains(name, "://") || strings.HasSuffix(name, ".json")
}

// readReport has a ledger take what the report of a batch job proves of a store. What of it
// proves nothing is a note.
func readReport(s *session, c *cli.Context, t location.Location, name string, l *ledger.Ledger, out *output, bar *progress.Display) error {
	if t.Traits().Root != "" {
		return fmt.Errorf("%s: the report of a batch job proves blobs of %s, and %s is none", name, s.nouns(costly, "s"), t)
	}
	dir, manifest := filepath.Split(name)
	open := func(file string) (io.ReadCloser, error) { return os.Open(filepath.Join(dir, filepath.FromSlash(file))) }
	if strings.Contains(name, "://") {
		dir, manifest = name[:strings.LastIndexByte(name, '/')], path.Base(name)
		at, err := t.Near(dir)
		if err != nil {
			return err
		}
		r, err := at.Open(c.Context, backend.Access{Any: true, Say: out.say})
		if err != nil {
			return err
		}
		defer r.Close()
		open = func(file string) (io.ReadCloser, error) { return r.Open(c.Context, file) }
	}
	r, err := batch.Open(manifest, batch.Store{Container: t.Traits().Label, Prefix: t.Traits().Prefix}, open)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no such file", name)
	case err != nil:
		return fmt.Errorf("%s %w", name, backend.Cause(err))
	}
	whole := true
	for _, file := range r.Files {
		err := l.AddReport(r.Created, func(add func(ledger.Record)) error {
			return r.Read(c.Context, file, func(p batch.Proof) {
				bar.Add(1)
				verdict := ledger.Wrong
				if p.Right {
					verdict = ledger.Right
				}
				add(ledger.Record{Digest: p.Digest, Stamp: ledger.StampOf(p.ETag, 0, 0), Verdict: verdict})
			})
		})
		switch {
		case c.Context.Err() != nil:
			return c.Context.Err()
		case errors.Is(err, batch.ErrStore):
			return fmt.Errorf("%s %w, and the store is in %s", name, err, t.Traits().Label)
		case err != nil:
			whole = false
			l.Notes = append(l.Notes, fmt.Sprintf("%s: of its file %s nothing is used: it %v.", name, file, err))
		}
	}
	if whole && r.Named == 0 {
		return fmt.Errorf("%s names no blob of %s", name, t)
	}
	for _, note := range r.Notes() {
		l.Notes = append(l.Notes, name+": "+note+".")
	}
	return nil
}

// notRead says why a ledger can't be used, and what to do.
func notRead(path string, err error) error {
	switch {
	case errors.Is(err, ledger.ErrStore):
		return fmt.Errorf("%s %w: name a file of its own for each store", path, err)
	case errors.Is(err, ledger.ErrFormat):
		return fmt.Errorf("%s %w: name another file", path, err)
	case errors.Is(err, ledger.ErrLocked):
		return fmt.Errorf("%s: %w", path, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no such file or directory", path)
	}
	return failure.Unreadable(path, err)
}

// shardOf reads which part of the blobs is to be hashed.
func shardOf(text, index string) (p ledger.Part, err error) {
	wrong := fmt.Errorf("is a part like 3/10, or a number of parts like 10 where $%s is set, not %q", completionIndex, text)
	if p, ok := value.Part(text); ok {
		return p, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 {
		return p, wrong
	}
	i, err := strconv.ParseUint(index, 10, 32)
	switch {
	case index == "":
		return p, fmt.Errorf("%s needs $%s, which isn't set; say which part it is: 1/%s", text, completionIndex, text)
	case err != nil || i >= n:
		return p, fmt.Errorf("%s: $%s is %q, and has to be a number from 0 to %d", text, completionIndex, index, n-1)
	}
	return ledger.Part{I: i + 1, N: n}, nil
}

// end closes the file. Notes say what is wrong with what was read or written.
func (l *ledgers) end() (notes []string, written bool) {
	if l.Ledger == nil {
		return nil, true
	}
	notes = l.Notes
	if err := l.Close(); err != nil {
		return append(notes, fmt.Sprintf("Not all that was hashed could be written down: %v. It will be hashed again.", failure.Unwritable(l.path, err))), false
	}
	return notes, true
}

// discard closes the file where the command ended before its answer.
func (l *ledgers) discard() {
	if l.Ledger != nil {
		l.Close()
	}
}

// hashPart hashes a part of the blobs, and writes it down.
func hashPart(s *session, c *cli.Context, l ledgers, t location.Location, p policy, failOn finding.Severity, out *output) error {
	defer l.discard()
	r := &report.Shard{Version: version, Target: t.String(), Ledger: l.path, Part: l.part, Started: s.now()}
	cost, err := blobsOnly(s, c.Context, t, p, out, []string{"blobs", "verify"}, func(store backend.OpenedReader, o check.Options) (err error) {
		o.Ledger, o.Verify = l.Ledger, graph.Verify{Part: l.part}
		r.Hashing, err = graph.HashOnly(c.Context, store, o.Options)
		return err
	})
	if err != nil {
		return err
	}
	notes, written := l.end()
	r.Notes, r.Finished = notes, s.now()
	r.Cost, r.Requests = cost, t.Traits().RequestsCost
	r.Exit = exitcode.OfShard(r.Hashing, failOn)
	if !written {
		r.Exit |= exitcode.Incomplete
	}
	return s.deliver(r, r.Exit, out)
}

// maxKnown is how many bytes of manifests are kept from one run to the next.
const maxKnown = 256 << 20

// read checks the store with the manifests that were read before, does then, and
// keeps what both read.
func (s *session) read(ctx context.Context, r *report.Check, t location.Location, store backend.Reader, o check.Options, then later) (err error) {
	var note string
	o.Known, note = s.known(t)
	r.Result, r.Phases, err = s.check(ctx, store, o)
	if err == nil && then != nil && !r.Result.Stopped() { // who interrupts a check wants its answer
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

// known opens the cache of the manifests that were read before; nil where there
// is to be none. That there can't be one is no more than a note.
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
	return fmt.Sprintf("Manifests can't be kept for the next run: %v. Nothing else depends on that (--no-cache keeps none).", err)
}
