package main

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/report"
)

// fill makes the list of what was found, and reads what it shows besides.
func (l *listing) fill(ctx context.Context, found *graph.Result) error {
	l.Result = found
	u := found.Usage
	if err := there(u, found, l.ref, l.Target); err != nil {
		return err
	}
	switch {
	case l.broken:
		l.fillBroken(found)
	case l.ref.repository == "":
		l.fillRepositories(u)
	case l.ref.tag == "":
		return l.fillTags(ctx, u)
	default:
		return l.fillTree(ctx, u)
	}
	return nil
}

// there refuses a name that isn't in the store, and names the nearest that is.
func there(u *graph.Usage, found *graph.Result, r ref, store string) error {
	what, names := "", []string(nil)
	switch {
	case r.repository == "" || r.tag == "" && u.Has(r.repository):
		return nil
	case !u.Has(r.repository):
		what, names = "repository "+r.repository, u.Names()
		r.tag = ""
	case u.HasTag(r.repository, r.tag):
		return nil
	default:
		what, names = "tag "+r.String(), u.TagNames(r.repository)
	}
	if !found.Complete {
		return &failure{report.Incomplete, misuse("", "no %s was found in %s, of which something could not be read", what, store), ""}
	}
	word, before := r.repository, ""
	if r.tag != "" {
		word, before = r.tag, r.repository+":"
	}
	return misuse("", "there is no %s in %s%s", what, store, orNearest(word, names, before))
}

// cutTo keeps the rows that --limit lets through.
func cutTo[T any](l *listing, rows []T) []T {
	l.All = len(rows)
	if l.limit > 0 && len(rows) > l.limit {
		return rows[:l.limit]
	}
	return rows
}

// whole reports whether all rows are written somewhere, whatever a terminal shows.
func (l *listing) whole() bool {
	return l.Cut == 0 || l.out.json || len(l.out.paths) > 0
}

func (l *listing) fillRepositories(u *graph.Usage) {
	all, shared := u.Repositories()
	slices.SortStableFunc(all, func(a, b graph.RepositoryUsage) int {
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
	l.answer = func() rendering { return &report.RepositoryList{List: l.List, Rows: rows, Shared: shared} }
}

func (l *listing) fillBroken(found *graph.Result) {
	asked := func(tags iter.Seq[finding.BrokenTag]) (all []finding.BrokenTag) {
		for b := range tags {
			if l.ref.repository == "" || b.Repository == l.ref.repository {
				all = append(all, b)
			}
		}
		return all
	}
	rows, unknown := cutTo(l, asked(found.Broken)), asked(found.Unknown)
	l.answer = func() rendering {
		return &report.BrokenList{List: l.List, Repository: l.ref.repository, Rows: rows, Unknown: unknown}
	}
}

func (l *listing) fillTags(ctx context.Context, u *graph.Usage) error {
	tags, pinned := u.Tags(l.ref.repository)
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
	l.answer = func() rendering {
		return &report.TagList{List: l.List, Repository: u.Repository(l.ref.repository), Pinned: pinned, Rows: rows}
	}
	return nil
}

func (l *listing) fillTree(ctx context.Context, u *graph.Usage) error {
	tags, pinned := u.Tags(l.ref.repository)
	at := slices.IndexFunc(tags, func(t graph.TagUsage) bool { return t.Name == l.ref.tag })
	rows := []report.TagRow{{TagUsage: tags[at]}}
	if err := l.readConfigs(ctx, rows); err != nil {
		return err
	}
	if err := l.readRows(ctx, rows); err != nil {
		return err
	}
	tree, _ := u.Tree(l.ref.repository, l.ref.tag)
	words, err := l.words(ctx, &tree, rows[0].Platforms)
	if err != nil {
		return err
	}
	l.All = 1
	l.answer = func() rendering {
		return &report.TagTree{List: l.List, Repository: l.ref.repository, Pinned: pinned, Tag: rows[0], Tree: tree, Words: words}
	}
	return nil
}
