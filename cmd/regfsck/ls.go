package main

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/settings"
	"regfsck/cmd/regfsck/spelling"
	"regfsck/cmd/regfsck/value"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/usage"
	"regfsck/report"
	"regfsck/report/exitcode"
	"regfsck/walker"
	"regfsck/walker/manifest"
)

// sorts are the values of --sort.
var sorts = []string{"size", "own", "name", "pushed", "created"}

// runLs lists repositories, the tags of a repository, or the objects of a tag.
func runLs(s *session, c *cli.Context) error {
	l, err := listOf(s, c)
	if err != nil {
		return err
	}
	found, err := s.resolve(c, c.Args().First())
	if err != nil {
		return err
	}
	if err := l.out.open(found, l.policy.follow); err != nil {
		return err
	}
	defer l.out.discard()
	l.List = report.List{Check: report.Check{Version: version, Target: found.String(), Repeat: commandLine(c), Reach: s.reach(c)}}
	if l.out.text.Terminal && !c.IsSet("limit") {
		l.Cut = report.OnTerminal
	}
	if err := s.examine(c.Context, &l.Check, found, l.policy.follow, s.options(l.policy, found, l.out), l.out, l.fill); err != nil {
		return err
	}
	return s.deliver(l.answer(), l.Exit, l.out)
}

// listing is one run of ls.
type listing struct {
	report.List
	ref    gc.Ref
	sort   string // "" for the default
	limit  int    // the most rows; 0 for all
	broken bool
	policy policy
	out    *output
	answer func() report.Document // set by fill
}

func listOf(s *session, c *cli.Context) (*listing, error) {
	l := &listing{broken: c.Bool("broken"), sort: c.String("sort")}
	var err error
	switch {
	case c.NArg() == 0 || c.Args().First() == "":
		return nil, failure.Misuse(seeHelp("ls"), "no STORE was given")
	case c.NArg() > 2:
		return nil, failure.Misuse(seeHelp("ls"), "ls takes a STORE and one REPO or REPO:TAG, and %d arguments were given", c.NArg())
	case c.NArg() == 2:
		if l.ref, err = gc.ParseRef(c.Args().Get(1)); err != nil {
			return nil, failure.Misuse(seeHelp("ls"), "%s: %w", c.Args().Get(1), err)
		}
	}
	if l.ref.Digest != "" {
		return nil, failure.Misuse("regfsck why shows what keeps a manifest.", "ls lists by tags, and %s names none", l.ref)
	}
	if c.IsSet("sort") {
		if _, err = oneOf(c, "sort", sorts); err != nil {
			return nil, err
		}
	}
	switch {
	case l.sort == "created" && l.ref.Repository == "":
		return nil, failure.Misuse("A repository's tags can be: regfsck ls STORE REPO --sort created.", "repositories can't be sorted by when they were created: that is not recorded")
	case c.IsSet("sort") && (l.broken || l.ref.Tag != ""):
		return nil, failure.Misuse(seeHelp("ls"), "--sort is for lists of repositories and of tags")
	case l.broken && l.ref.Tag != "":
		return nil, failure.Misuse(seeHelp("ls"), "--broken is for lists; without it the answer shows what is wrong with one tag")
	}
	if n := c.String("limit"); n != "" {
		if l.limit, err = strconv.Atoi(n); err != nil || l.limit < 0 {
			return nil, failure.Misuse(seeHelp("ls"), "--limit is a number from 0, not %q", n)
		}
	}
	if l.policy, err = usagePolicy(c); err != nil {
		return nil, err
	}
	l.out, err = s.outputOf(c)
	return l, err
}

// usagePolicy reads the flags that define what counts as used.
func usagePolicy(c *cli.Context) (p policy, err error) {
	p = policy{Policy: gc.Policy{Untagged: c.Bool("untagged"), Usage: true, UsedOnly: true}, follow: c.StringSlice("follow")}
	if p.grace, err = value.Duration(c.String("grace")); err != nil {
		return p, failure.Misuse(seeHelp(c.Command.Name), "--grace %w", err)
	}
	p.uploads, err = value.Duration(settings.UsualUploads)
	return p, err
}

