package tables

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"

	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// writer writes all tables.
type writer struct {
	*check.Result
	marks *gc.Marks
	all   []uint32 // ids that the repository refers to; reused

	blobs        *table[blob]
	repositories *table[repository]
	links        *table[link]
	tags         *table[tag]
	manifests    *table[held]
	refs         *table[reference]
	uses         *table[use]
	findings     *table[found]
}

// Write writes the tables of a check's result, which must have the usage (gc.Policy.Usage).
// It marks the store again, which makes the Result's usage invalid. After an error there is
// no table.
func (d *Directory) Write(ctx context.Context, r *check.Result) (all []Table, err error) {
	w := &writer{Result: r}
	if err := w.open(d); err != nil {
		return nil, err
	}
	for _, write := range []func(context.Context) error{w.writeFindings, w.writeBlobs, w.writeReferences, w.writeRepositories} {
		if err := write(ctx); err != nil {
			return nil, err
		}
	}
	for _, t := range w.tables() {
		if err := t.close(); err != nil {
			return nil, err
		}
	}
	for _, t := range w.tables() {
		done, err := t.keep(d)
		if err != nil {
			return nil, err
		}
		all = append(all, done)
	}
	d.files, d.made = nil, false
	return all, nil
}

// closer is a table with any type of rows.
type closer interface {
	close() error
	keep(*Directory) (Table, error)
}

func (w *writer) tables() []closer {
	return []closer{w.blobs, w.repositories, w.links, w.tags, w.manifests, w.refs, w.uses, w.findings}
}

func (w *writer) open(d *Directory) (err error) {
	begin := func(open func() error) {
		if err == nil {
			err = open()
		}
	}
	begin(func() (err error) { w.blobs, err = newTable[blob](d, "blobs"); return })
	begin(func() (err error) { w.repositories, err = newTable[repository](d, "repositories"); return })
	begin(func() (err error) { w.links, err = newTable[link](d, "links"); return })
	begin(func() (err error) { w.tags, err = newTable[tag](d, "tags"); return })
	begin(func() (err error) { w.manifests, err = newTable[held](d, "manifests"); return })
	begin(func() (err error) { w.refs, err = newTable[reference](d, "refs"); return })
	begin(func() (err error) { w.uses, err = newTable[use](d, "uses"); return })
	begin(func() (err error) { w.findings, err = newTable[found](d, "findings"); return })
	return err
}

