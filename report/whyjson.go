package report

import "io"

type jsonPath struct {
	Repository string     `json:"repository"`
	Tag        string     `json:"tag"`
	HeldBy     string     `json:"held_by"`
	Steps      []jsonStep `json:"steps"`
}

type jsonStep struct {
	Digest string `json:"digest"`
	Role   string `json:"role"`
	Index  bool   `json:"index"`
}

type jsonPlace struct {
	Path       string `json:"path"`
	Repository string `json:"repository"`
	Modified   string `json:"modified"`
}

type jsonLostImage struct {
	Tag          string   `json:"tag"`          // that --also manifest-lost writes
	Repositories []string `json:"repositories"` // in which it does
	Denied       []string `json:"denied"`       // that have a witness of it, and why they get no tag
	Since        string   `json:"unnamed_since"`
	In           string   `json:"unnamed_in"`
}

// WriteJSON writes all as one JSON document, with every path.
func (y *Why) WriteJSON(w io.Writer) error {
	d := newDocument(w)
	y.head(d, WhySchema)
	d.field("complete", y.Result.Complete)
	d.field("notes", listed(y.Result.Notes))
	d.field("repository", y.Repository)
	d.field("tag", y.Tag)
	d.field("digest", y.Digest)
	d.field("state", y.state())
	d.field("manifest", y.Known.Manifest)
	d.field("corrupt", y.Known.Corrupt)
	d.field("stored", y.Known.Stored)
	d.field("size_bytes", y.Known.Size)
	if y.Repository != "" {
		d.field("own_bytes", y.Own)
		d.field("pinned", y.Pinned[y.Repository])
	}
	d.field("newest", stamp(y.newest()))
	d.field("kept_until", stamp(y.until()))
	if y.Lost != nil {
		d.field("lost_image", jsonLostImage{
			y.Lost.Tag, listed(y.Lost.Repositories), listed(y.Lost.Denied), stamp(y.Lost.Since), y.Lost.In,
		})
	}
	d.open("places")
	for _, p := range y.Places {
		d.element(jsonPlace{p.Key, p.Repository, stamp(p.Modified)})
	}
	d.shut()
	d.open("paths")
	for p := range y.Paths {
		path := jsonPath{p.Repository, p.Tag, string(p.Hold), []jsonStep{}}
		for _, s := range p.Steps {
			path.Steps = append(path.Steps, jsonStep{s.Digest, string(s.Role), s.Index})
		}
		if !d.element(path) {
			break
		}
	}
	d.shut()
	d.exit(y.Exit)
	return d.close()
}