// fill sets the rows of the list from a check's result.
func (l *listing) fill(ctx context.Context, found *check.Result) error {
	l.Result = found
	u := usage.Of(found.Marks, found.Broken)
	if err := requireListed(u, found, l.ref, l.Target); err != nil {
		return err
	}
	switch {
	case l.broken:
		l.fillBroken(found)
	case l.ref.Repository == "":
		l.fillRepositories(u)
	case l.ref.Tag == "":
		return l.fillTags(ctx, u)
	default:
		return l.fillTree(ctx, u)
	}
	return nil
}

// requireListed fails if the store has no such repository or tag, and suggests the most
// similar name.
func requireListed(u *usage.Usage, found *check.Result, r gc.Ref, store string) error {
	what, names := "", []string(nil)
	switch {
	case r.Repository == "" || r.Tag == "" && u.Has(r.Repository):
		return nil
	case !u.Has(r.Repository):
		what, names = "repository "+r.Repository, u.Names()
		r.Tag = ""
	default:
		what, names = "tag "+r.String(), u.TagNames(r.Repository)
		if slices.Contains(names, r.Tag) {
			return nil
		}
	}
	if !found.Complete {
		return failure.New(exitcode.Incomplete, failure.Misuse("", "no %s was found in %s, of which something could not be read", what, store), "")
	}
	word, before := r.Repository, ""
	if r.Tag != "" {
		word, before = r.Tag, r.Repository+":"
	}
	return failure.Misuse("", "there is no %s in %s%s", what, store, spelling.DidYouMean(word, names, before))
}

// cutTo returns the rows that --limit allows.
func cutTo[T any](l *listing, rows []T) []T {
	l.All = len(rows)
	if l.limit > 0 && len(rows) > l.limit {
		return rows[:l.limit]
	}
	return rows
}

// whole reports whether some output will have all rows.
func (l *listing) whole() bool {
	return l.Cut == 0 || l.out.json || len(l.out.files) > 0
}

func (l *listing) fillRepositories(u *usage.Usage) {
	all, shared := u.Repositories()
	slices.SortStableFunc(all, func(a, b usage.RepositoryUsage) int {
		switch l.sort {
		case "size":
			return cmp.Compare(b.Total(), a.Total())
		case "name":
			return 0
		case "pushed":
			return b.Pushed.Compare(a.Pushed)
		}
		return cmp.Compare(b.Own, a.Own)
	})
	rows := cutTo(l, all)
	l.answer = func() report.Document { return &report.RepositoryList{List: l.List, Rows: rows, Shared: shared} }
}

func (l *listing) fillBroken(found *check.Result) {
	asked := func(tags iter.Seq[finding.BrokenTag]) (all []finding.BrokenTag) {
		for b := range tags {
			if l.ref.Repository == "" || b.Repository == l.ref.Repository {
				all = append(all, b)
			}
		}
		return all
	}
	rows, unknown := cutTo(l, asked(found.Broken)), asked(found.Unknown)
	l.answer = func() report.Document {
		return &report.BrokenList{List: l.List, Repository: l.ref.Repository, Rows: rows, Unknown: unknown}
	}
}

func (l *listing) fillTags(ctx context.Context, u *usage.Usage) error {
	tags, pinned := u.Tags(l.ref.Repository)
	rows := make([]report.TagRow, len(tags))
	for i := range tags {
		rows[i].TagUsage = tags[i]
	}
	if l.sort == "created" {
		if err := l.readConfigs(ctx, rows); err != nil {
			return err
		}
	}
	slices.SortStableFunc(rows, func(a, b report.TagRow) int {
		switch l.sort {
		case "size":
			return cmp.Compare(b.Size, a.Size)
		case "own":
			return cmp.Compare(b.Own, a.Own)
		case "name":
			return 0
		case "created":
			return b.Created.Compare(a.Created)
		}
		return b.Pushed.Compare(a.Pushed)
	})
	rows = cutTo(l, rows)
	shown := rows
	if !l.whole() && len(rows) > l.Cut {
		shown = rows[:l.Cut]
	}
	if l.sort != "created" {
		if err := l.readConfigs(ctx, shown); err != nil {
			return err
		}
	}
	if err := l.readRows(ctx, shown); err != nil {
		return err
	}
	l.answer = func() report.Document {
		return &report.TagList{List: l.List, Repository: u.Repository(l.ref.Repository), Pinned: pinned, Rows: rows}
	}
	return nil
}

