package check

import (
	"slices"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// On request, tags of a source store that this store lacks are copied. The revision links of
// the source's repository prove that the images belong to it. A tag that exists here, with
// any target, is not changed. An image whose revision link left an empty directory isn't
// copied: as far as is known, it was removed here on purpose.

// returning is a tag or untagged manifest that is copied, or why it can't be.
type returning struct {
	graph.Copy
	links   []graph.Link // to write in the repository
	why     string       // why it can't be copied, a clause; "" if it can
	lacking []graph.Lack // blobs for which the sources were not asked yet
	healed  []problem    // blobs that are copied
}

// returner finds the tags of sources to copy.
type returner struct{ *checker }

// seeksCopies reports whether tags of sources are requested.
func (t *terms) seeksCopies(g *graph.Graph) bool {
	return len(g.Copies) > 0 && t.Also[finding.TagFromSource] && t.Removal == nil && !t.Cache && !t.NoOrphans && !t.Skip[finding.TagFromSource]
}

// keepCopies adds the targets of the sources' tags to the roots, also if blobs are still
// lacking, so that nothing of them is removed.
func keepCopies(g *graph.Graph, revived map[uint32][]uint32) map[uint32][]uint32 {
	if revived == nil {
		revived = map[uint32][]uint32{}
	}
	for i := range g.Copies {
		c := &g.Copies[i]
		revived[c.Repo] = append(revived[c.Repo], c.ID)
	}
	return revived
}

// reportReturning reports the tags that are copied to the current repository, and those that
// can't be.
func (j returner) reportReturning() {
	if j.returning == nil {
		return
	}
	brought := map[uint32]bool{}
	for i := range j.Copies {
		if j.Copies[i].Repo != j.CurrentID {
			continue
		}
		c := &j.Copies[i]
		_, stands := j.Current.FindTag(c.Tag) // written since the scan
		if c.Tag == "" {
			stands = j.Current.HasRevision(c.ID) || brought[c.ID]
		}
		if stands {
			continue
		}
		v, name := j.find(c), j.nameOf(c)
		j.returning[name] = v
		p := problem{id: finding.TagFromSource, name: name, obj: v.ID, cure: finding.CureNone, detail: v.why}
		if v.why == "" {
			p.cure = finding.CureWriteAsk
			for _, l := range v.links {
				brought[l.ID] = true
			}
			for _, h := range v.healed {
				if h.kind == 0 {
					j.global(h)
				} else {
					j.local(h)
				}
			}
		}
		j.local(p)
	}
}

// nameOf returns the key of what is copied: a tag's directory or a revision link.
func (j returner) nameOf(c *graph.Copy) string {
	if c.Tag == "" {
		return j.KeyOf(graph.Ref{Repo: c.Repo, Link: graph.Link{Kind: layout.Revision, ID: c.ID}})
	}
	return layout.TagKey(j.Repos[c.Repo].Name, c.Tag)
}

// find determines what is needed to copy a tag of a source.
func (j returner) find(c *graph.Copy) *returning {
	v := &returning{Copy: *c}
	switch {
	case j.Current.Blind:
		v.why = "something of its repository could not be read"
	case j.Current.BadName || c.Tag != "" && !layout.ValidTag(c.Tag):
		v.why = "no registry accepts its name"
	default:
		j.manifest(v, c.ID, citation{}, map[uint32]bool{})
	}
	if v.why == "" && slices.ContainsFunc(j.linksOf(v), func(l finding.Link) bool { return j.Keep[l.Path] }) {
		v.why = "something that it needs could not be written"
	}
	return v
}

// deny records the first reason why a tag can't be copied.
func (v *returning) deny(why string) {
	if v.why == "" {
		v.why = why
	}
}

// manifest adds what is lacking of a manifest of the source's repository.
func (j returner) manifest(v *returning, id uint32, by citation, seen map[uint32]bool) {
	if seen[id] {
		return
	}
	seen[id] = true
	switch state := j.StateAt(id); {
	case j.Uncertain(id):
		v.deny(j.NameOf(id) + " could not be read")
		return
	case state == walker.ManifestGood && !j.IsArchived(id):
		if h := j.Heals[id]; h != nil && h.Node != nil {
			p := problem{id: finding.ManifestMissing, kind: layout.Revision, obj: id, by: by, cure: finding.CureHeal}
			if h.Stored.State == walker.ManifestCorrupt {
				p = problem{id: finding.ManifestCorrupt, obj: id, by: by, cure: finding.CureHeal}
			}
			v.healed = append(v.healed, p)
		}
	case state == walker.ManifestMissing, state == walker.ManifestCorrupt:
		j.lack(v, id, true)
		return
	default:
		v.deny("its manifest " + j.NameOf(id) + " is " + state.String())
		return
	}
	revision := graph.Link{Kind: layout.Revision, ID: id}
	if !j.Current.HasRevision(id) {
		if _, removed := j.removedHere()[graph.Ref{Repo: j.CurrentID, Link: revision}]; removed {
			v.deny(j.NameOf(id) + " was removed here: the directory of its revision link is empty")
		}
		v.links = append(v.links, revision)
	}
	here := citation{j.CurrentID + 1, id}
	for e := range j.In(j.Current, id).References {
		mayBe := !e.Read() || e.Role() == manifest.MayBeAbsent
		claimed := mayBe || e.Role() == manifest.Claimed || e.Role() == manifest.Either
		theirs := claimed && j.sourceLinks.HasLayer(j.Current.Name, j.AnyOf(e.ID()))
		_, linked := j.sourceLinks.Links(j.Current.Name, j.AnyOf(e.ID()))
		switch role := e.Role(); {
		case mayBe && theirs:
			j.layer(v, e.ID(), here)
		case !e.Read() && !e.IsEntry() && !j.sourceLinks.Whole && !j.Current.HasLink(e.ID()):
			v.deny("it names " + j.NameOf(e.ID()) + " in a way that no registry reads: name its repository with --repo")
		case mayBe:
		case j.IsForeign(e.ID()):
			v.deny("it names " + j.NameOf(e.ID()) + ", a digest of another algorithm")
		case role == manifest.Child && !linked: // the source lacks it too, which is legal
		case role == manifest.Child, role == manifest.Either && linked:
			j.manifest(v, e.ID(), here, seen)
		case role == manifest.Config, role == manifest.Layer, theirs:
			j.layer(v, e.ID(), here)
		case !j.Current.HasLink(e.ID()):
			v.deny("it names the blob " + j.NameOf(e.ID()) + " in an index, which no registry looks for at a push")
		default:
			j.layer(v, e.ID(), here)
		}
	}
}

// layer adds what is lacking of a config or layer.
func (j returner) layer(v *returning, id uint32, by citation) {
	p := problem{id: finding.BlobMissing, obj: id, by: by, cure: cures(j).cureOfBlob(id, finding.CureNone)}
	switch {
	case j.Uncertain(id):
		v.deny(j.NameOf(id) + " could not be read")
	case j.IsArchived(id):
		v.deny(j.NameOf(id) + " is archived")
	case j.Present(id) && !j.KnownCorrupt(id):
	case p.cure == finding.CureNone:
		j.lack(v, id, false)
	default:
		if j.Present(id) {
			p.id = finding.BlobCorrupt
		}
		v.healed = append(v.healed, p)
	}
	if link := (graph.Link{Kind: layout.LayerLink, ID: id}); !j.Current.HasLayer(id) && !slices.Contains(v.links, link) {
		v.links = append(v.links, link)
	}
}

// lack records a missing blob that only a source may have.
func (j returner) lack(v *returning, id uint32, isManifest bool) {
	switch {
	case j.Unasked[id] != "":
		v.deny(j.NameOf(id) + " is missing, and " + j.Unasked[id])
	case j.Heals[id] != nil:
		v.deny(j.NameOf(id) + " is missing, and is not copied")
	default:
		v.deny(j.NameOf(id) + " is missing, and in no source")
	}
	v.lacking = append(v.lacking, graph.Lack{ID: id, Manifest: isManifest, By: j.CurrentID})
}

// removedHere returns the revision links that were removed and left an empty directory.
func (j returner) removedHere() map[graph.Ref]int64 {
	if j.emptiedLinks == nil {
		j.emptiedLinks = lostFinder(j).emptied()
	}
	return j.emptiedLinks
}

// lacks returns the blobs of tags to copy for which no source was asked.
func (j returner) lacks() (all []graph.Lack) {
	for i := range j.Copies {
		v := j.returning[j.nameOf(&j.Copies[i])]
		if v == nil {
			continue
		}
		for _, l := range v.lacking {
			if j.Provable(l.ID) && j.Sought.Add(l.ID) {
				all = append(all, l)
			}
		}
	}
	return all
}

// linksOf returns the links to write for a tag, its own last, with their times in the source.
func (j returner) linksOf(v *returning) (all []finding.Link) {
	r := &j.Repos[v.Repo]
	tagged := graph.TimeOf(v.Modified)
	for _, l := range v.links {
		link := finding.Link{Path: j.KeyOf(graph.Ref{Repo: v.Repo, Link: l}), Wanted: j.NameOf(l.ID), Time: tagged}
		if at, ok := j.sourceLinks.Links(r.Name, j.AnyOf(l.ID)); ok && l.Kind == layout.Revision {
			link.Time = graph.TimeOf(at)
		}
		all = append(all, link)
	}
	if v.Tag == "" {
		return all
	}
	return append(all, linksOfTag(r.Name, v.Tag, j.AnyOf(v.ID), tagged)...)
}
