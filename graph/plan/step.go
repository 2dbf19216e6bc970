package plan

import (
	"cmp"
	"strings"
	"time"

	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// steps returns the steps that fix a finding; asked means that it was requested.
func steps(f *finding.Finding, asked bool) []Step {
	switch f.Cure {
	case finding.CureRebuild:
		if f.Blob != nil {
			return []Step{writeBlob(f)}
		}
		return []Step{write(f)}
	case finding.CureHeal:
		return []Step{healBlob(f)}
	case finding.CureWriteAsk:
		switch {
		case asked && (f.Kind == finding.ManifestLost || f.Kind == finding.TagFromSource):
			return restoreTag(f)
		case asked:
			return []Step{write(f)}
		}
	case finding.CureMoveAsk:
		switch {
		case asked && f.Kind == finding.CacheStateInvalid:
			return []Step{remove(f, Upload)}
		case asked:
			s := remove(f, Blob)
			s.Corrupt = true
			return []Step{s}
		}
	case finding.CureRemoveAsk:
		if asked {
			return removeOnRequest(f)
		}
	case finding.CureRemove:
		return removeGarbage(f)
	case finding.CureAbort:
		return []Step{abort(f)}
	}
	return nil
}

func step(f *finding.Finding, op Op, kind Kind, key string) Step {
	return Step{
		Op: op, Kind: kind, Key: key, Finding: f.Kind,
		Repository: f.Repository, Tag: f.Tag, Digest: f.Digest, Reason: f.Detail,
	}
}

// unix returns a time in seconds since 1970; 0 for the zero time.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// write writes the right content of a link, with the time of its origin.
func write(f *finding.Finding) Step {
	key := f.Path
	if f.Kind == finding.TagWithoutCurrent {
		key = layout.CurrentKey(f.Repository, f.Tag)
	}
	s := step(f, Write, Rebuilt, key)
	s.Absent, s.Content, s.Body = !f.Link.Present, Text(f.Link.Stored), Text(f.Link.Wanted)
	s.Time = unix(f.Link.Time)
	return s
}

// restoreTag writes the missing links of an image that is restored, and those of its tag.
func restoreTag(f *finding.Finding) (all []Step) {
	for _, l := range f.Found {
		kind := Rebuilt
		switch key, _ := layout.Parse(l.Path); key.Kind {
		case layout.TagHistory:
			kind = FoundHistory
		case layout.TagCurrent:
			kind = FoundTag
		}
		s := step(f, Write, kind, l.Path)
		s.Absent, s.Body = true, Text(l.Wanted)
		s.Time = unix(l.Time)
		all = append(all, s)
	}
	return all
}

// writeBlob writes a blob with proven bytes, or replaces a corrupt one.
func writeBlob(f *finding.Finding) Step {
	s := remove(f, RebuiltBlob)
	s.Op, s.Bytes, s.Body = Write, 0, Text(f.Blob.Body)
	s.Absent, s.Corrupt = !f.Blob.Present, f.Blob.Present
	s.Time = unix(f.Blob.Time)
	return s
}

// healBlob copies a blob from a source, or replaces a corrupt one. The step is of no
// repository.
func healBlob(f *finding.Finding) Step {
	d, _ := layout.ParseAnyDigest(f.Digest)
	s := step(f, Write, HealedBlob, d.BlobKey())
	s.Repository, s.Tag = "", ""
	s.Bytes, s.From = f.Blob.Size, f.Blob.From
	s.Absent, s.Corrupt = !f.Blob.Present, f.Blob.Present
	if f.Blob.Present {
		s.Size = f.Bytes
		s.Modified = unix(f.Modified)
	}
	s.Time = unix(f.Blob.Time)
	return s
}

// remove removes a file that isn't a link.
func remove(f *finding.Finding, kind Kind) Step {
	s := step(f, Remove, kind, f.Path)
	s.Bytes, s.Size = f.Bytes, f.Bytes
	s.Modified = unix(f.Modified)
	return s
}

// abort aborts a multipart upload.
func abort(f *finding.Finding) Step {
	s := step(f, Abort, Upload, f.Path)
	s.Upload = f.Upload
	s.Modified = unix(f.Modified)
	return s
}

// unlink removes a link.
func unlink(f *finding.Finding, kind Kind, key, content string) Step {
	s := step(f, Remove, kind, key)
	s.Content, s.Bytes = Text(content), int64(len(content))
	return s
}

// unlinkPushed is unlink for a link without fault that is removed on request or by a rule. A
// repeated push writes the link again, and that one must be kept.
func unlinkPushed(f *finding.Finding, kind Kind, key string) Step {
	s := unlink(f, kind, key, f.Link.Stored)
	s.Modified = unix(f.Modified)
	return s
}

// removeOnRequest removes what needs a person's decision: a revision link without a blob, or
// a tag with its history.
func removeOnRequest(f *finding.Finding) []Step {
	if f.Kind == finding.ManifestMissing {
		return []Step{unlink(f, RevisionLink, f.Path, f.Link.Stored)}
	}
	return removeTag(f)
}

// removeTag removes a tag with its history. Without a current link, its directory is removed,
// unless the whole repository is.
func removeTag(f *finding.Finding) (all []Step) {
	for _, h := range f.Link.History {
		all = append(all, unlink(f, TagHistory, h.Path, h.Stored))
	}
	kind := Tag
	if f.Kind == finding.TagUnneeded {
		kind = ReferrerTag
	}
	switch {
	case f.Link.Present:
		return append(all, unlinkPushed(f, kind, layout.CurrentKey(f.Repository, f.Tag)))
	case f.Kind == finding.RepositoryRemoved:
		return all
	}
	return append(all, step(f, Remove, Directory, layout.TagKey(f.Repository, f.Tag)+"/"))
}

func removeGarbage(f *finding.Finding) []Step {
	switch f.Kind {
	case finding.BlobOrphan:
		return []Step{remove(f, Blob)}
	case finding.LayerLinkUnreferenced, finding.LayerLinkDangling:
		return []Step{unlink(f, LayerLink, f.Path, f.Link.Stored)}
	case finding.TagHistoryStale:
		return []Step{unlink(f, TagHistory, f.Path, f.Link.Stored)}
	case finding.UploadStale:
		s := remove(f, Upload)
		s.Key += "/"
		return []Step{s}
	case finding.TmpStale, finding.SignatureLegacy:
		return []Step{remove(f, Upload)}
	case finding.DirectoryEmpty, finding.CatalogMarker:
		return []Step{step(f, Remove, Directory, f.Path+"/")}
	case finding.RepoEmpty:
		return ownDirectories(f)
	case finding.TagRemoved, finding.TagUnneeded, finding.TagWithdrawn:
		return removeTag(f)
	case finding.ManifestUntagged, finding.ManifestRemoved, finding.ManifestUnneeded, finding.ManifestWithdrawn:
		return []Step{unlinkPushed(f, RevisionLink, f.Path)}
	case finding.RepositoryRemoved:
		return partOfRepository(f)
	}
	return nil
}

// ownDirectories removes a repository's own directories.
func ownDirectories(f *finding.Finding) (all []Step) {
	for _, name := range f.Directories {
		all = append(all, step(f, Remove, Directory, f.Path+"/"+name+"/"))
	}
	return all
}

// partOfRepository removes a part of a removed repository.
func partOfRepository(f *finding.Finding) []Step {
	key, err := layout.Parse(f.Path)
	switch {
	case err == nil && key.Kind == layout.TagCurrent:
		return removeTag(f)
	case err == nil && key.Kind == layout.Revision:
		return []Step{unlinkPushed(f, RevisionLink, f.Path)}
	case err == nil && (key.Kind == layout.LayerLink || key.Kind == layout.Tarsum):
		return []Step{unlink(f, LayerLink, f.Path, f.Link.Stored)}
	case err == nil: // a temporary file or legacy signature
		return []Step{remove(f, Upload)}
	case len(f.Directories) > 0:
		return ownDirectories(f)
	case layout.IsUpload(f.Path):
		s := remove(f, Upload)
		s.Key += "/"
		return []Step{s}
	}
	return nil
}

// Object returns the object that a step counts for: a tag with its history, a removed
// repository, or a restored image with its links. For other steps it is the step's own
// object.
func (s *Step) Object() string {
	ofRepository := s.Finding.TakesRepository()
	ofTag := s.Op == Remove && s.takesTag()
	found := s.Finding == finding.ManifestLost && s.Digest != ""
	returns := s.Finding == finding.TagFromSource
	if !ofRepository && !ofTag && !found && !returns {
		return s.FullKey()
	}
	switch repository, tag := s.repositoryAndTag(); {
	case ofRepository && repository != "":
		return layout.RepositoryKey(repository)
	case found:
		return repository + "@" + s.Digest
	case (ofTag || returns) && tag != "":
		return layout.TagKey(repository, tag)
	}
	return s.FullKey()
}

// takesTag reports whether the step removes a tag, or a history entry with it.
func (s *Step) takesTag() bool {
	switch s.Kind {
	case Tag, ReferrerTag:
		return true
	case TagHistory:
		return s.Finding != finding.TagHistoryStale
	case Directory:
		return layout.ParseDirectory(strings.TrimSuffix(s.Key, "/")).Kind == layout.DirTag
	}
	return false
}

// repositoryAndTag returns the repository and tag of the step's key, "" for none.
func (s *Step) repositoryAndTag() (repository, tag string) {
	if s.Tag != "" {
		return s.Repository, s.Tag
	}
	if key, err := layout.Parse(s.Key); err == nil {
		return key.Repository, key.Tag
	}
	dir := layout.ParseDirectory(strings.TrimSuffix(s.Key, "/"))
	return cmp.Or(dir.Repository, s.Repository), dir.Tag
}

// Locate sets the repository and tag from the step's key, if they are empty.
func (s *Step) Locate() {
	repository, tag := s.repositoryAndTag()
	s.Repository = cmp.Or(s.Repository, repository)
	if s.Kind.IsTag() || s.Kind == TagHistory || s.Kind == FoundTag || s.Kind == FoundHistory {
		s.Tag = cmp.Or(s.Tag, tag)
	}
}

// Totals are the numbers of objects that a plan removes. Reports and guards use them.
type Totals struct {
	Blobs        int   `json:"blobs"`
	Bytes        int64 `json:"bytes"` // of all removals
	Manifests    int   `json:"manifests"`
	Tags         int   `json:"tags"` // each once, with its history
	LayerLinks   int   `json:"layer_links"`
	Repositories int   `json:"repositories"` // that are removed from the catalog
	Aborts       int   `json:"aborts"`       // of multipart uploads, whose bytes aren't in Bytes
	BlobBytes    int64 `json:"-"`            // of the blobs in Bytes
}

// Totals counts what the plan removes. A repository is removed from the catalog with its
// _manifests or _layers directory.
func (p *Plan) Totals() (n Totals) {
	repositories, tags := map[string]bool{}, map[string]bool{}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Op == Abort {
			n.Aborts++
		}
		if s.Op != Remove {
			continue
		}
		n.Bytes += s.Bytes
		if s.takesTag() {
			repository, tag := s.repositoryAndTag()
			tags[repository+":"+tag] = true
		}
		switch s.Kind {
		case Blob:
			n.Blobs++
			n.BlobBytes += s.Bytes
		case RevisionLink:
			n.Manifests++
		case LayerLink:
			n.LayerLinks++
		case Directory:
			switch layout.ParseDirectory(strings.TrimSuffix(s.Key, "/")).Kind {
			case layout.DirManifests, layout.DirLayers:
				repositories[s.Repository] = true
			}
		}
	}
	n.Repositories, n.Tags = len(repositories), len(tags)
	return n
}