func (l *listing) fillTree(ctx context.Context, u *usage.Usage) error {
	tags, pinned := u.Tags(l.ref.Repository)
	at := slices.IndexFunc(tags, func(t usage.TagUsage) bool { return t.Name == l.ref.Tag })
	rows := []report.TagRow{{TagUsage: tags[at]}}
	if err := l.readConfigs(ctx, rows); err != nil {
		return err
	}
	if err := l.readRows(ctx, rows); err != nil {
		return err
	}
	tree, _ := u.Tree(l.ref.Repository, l.ref.Tag)
	words, err := l.words(ctx, &tree, rows[0].Platforms)
	if err != nil {
		return err
	}
	l.All = 1
	l.answer = func() report.Document {
		return &report.TagTree{List: l.List, Repository: l.ref.Repository, Pinned: pinned, Tag: rows[0], Tree: tree, Words: words}
	}
	return nil
}

// readConfigs reads when the rows' images were created and their platforms.
func (l *listing) readConfigs(ctx context.Context, rows []report.TagRow) error {
	digests := make([]string, len(rows))
	for i := range rows {
		digests[i] = rows[i].Config
	}
	configs, err := l.Result.Scan.Configs(ctx, digests)
	for i, c := range configs {
		rows[i].Created, rows[i].Platforms = c.Created, nil
		if p := c.Platform(); p != "" {
			rows[i].Platforms = []string{p}
		}
	}
	return err
}

// readRows reads the rows' manifests and those of their referrers.
func (l *listing) readRows(ctx context.Context, rows []report.TagRow) error {
	var digests []string
	for i := range rows {
		digests = append(digests, rows[i].Digest)
		for _, about := range rows[i].Referrers {
			digests = append(digests, about.Digest)
		}
	}
	all, err := l.Result.Scan.Describe(ctx, digests)
	for i := range rows {
		r := &rows[i]
		d := all[0]
		r.Form, r.ArtifactType = d.Form, d.ArtifactType
		if d.Form == manifest.FormIndex {
			r.Platforms = platforms(d)
		}
		for at, about := range r.Referrers {
			if all[1+at].Form == manifest.FormSignature || strings.HasSuffix(about.Tag, ".sig") {
				r.Signatures++
			} else {
				r.Others++
			}
		}
		all = all[1+len(r.Referrers):]
	}
	return err
}

// platforms returns the platforms of an index, without repetition, in order.
func platforms(d walker.Details) (all []string) {
	for _, e := range d.Entries {
		if e.Platform != "" && !e.Attestation && !slices.Contains(all, e.Platform) {
			all = append(all, e.Platform)
		}
	}
	return all
}

// words describes the manifests of a tree by digest. top are the platforms of its root.
func (l *listing) words(ctx context.Context, tree *usage.Node, top []string) (map[string]string, error) {
	var digests []string
	collect(tree, &digests)
	all, err := l.Result.Scan.Describe(ctx, digests)
	if err != nil {
		return nil, err
	}
	platform := map[string]string{}
	if len(top) == 1 {
		platform[tree.Digest] = top[0]
	}
	for _, d := range all {
		for _, e := range d.Entries {
			platform[e.Digest] = e.Platform
		}
	}
	words := map[string]string{}
	for i, digest := range digests {
		word := string(all[i].Form)
		if all[i].Form == manifest.FormArtifact && all[i].ArtifactType != "" {
			word = all[i].ArtifactType
		}
		if all[i].Form == manifest.FormImage && platform[digest] != "" {
			word += " " + platform[digest]
		}
		words[digest] = word
	}
	return words, nil
}

// collect appends the digests of a tree's manifests.
func collect(n *usage.Node, digests *[]string) {
	if n.Role == usage.RoleManifest || n.Role == usage.RoleReferrer {
		*digests = append(*digests, n.Digest)
	}
	for i := range n.Children {
		collect(&n.Children[i], digests)
	}
}
