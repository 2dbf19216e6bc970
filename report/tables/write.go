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
	dir   *Directory
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
	w := &writer{
		Result: r, dir: d,
		blobs: newTable[blob](d, "blobs"), repositories: newTable[repository](d, "repositories"), links: newTable[link](d, "links"), tags: newTable[tag](d, "tags"),
		manifests: newTable[held](d, "manifests"), refs: newTable[reference](d, "refs"), uses: newTable[use](d, "uses"), findings: newTable[found](d, "findings"),
	}
	for _, write := range []func(context.Context){w.writeFindings, w.writeBlobs, w.writeReferences, w.writeRepositories} {
		if d.err == nil {
			write(ctx)
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	for _, t := range d.tables {
		if err := t.close(); err != nil {
			return nil, err
		}
	}
	for _, t := range d.tables {
		done, err := t.keep()
		if err != nil {
			return nil, err
		}
		all = append(all, done)
	}
	d.files, d.made = nil, false
	return all, nil
}

// ended reports whether nothing more is written: after an error, or once ctx has ended.
func (w *writer) ended(ctx context.Context) bool {
	if w.dir.err == nil {
		w.dir.err = ctx.Err()
	}
	return w.dir.err != nil
}

// writeFindings must be called first: it needs the Result's marks.
func (w *writer) writeFindings(context.Context) {
	for f := range w.Findings {
		w.findings.add(found{f.Kind.String(), f.Kind.Severity().String(), f.Path, f.Repository, f.Tag, f.Digest, f.Bytes, f.Modified, f.Detail, f.InGrace})
	}
}

func (w *writer) writeBlobs(ctx context.Context) {
	g := w.Marks.Graph
	for id := range g.EveryBlob() {
		if id%maxRows == 0 && w.ended(ctx) {
			return
		}
		w.blobs.add(blob{g.NameOf(id), g.SizeOf(id), g.ModifiedOf(id), g.InGrace.Has(id), g.Provable(id)})
	}
}

// roles are the names of references' roles.
var roles = map[manifest.Role]string{
	manifest.Config: "config", manifest.Layer: "layer", manifest.MayBeAbsent: "may-be-absent", manifest.Child: "child",
	manifest.Either: "either", manifest.Subject: "subject", manifest.Claimed: "claimed",
}

// writeReferences writes the references of manifests, once for all repositories.
func (w *writer) writeReferences(ctx context.Context) {
	g := w.Marks.Graph
	for at := range g.Nodes {
		if w.ended(ctx) {
			return
		}
		id := g.Nodes[at].ID
		m, name := g.In(nil, id), g.NameOf(id)
		for e := range m.References {
			w.refs.add(reference{name, roles[e.Role()], g.NameOf(e.ID()), e.Read()})
		}
		for subject := range m.Subjects {
			w.refs.add(reference{name, roles[manifest.Subject], g.NameOf(subject), true})
		}
	}
}

// writeRepositories marks and writes one repository after the other.
func (w *writer) writeRepositories(ctx context.Context) {
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
		if w.ended(ctx) {
			return
		}
		r := &graph.Repos[i]
		w.marks.MarkRepository(uint32(i))
		if r.Exists {
			w.repositories.add(repository{r.Name, r.Pushed(), users.Pinned.Has(uint32(i)), pinned[i]})
		}
		w.writeTags(r, broken, unknown)
		w.writeLinks(r)
		w.writeManifests(r)
	}
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

func (w *writer) writeTags(r *graph.Repository, broken, unknown func(repository, tag string) (string, bool)) {
	for i := range r.Tags {
		t := &r.Tags[i]
		row := tag{Repository: r.Name, Tag: t.Name, Digest: w.name(t.Target), Pushed: graph.TimeOf(t.Modified), State: "good"}
		if because, ok := broken(r.Name, t.Name); ok {
			row.State, row.Because = "broken", because
		} else if because, ok := unknown(r.Name, t.Name); ok {
			row.State, row.Because = "unknown", because
		}
		w.tags.add(row)
	}
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

func (w *writer) writeLinks(r *graph.Repository) {
	m := w.marks
	add := func(row link) {
		row.Repository = r.Name
		w.links.add(row)
	}
	for _, l := range r.Layers {
		id := l.ID()
		add(link{Kind: "layer", Digest: w.name(id), Names: w.names(r, graph.Link{Kind: layout.LayerLink, ID: id}), InGrace: l.InGrace()})
	}
	for _, a := range r.Aliases {
		add(link{Kind: "layer", Digest: w.name(a.ID), Names: w.name(a.Target), Modified: graph.TimeOf(a.Modified), InGrace: m.Age.CoversSeconds(a.Modified)})
	}
	for _, v := range r.Revisions {
		add(link{Kind: "revision", Digest: w.name(v.ID), Names: w.names(r, graph.Link{Kind: layout.Revision, ID: v.ID}), Modified: graph.TimeOf(v.Modified), InGrace: m.RevisionInGrace(v)})
	}
	for i := range r.Tags {
		if t := &r.Tags[i]; t.Current {
			add(link{Kind: "tag", Tag: t.Name, Names: w.name(t.Target), Modified: graph.TimeOf(t.Modified), InGrace: m.Age.CoversSeconds(t.Modified)})
		}
	}
	for _, h := range r.History {
		add(link{Kind: "history", Tag: r.Tags[h.Tag].Name, Digest: w.name(h.ID), Names: w.names(r, graph.Link{Kind: layout.TagHistory, Tag: h.Tag, ID: h.ID}), Modified: graph.TimeOf(h.Modified), InGrace: m.EntryInGrace(h)})
	}
}

// forms are the names of the forms of manifests that were parsed.
var forms = map[manifest.Kind]string{manifest.Image: "image", manifest.Index: "index", manifest.Schema1: "schema1", manifest.Artifact: "artifact"}

// writeManifests writes the manifests of the repository, and the blobs that it keeps.
func (w *writer) writeManifests(r *graph.Repository) {
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
		form := ""
		if n := m.NodeAt(id); n != nil {
			form = forms[n.Kind]
		}
		w.manifests.add(held{r.Name, m.NameOf(id), form, m.StateAt(id).String(), r.HasRevision(id)})
		may = append(may, id)
		for e, needed := range m.In(r, id).Needs {
			may = append(may, e.ID(), needed)
		}
	}
	slices.Sort(may)
	w.all = slices.Compact(may)
	for _, id := range w.all {
		if m.Users.Last[id] == m.Mark && m.Present(id) {
			w.uses.add(use{r.Name, m.NameOf(id)})
		}
	}
}
