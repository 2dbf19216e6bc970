package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/backend"
	"regfsck/backend/batch"
	"regfsck/cmd/regfsck/catalog"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/outside"
	"regfsck/cmd/regfsck/value"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/exitcode"
	"regfsck/report/progress"
	"regfsck/walker/ledger"
)

// ledgerNames are the names of the flags of ledgerFlags.
var ledgerNames = []string{"ledger", "reverify-after", "verified", "shard"}

// ledgerFlags name ledgers of hashed blobs.
func ledgerFlags() []cli.Flag {
	return group(catalog.AboutLedger,
		textFlag("ledger", "hash only what `FILE` doesn't record as right, and record there what was hashed"),
		valueFlag("reverify-after", "90d", "hash again what was hashed longer than `DURATION` ago"),
		listFlag("verified", "count blobs as hashed that the ledger `FILE` records as right, or the report of a batch job, by its manifest.json; a pattern such as 'part-*' names several (repeatable)"),
		textFlag("shard", "hash only the part `I/N` of all blobs, without a look at links; N alone takes I from $"+completionIndex+", which counts from 0"),
	)
}

// completionIndex is the variable that holds the index, from 0, of a pod of a Kubernetes
// Indexed Job.
const completionIndex = "JOB_COMPLETION_INDEX"

// ledgers holds what earlier runs hashed.
type ledgers struct {
	*ledger.Ledger             // nil if no ledger was named
	path           string      // of the ledger to write; "" for none
	prove          bool        // verify every blob
	part           ledger.Part // to hash; N is 0 for all
}

// clockSkew is the most by which the clocks of machines that write ledgers may differ.
const clockSkew = 5 * time.Minute

// ledgersOf reads the ledgers and the reports of batch jobs that the flags name.
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
				return l, failure.Misuse(hint, "--shard only hashes blobs, and can't be used with --%s", name)
			}
		}
	}
	whole := p.verify == graph.Verify{}
	switch {
	case c.IsSet("shard") && l.path == "":
		return l, failure.Misuse(hint, "--shard needs --ledger, which records its part")
	case c.IsSet("ledger") && l.path == "":
		return l, failure.Misuse(hint, "--ledger needs a FILE")
	case l.path != "" && whole && l.part.N == 0:
		return l, failure.Misuse(hint, "--ledger needs --verify: all, missing, a part like 3/30, or a size like 200GiB")
	case p.verify.Budget > 0 && l.path == "":
		return l, failure.Misuse(hint, "--verify %s needs --ledger, which records when each blob was hashed", c.String("verify"))
	case p.verify.Missing && len(files) == 0:
		return l, failure.Misuse(hint, "--verify missing needs --verified, which names the blobs that were hashed")
	case len(files) > 0 && !whole && !p.verify.Missing:
		return l, failure.Misuse(hint, "--verified can be used with --verify missing, or without --verify")
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
		if strings.Contains(path, "://") || strings.HasSuffix(path, ".json") {
			bar.Phase("report")
			bar.Total(-1, "rows")
			err = readReport(s, c, t, path, l.Ledger, out, bar)
		} else {
			bar.Phase("ledger")
			if err = l.Read(path, t.Identity()); err != nil {
				err = badLedger(path, err)
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
		return l, failure.Misuse("", "--ledger %w", badLedger(l.path, err))
	}
	return l, nil
}

// matching expands paths and patterns. It is an error if one matches no file.
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

// readReport adds to l the blobs that the report of a batch job verifies. Notes say what of
// it could not be used.
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

// badLedger returns the failure of reading a ledger.
func badLedger(path string, err error) error {
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

// shardOf parses the part of the blobs to hash.
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
		return p, fmt.Errorf("%s needs $%s, which isn't set; or name the part, such as 1/%s", text, completionIndex, text)
	case err != nil || i >= n:
		return p, fmt.Errorf("%s: $%s is %q, and has to be a number from 0 to %d", text, completionIndex, index, n-1)
	}
	return ledger.Part{I: i + 1, N: n}, nil
}

// end closes the ledger. Notes say what was wrong with it.
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

// discard closes the ledger of a command that failed.
func (l *ledgers) discard() {
	if l.Ledger != nil {
		l.Close()
	}
}

// hashPart hashes a part of the blobs and writes it to the ledger.
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
