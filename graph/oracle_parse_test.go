package graph

import (
	"encoding/json"
	"strings"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// oracleManifest is what a blob's bytes say if they are a manifest's.
type oracleManifest struct {
	state    string   // "good", "missing", "corrupt" or "unparsable"
	blobs    []string // config, layers, and an index's entries of a layer's type
	optional []string // layers that may be absent
	children []string // an index's entries of a manifest's type
	either   []string // an index's other entries
	subject  string
}

type oracleDescriptor struct {
	MediaType, Digest, BlobSum string
	URLs                       []string
}

// manifest reads the manifest of that digest.
func (s *oracleStore) manifest(digest string) oracleManifest {
	if m, ok := s.manifests[digest]; ok {
		return m
	}
	m := oracleManifest{state: "missing"}
	if f, ok := s.blobs[digest]; ok {
		m = oracleParse(f.Body)
		if layout.Sum(f.Body).String() != digest && fixtures.SHA512(f.Body) != digest {
			m = oracleManifest{state: "corrupt"}
		}
	}
	s.manifests[digest] = m
	return m
}

func oracleParse(body []byte) (m oracleManifest) {
	var doc struct {
		Config, Subject                    *oracleDescriptor
		Layers, Blobs, FSLayers, Manifests []oracleDescriptor
		SchemaVersion                      int
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return oracleManifest{state: "unparsable"}
	}
	if doc.Config != nil {
		m.blobs = append(m.blobs, doc.Config.Digest)
	}
	for _, list := range [][]oracleDescriptor{doc.Layers, doc.Blobs, doc.FSLayers} {
		for _, d := range list {
			unread := doc.SchemaVersion == 0 // no registry reads it: it is kept, and not missed
			if unread || len(d.URLs) > 0 || strings.Contains(d.MediaType, "foreign") {
				m.optional = append(m.optional, d.Digest+d.BlobSum)
			} else {
				m.blobs = append(m.blobs, d.Digest+d.BlobSum)
			}
		}
	}
	for _, d := range doc.Manifests {
		switch {
		case strings.Contains(d.MediaType, "manifest") || strings.Contains(d.MediaType, "image.index"):
			m.children = append(m.children, d.Digest)
		case strings.Contains(d.MediaType, "image.layer") || strings.Contains(d.MediaType, "rootfs.diff") || strings.Contains(d.MediaType, "cacheconfig"):
			m.blobs = append(m.blobs, d.Digest)
		default:
			m.either = append(m.either, d.Digest)
		}
	}
	if doc.Subject != nil {
		m.subject = doc.Subject.Digest
	}
	m.state = "good"
	if len(m.blobs)+len(m.optional) == 0 && doc.Manifests == nil {
		m.state = "unparsable"
	}
	return m
}