// writeFindings must be called first: it needs the Result's marks.
func (w *writer) writeFindings(context.Context) error {
	for f := range w.Findings {
		row := found{f.Kind.String(), f.Kind.Severity().String(), f.Path, f.Repository, f.Tag, f.Digest, f.Bytes, f.Modified, f.Detail, f.InGrace}
		if err := w.findings.add(row); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) writeBlobs(ctx context.Context) error {
	g := w.Marks.Graph
	for id := range g.EveryBlob() {
		if err := w.blobs.add(blob{g.NameOf(id), g.SizeOf(id), g.ModifiedOf(id), g.InGrace.Has(id), g.Provable(id)}); err != nil {
			return err
		}
		if id%maxRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// roles are the names of references' roles.
var roles = map[manifest.Role]string{
	manifest.Config: "config", manifest.Layer: "layer", manifest.MayBeAbsent: "may-be-absent", manifest.Child: "child",
	manifest.Either: "either", manifest.Subject: "subject", manifest.Claimed: "claimed",
}

// writeReferences writes the references of manifests, once for all repositories.
func (w *writer) writeReferences(ctx context.Context) error {
	g := w.Marks.Graph
	for at := range g.Nodes {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		id := g.Nodes[at].ID
		m, name := g.In(nil, id), g.NameOf(id)
		for e := range m.References {
			if err := w.refs.add(reference{name, roles[e.Role()], g.NameOf(e.ID()), e.Read()}); err != nil {
				return err
			}
		}
		for subject := range m.Subjects {
			if err := w.refs.add(reference{name, roles[manifest.Subject], g.NameOf(subject), true}); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeRepositories marks and writes one repository after the other.
func (w *writer) writeRepositories(ctx context.Context) error {
	pinned, users := map[int]string{}, w.Marks.Users
	for i := range w.Marks.Repos {
		if why := w.Marks.PinnedBy(uint32(i)); why != "" {
			pinned[i] = why
		}
	}
	broken, stopBroken := merged(w.Broken)
	defer stopBroken()
	unknown, stopUnknown := merged(w.Unknown)
	defer stopUnknown()
	graph, terms := w.Marks.Graph, w.Marks.Terms
	w.Marks.Release()
	w.marks = gc.NewMarks(graph, terms, nil)
	for i := range graph.Repos {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r := &graph.Repos[i]
		w.marks.MarkRepository(uint32(i))
		if r.Exists {
			if err := w.repositories.add(repository{r.Name, r.Pushed(), users.Pinned.Has(uint32(i)), pinned[i]}); err != nil {
				return err
			}
		}
		if err := w.writeTags(r, broken, unknown); err != nil {
			return err
		}
		if err := w.writeLinks(r); err != nil {
			return err
		}
		if err := w.writeManifests(r); err != nil {
			return err
		}
	}
	return nil
}

// merged returns a look-up in tags sorted by repository and tag, for calls in this order.
// stop must be called.
func merged(tags iter.Seq[finding.BrokenTag]) (of func(repository, tag string) (because string, ok bool), stop func()) {
	next, stop := iter.Pull(tags)
	b, more := next()
	return func(repository, tag string) (string, bool) {
		for more && cmp.Or(strings.Compare(b.Repository, repository), strings.Compare(b.Tag, tag)) < 0 {
			b, more = next()
		}
		if !more || b.Repository != repository || b.Tag != tag {
			return "", false
		}
		return strings.Join(b.Because, "\n"), true
	}, stop
}

func (w *writer) writeTags(r *graph.Repository, broken, unknown func(repository, tag string) (string, bool)) error {
	for i := range r.Tags {
		t := &r.Tags[i]
		row := tag{Repository: r.Name, Tag: t.Name, Digest: w.name(t.Target), Pushed: graph.TimeOf(t.Modified), State: "good"}
		if because, ok := broken(r.Name, t.Name); ok {
			row.State, row.Because = "broken", because
		} else if because, ok := unknown(r.Name, t.Name); ok {
			row.State, row.Because = "unknown", because
		}
		if err := w.tags.add(row); err != nil {
			return err
		}
	}
	return nil
}

// name returns the digest of an id, "" for none.
func (w *writer) name(id uint32) string {
	if id == graph.None {
		return ""
	}
	return w.marks.NameOf(id)
}

// names returns the digest in a link's content.
func (w *writer) names(r *graph.Repository, l graph.Link) string {
	if bad, ok := r.Bad[l]; ok {
		return w.name(bad.Target)
	}
	return w.name(l.ID)
}

func (w *writer) writeLinks(r *graph.Repository) error {
	m := w.marks
	rows := func(yield func(link) bool) {
		for _, l := range r.Layers {
			id := l.ID()
			if !yield(link{Kind: "layer", Digest: w.name(id), Names: w.names(r, graph.Link{Kind: layout.LayerLink, ID: id}), InGrace: l.InGrace()}) {
				return
			}
		}
		for _, a := range r.Aliases {
			if !yield(link{Kind: "layer", Digest: w.name(a.ID), Names: w.name(a.Target), Modified: graph.TimeOf(a.Modified), InGrace: m.Age.CoversSeconds(a.Modified)}) {
				return
			}
		}
		for _, v := range r.Revisions {
			if !yield(link{Kind: "revision", Digest: w.name(v.ID), Names: w.names(r, graph.Link{Kind: layout.Revision, ID: v.ID}), Modified: graph.TimeOf(v.Modified), InGrace: m.RevisionInGrace(v)}) {
				return
			}
		}
		for i := range r.Tags {
			t := &r.Tags[i]
			if t.Current && !yield(link{Kind: "tag", Tag: t.Name, Names: w.name(t.Target), Modified: graph.TimeOf(t.Modified), InGrace: m.Age.CoversSeconds(t.Modified)}) {
				return
			}
		}
		for _, h := range r.History {
			if !yield(link{Kind: "history", Tag: r.Tags[h.Tag].Name, Digest: w.name(h.ID), Names: w.names(r, graph.Link{Kind: layout.TagHistory, Tag: h.Tag, ID: h.ID}), Modified: graph.TimeOf(h.Modified), InGrace: m.EntryInGrace(h)}) {
				return
			}
		}
	}
	for row := range rows {
		row.Repository = r.Name
		if err := w.links.add(row); err != nil {
			return err
		}
	}
	return nil
}

// forms are the names of manifests' forms.
var forms = map[manifest.Kind]string{manifest.Image: "image", manifest.Index: "index", manifest.Schema1: "schema1", manifest.Artifact: "artifact"}

// writeManifests writes the manifests of the repository, and the blobs that it keeps.
func (w *writer) writeManifests(r *graph.Repository) error {
	m, may := w.marks, w.all[:0]
	var manifests []uint32
	for _, f := range m.Followed {
		manifests = append(manifests, m.Nodes[f.Node].ID)
	}
	for v := range r.Manifests() {
		manifests = append(manifests, v.ID)
	}
	r.Named(func(id uint32) { may = append(may, id) })
	for _, a := range r.Aliases {
		may = append(may, a.ID)
	}
	may = append(may, r.NamedBefore...)
	for _, s := range m.Signed[m.CurrentID] {
		may = append(may, s.By)
	}
	slices.Sort(manifests)
	manifests = slices.Compact(manifests)
	for _, id := range manifests {
		if err := w.manifests.add(held{r.Name, m.NameOf(id), w.form(id), m.StateAt(id).String(), r.HasRevision(id)}); err != nil {
			return err
		}
		may = append(may, id)
		for e, needed := range m.In(r, id).Needs {
			may = append(may, e.ID(), needed)
		}
	}
	slices.Sort(may)
	w.all = slices.Compact(may)
	for _, id := range w.all {
		if m.Users.Last[id] != m.Mark || !m.Present(id) {
			continue
		}
		if err := w.uses.add(use{r.Name, m.NameOf(id)}); err != nil {
			return err
		}
	}
	return nil
}

// form returns the form of a manifest, "" if it wasn't parsed.
func (w *writer) form(id uint32) string {
	n := w.marks.NodeAt(id)
	if n == nil {
		return ""
	}
	return forms[n.Kind]
}
