package main

import (
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/failure"
	"regfsck/graph/check"
	"regfsck/graph/gc"
	"regfsck/graph/usage"
	"regfsck/report"
	"regfsck/report/exitcode"
	"regfsck/walker/layout"
)

// runWhy shows what keeps a digest or a tag's manifest.
func runWhy(s *session, c *cli.Context) error {
	if c.NArg() != 2 || c.Args().First() == "" {
		return failure.Misuse(seeHelp("why"), "why takes a STORE and one DIGEST or REF")
	}
	p, err := usagePolicy(c)
	if err != nil {
		return err
	}
	out, err := s.outputOf(c)
	if err != nil {
		return err
	}
	if c.Bool("dot") && (out.json || out.quiet) {
		return failure.Misuse(seeHelp("why"), "--dot is one form of the answer, and --json and --quiet are others")
	}
	q := &question{asked: c.Args().Get(1)}
	if err := q.read(); err != nil {
		return err
	}
	found, err := s.resolve(c, c.Args().First())
	if err != nil {
		return err
	}
	if err := out.open(found, p.follow); err != nil {
		return err
	}
	defer out.discard()
	q.Why.Check = report.Check{Version: version, Target: found.String(), Repeat: commandLine(c), Reach: s.reach(c)}
	q.Grace = p.grace
	q.Fix = append([]string{c.Args().First()}, given(c, func(name string) bool { return name != "dot" && name != listingName })...)
	if err := s.examine(c.Context, &q.Check, found, p.follow, s.options(p, found, out), out, q.answer); err != nil {
		return err
	}
	if q.Exit = 0; !q.Result.Complete {
		q.Exit = exitcode.Incomplete
	}
	if c.Bool("dot") {
		out.form = "dot"
	}
	return s.deliver(&q.Why, q.Exit, out)
}

// question is one run of why.
type question struct {
	report.Why
	asked  string
	ref    gc.Ref
	hex    string // hex digits that a digest begins with; "" if it isn't one
	other  string // a whole digest of another algorithm than sha256
	surely bool   // it is a digest, not a repository
}

// fewest is how many hex digits a digest is recognized by.
const fewest = 8

// read parses the argument, as far as possible without the store.
func (q *question) read() error {
	hex, prefixed := strings.CutPrefix(q.asked, "sha256:")
	if strings.Trim(hex, "0123456789abcdef") == "" && len(hex) <= 2*len(layout.Digest{}) && (prefixed || len(hex) >= fewest) {
		q.hex, q.surely = hex, prefixed
	}
	if prefixed && len(q.hex) < fewest {
		return failure.Misuse("", "%q is no digest, nor the first %d hex digits of one", q.asked, fewest)
	}
	if d, ok := layout.ParseAnyDigest(q.asked); ok && d.Other != "" {
		q.other, q.surely = d.Other, true
	}
	if q.surely {
		return nil
	}
	var err error
	if q.ref, err = gc.ParseRef(q.asked); err != nil {
		return failure.Misuse(seeHelp("why"), "%s: %w", q.asked, err)
	}
	return nil
}

// answer sets the answer from a check's result.
func (q *question) answer(ctx context.Context, found *check.Result) error {
	u := usage.Of(found.Marks, found.Broken)
	q.Result = found
	q.Paths = func(func(usage.Path) bool) {}
	if q.surely || q.hex != "" && !u.Has(q.ref.Repository) {
		digest, err := q.whole(u)
		if err != nil {
			return err
		}
		return q.digest(ctx, u, digest)
	}
	if err := requireListed(u, found, q.ref, q.Target); err != nil {
		return err
	}
	q.Repository, q.Tag = q.ref.Repository, q.ref.Tag
	q.Pinned = u.Pinned()
	switch {
	case q.ref.Tag != "":
		tags, _ := u.Tags(q.Repository)
		t := tags[slices.IndexFunc(tags, func(t usage.TagUsage) bool { return t.Name == q.Tag })]
		if t.Digest == "" {
			return failure.Misuse("See regfsck check.", "the tag %s has no link that names a manifest", q.ref)
		}
		q.Own = t.Own
		return q.digest(ctx, u, t.Digest)
	case q.ref.Digest != "":
		own, _, ok := u.Own(q.Repository, q.ref.Digest)
		if !ok {
			return failure.Misuse("", "the repository %s has no manifest %s", q.Repository, q.ref.Digest)
		}
		q.Own = own
		return q.digest(ctx, u, q.ref.Digest)
	}
	q.Holder = u.Repository(q.Repository)
	q.Own = q.Holder.Own
	return nil
}

// whole returns the only digest that matches the argument.
func (q *question) whole(u *usage.Usage) (string, error) {
	if known, _ := u.Known(q.other); known.Stored {
		return q.other, nil
	} else if alg, _, other := layout.SplitDigest(q.other); other {
		return "", failure.Misuse("", "no bytes are stored under this %s digest; if it is a name for a blob that is stored by sha256, ask for that", alg)
	}
	const named = 10
	switch all := u.Match(q.hex, named+1); len(all) {
	case 0:
		if !q.Result.Complete {
			return "", failure.New(exitcode.Incomplete, failure.Misuse("", "nothing refers to %s in what could be read of %s", q.asked, q.Target), "")
		}
		return "", failure.Misuse("", "nothing in %s refers to %s", q.Target, q.asked)
	case 1:
		return all[0], nil
	default:
		more := ""
		if len(all) > named {
			all, more = all[:named], " and others"
		}
		return "", failure.Misuse("", "%s may be %s%s", q.asked, strings.Join(all, " or "), more)
	}
}

// digest sets what keeps a digest, or the objects of one that nothing keeps.
func (q *question) digest(ctx context.Context, u *usage.Usage, digest string) (err error) {
	q.Digest, q.Pinned = digest, u.Pinned()
	q.Known, _ = u.Known(digest)
	q.Paths = u.Paths(digest, q.Repository)
	if !q.Known.Kept {
		if q.Places, err = q.Result.Scan.ObjectsOf(ctx, digest); err == nil {
			q.Lost, err = check.LostImageOf(ctx, q.Result.Scan, q.Result.Policy, digest)
			q.Known.Manifest = q.Known.Manifest || q.Lost != nil
		}
	}
	return err
}
