package graph

import (
	"errors"
	"math"
	"slices"
	"strings"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// Entry adds what is neither blob nor link.
func (g Builder) Entry(e walker.Entry) error {
	if e.Kind == walker.EntryMarker {
		g.marker(e)
		return nil
	}
	if e.Empty && e.Modified >= g.ownSince { // regfsck emptied it
		e.Modified = 0
	}
	young := e.Kind != walker.EntryFault && g.Age.Covers(e.Modified)
	if e.Repository != "" {
		g.entryOf(&g.Repos[g.repository(e.Repository)], &e, young)
	}
	switch e.Kind {
	case walker.EntryUpload:
		return nil
	case walker.EntryMultipart:
		g.multipart(e)
		return nil
	case walker.EntryEmpty:
		if keptEmpty(e.Dir) {
			return nil
		}
	case walker.EntryReserved:
		e.Key = reservedDirectory(e.Key)
		if at, ok := g.reserved[e.Key]; ok {
			sum := &g.Entries[at]
			sum.Size, sum.Modified = sum.Size+e.Size, max(sum.Modified, e.Modified)
			return nil
		}
		g.reserved[strings.Clone(e.Key)] = len(g.Entries)
	}
	e.Key, e.Repository, e.Tag, e.Upload = strings.Clone(e.Key), strings.Clone(e.Repository), strings.Clone(e.Tag), ""
	if e.Kind == walker.EntryFault {
		g.faulty[e.Key] = true
		g.Faults = append(g.Faults, e)
		return nil
	}
	g.Entries = append(g.Entries, e)
	return nil
}

// entryOf records what an entry shows of its repository.
func (g Builder) entryOf(r *Repository, e *walker.Entry, young bool) {
	switch e.Dir {
	case layout.DirRepository, layout.DirReserved, layout.DirOther:
	default:
		r.Exists = true
	}
	if e.Tag != "" {
		r.tagNamed(e.Tag)
	}
	part, foreign := PartOf(e.Repository, e.Key), e.Kind == walker.EntryForeign || e.Kind == walker.EntryReserved
	r.has |= part
	if foreign {
		r.Foreign |= part
	}
	r.InGrace = r.InGrace || young
	if e.Modified > g.ChangedFrom {
		if e.Kind == walker.EntryEmpty {
			g.changedAt[strings.Clone(e.Key)] = e.Modified
		}
		if e.Tag != "" {
			tag := layout.TagKey(e.Repository, e.Tag)
			g.changedAt[tag] = max(g.changedAt[tag], e.Modified)
		}
	}
	if e.Upload == "" || e.Kind != walker.EntryUpload && e.Kind != walker.EntryFault && !foreign {
		return
	}
	if r.Uploads == nil {
		r.Uploads = map[string]*Upload{}
	}
	u := r.Uploads[e.Upload]
	if u == nil {
		u = &Upload{}
		r.Uploads[strings.Clone(e.Upload)] = u
	}
	if foreign {
		u.Foreign = true
		return
	}
	u.Own = true
	u.Bytes += e.Size
	if e.Empty {
		u.emptied = max(u.emptied, e.Modified)
	} else {
		u.modified = max(u.modified, e.Modified)
	}
	if e.Kind == walker.EntryFault { // its age is unknown
		u.modified = math.MaxInt64
	}
}

// keptEmpty reports whether a registry keeps such a directory when it is empty, or its tag
// has a finding of its own.
func keptEmpty(k layout.DirKind) bool {
	switch k {
	case layout.DirBlobs, layout.DirBlobAlg, layout.DirRepositories,
		layout.DirManifests, layout.DirRevisions, layout.DirRevisionAlg, layout.DirTags,
		layout.DirLayers, layout.DirLayerAlg, layout.DirUploads,
		layout.DirTag:
		return true
	}
	return false
}

// reservedDirectory returns the part of key up to the first unknown directory, so that its
// content is one finding.
func reservedDirectory(key string) string {
	for at := 0; at < len(key); at++ {
		if key[at] != '/' {
			continue
		}
		if layout.ParseDirectory(key[:at]).Kind == layout.DirReserved {
			return key[:at]
		}
	}
	return key
}

// pinBelow pins the repositories that a fault may affect.
func (g Builder) pinBelow(f walker.Entry) {
	if !strings.HasPrefix(f.Key+"/", layout.Repositories+"/") && !strings.HasPrefix(layout.Repositories, f.Key) {
		return
	}
	if f.Repository == "" {
		g.pin(0, len(g.Repos))
		return
	}
	if i, ok := g.RepoID[f.Repository]; ok {
		g.pin(int(i), int(i)+1)
	}
	// The names below it are contiguous, between "a/" and "a0".
	search := func(name string) int {
		at, _ := slices.BinarySearchFunc(g.Repos, name, func(r Repository, name string) int { return strings.Compare(r.Name, name) })
		return at
	}
	g.pin(search(f.Repository+"/"), search(f.Repository+string(rune('/'+1))))
}

// pin pins the repositories from ≤ i < to.
func (g Builder) pin(from, to int) {
	for i := from; i < to; i++ {
		g.Repos[i].Pinned, g.Repos[i].Blind = true, true
	}
}

// fault records that key could not be read after the listing.
func (g Builder) fault(key string, err error) {
	if g.Covered(key) {
		return
	}
	g.faulty[key] = true
	directory := layout.ParseDirectory(key)
	f := walker.Entry{Kind: walker.EntryFault, Key: key, Err: Reason(err), Repository: directory.Repository, Tag: directory.Tag}
	g.Faults = append(g.Faults, f)
	g.pinBelow(f)
}

// Reason removes the operation and the key, which a finding has, from an error.
func Reason(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// marker adds a marker of a directory. One in _layers or _manifests lists a repository in the
// catalog, or a tag. It shows nothing else: registries don't write markers.
func (g Builder) marker(e walker.Entry) {
	if e.Repository == "" || PartOf(e.Repository, e.Key)&(partLayers|partManifests) == 0 {
		return
	}
	e.Key, e.Repository, e.Tag = strings.Clone(e.Key), strings.Clone(e.Repository), strings.Clone(e.Tag)
	g.Markers = append(g.Markers, e)
}

// multipart adds a multipart upload. If it is a part of a repository's upload, that is at
// least as new.
func (g Builder) multipart(e walker.Entry) {
	e.Key, e.Upload = strings.Clone(e.Key), strings.Clone(e.Upload)
	g.Entries = append(g.Entries, e)
	key, err := layout.Parse(e.Key)
	if err != nil || key.Kind != layout.UploadData {
		return
	}
	if u := g.UploadOf(key); u != nil {
		u.part = max(u.part, e.Modified)
	}
}
