// Package manifest parses manifests into the digests that they refer to, whatever their
// media type is.
//
// A registry stores manifests of several forms: Docker schema 1 and 2, manifest lists, OCI
// images and indexes, artifact manifests of two withdrawn drafts, and indexes whose
// children are layers (BuildKit caches). The media type in a manifest proves nothing, so
// references are read from every field where one of the forms has them; the result is the
// union.
//
// Registries decode manifests with encoding/json, which ignores the case of keys, and uses
// the last of several equal keys. Parse uses all of them: it may find more references than
// the registry, never fewer, and all of them are kept. References that the registry itself
// finds, in any version in use, are marked as Read; only these count as damage, or serve to
// rebuild something. A client that may push to a repository can put any digest where the
// registry doesn't look.
//
// Describe and ParseConfig read what is only shown and decides nothing (platforms, types,
// when an image was made), with encoding/json.
//
// Bytes that can't be parsed are an error, never a manifest without references: what they
// refer to is unknown.
package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"regfsck/walker/layout"
)

// The bounds of what Parse accepts.
const (
	MaxSize  = 4 << 20 // bytes of a manifest; a registry refuses larger ones too
	MaxDepth = 10_000  // nesting of objects and arrays; encoding/json has the same bound
)

// The errors of Parse.
var (
	ErrTooLarge = fmt.Errorf("the manifest is larger than %d bytes", MaxSize)
	ErrTooDeep  = fmt.Errorf("the manifest is nested more than %d levels deep", MaxDepth)
	ErrForm     = errors.New("not a manifest of a known form")
)

// Role is how a manifest refers to something.
type Role uint8

// The roles. The role of a manifests[] entry follows from the entry's own media type.
const (
	Config      Role = iota + 1 // config
	Layer                       // layers[], blobs[], fsLayers[]
	MayBeAbsent                 // like Config, Layer or Claimed, but with urls, or of a foreign or nondistributable type
	Child                       // a manifests[] entry of a manifest's or an index's type
	Either                      // a manifests[] entry without a known type: a manifest if its bytes parse as one, else a blob
	Subject                     // subject: the manifest that this one refers to, and doesn't keep
	Claimed                     // a blob whose existence no registry checks at a push: a manifests[] entry of a layer's or cache config's type
)

// Ref is one reference.
type Ref struct {
	Role   Role
	Read   bool          // registries find it too; a Config or Layer then existed when the manifest was pushed
	Digest layout.Digest // zero if Other is set
	Other  string        // the whole digest if its algorithm isn't sha256, else ""
	Size   int64         // bytes, as the descriptor says; -1 if it has no valid size
}

// Kind is a manifest's form.
type Kind uint8

// The forms. A manifest's fields decide; if it has those of several forms or of none, its
// media type does.
const (
	Image    Kind = iota + 1 // config and layers[]
	Index                    // manifests[]
	Schema1                  // fsLayers[]
	Artifact                 // blobs[]
)

// Manifest is a parsed manifest.
type Manifest struct {
	Kind      Kind
	MediaType string // of its bytes; "" for none
	Refs      []Ref  // in the order of the bytes, each pair of Role and digest once
	Inline    bool   // a descriptor may have data: see InlineData
}

// Parse parses a manifest. It stores the references in refs, whose contents are lost, or in
// a larger slice; nothing in the Manifest refers to body.
//
// An error is ErrTooLarge, ErrTooDeep or ErrForm. ErrForm means that body isn't one JSON
// object, or, unless registries still read it: a field has a wrong type, a
// descriptor has no valid digest, or the object has no references in any known field and
// isn't an index or an artifact manifest, which alone may be empty.
func Parse(body []byte, refs []Ref) (Manifest, error) {
	if len(body) > MaxSize {
		return Manifest{}, ErrTooLarge
	}
	p := parser{scanner: scanner{body: body}, refs: refs[:0]}
	p.manifest()
	p.end()
	return p.result()
}

// plausible reports whether m has what its form requires.
func (m *Manifest) plausible() bool {
	switch m.Kind {
	case Index, Artifact:
		return true
	case Image, Schema1:
		return slices.ContainsFunc(m.Refs, func(ref Ref) bool { return ref.Role != Subject })
	}
	return false
}

// The media types of manifests.
const (
	typeImage        = "application/vnd.oci.image.manifest.v1+json"
	typeIndex        = "application/vnd.oci.image.index.v1+json"
	typeArtifact     = "application/vnd.oci.artifact.manifest.v1+json"
	typeORAS         = "application/vnd.cncf.oras.artifact.manifest.v1+json"
	typeDocker       = "application/vnd.docker.distribution.manifest.v2+json"
	typeDockerList   = "application/vnd.docker.distribution.manifest.list.v2+json"
	typeDocker1      = "application/vnd.docker.distribution.manifest.v1+json"
	typeDocker1Signs = "application/vnd.docker.distribution.manifest.v1+prettyjws"
)

// The prefixes of media types that BuildKit puts into an index besides those of manifests:
// of layers, and of the configuration of its cache.
var layerTypes = [...]string{
	"application/vnd.oci.image.layer.",
	"application/vnd.docker.image.rootfs.",
	"application/vnd.buildkit.cacheconfig.",
}

// kindOf returns the form of a media type; 0 if it isn't a manifest's.
func kindOf[T string | []byte](mediaType T) Kind {
	switch string(mediaType) {
	case typeImage, typeDocker:
		return Image
	case typeIndex, typeDockerList:
		return Index
	case typeDocker1, typeDocker1Signs:
		return Schema1
	case typeArtifact, typeORAS:
		return Artifact
	}
	return 0
}

// intern returns text as a string, without allocation for the usual media types.
func intern(text []byte) string {
	switch string(text) {
	case typeImage:
		return typeImage
	case typeIndex:
		return typeIndex
	case typeDocker:
		return typeDocker
	case typeDockerList:
		return typeDockerList
	}
	return string(text)
}

// roleOf returns the role of a descriptor in that field. If it has urls even registry 2.8
// doesn't look for a config at a push.
func roleOf(at place, mediaType []byte, urls bool) Role {
	role := Layer
	switch at {
	case inSubject:
		return Subject
	case inConfig:
		if !urls {
			return Config
		}
	case inManifests:
		if kindOf(mediaType) != 0 {
			return Child
		}
		if !isLayer(mediaType) {
			return Either
		}
		role = Claimed
	}
	if urls || bytes.Contains(mediaType, []byte("foreign")) || bytes.Contains(mediaType, []byte("nondistributable")) {
		return MayBeAbsent
	}
	return role
}

func isLayer(mediaType []byte) bool {
	for _, begin := range layerTypes {
		if len(mediaType) >= len(begin) && string(mediaType[:len(begin)]) == begin {
			return true
		}
	}
	return false
}
