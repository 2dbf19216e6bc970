// Package manifest turns the bytes of a manifest into the digests that it
// refers to, whatever its media type says.
//
// A registry stores manifests of several forms: Docker schema 1 and 2, manifest
// lists, OCI images and indexes, artifact manifests of two withdrawn drafts,
// and indexes whose children are layers (BuildKit caches). What a manifest
// calls itself proves nothing, so references are read from every place where
// one of the forms has them, and the result is their union.
//
// The registry reads manifests with encoding/json. That package ignores the
// case of keys and lets the last of several equal keys win; here all of them
// count. So Parse may give more references than the registry sees, never fewer:
// that is what keeping goes by. What the registry itself sees, of either version
// that is in use, is marked as Read: what is damage, and what may be rebuilt, goes
// by that alone. Whoever may push to a repository can put any digest where the
// registry doesn't look.
//
// What is only shown and never decided by (platforms, types, when an image was
// made) Describe and ParseConfig read, with encoding/json.
//
// Bytes that are not understood are an error, never a manifest without
// references: what stands in them is unknown, and must not be taken for nothing.
package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"regfsck/walker/layout"
)

// The bounds of what is parsed. Beyond one, Parse gives an error.
const (
	MaxSize  = 4 << 20 // bytes of a manifest; a registry refuses larger ones too
	MaxDepth = 10_000  // objects and arrays inside one another; encoding/json refuses more too
)

// What Parse says of bytes that it doesn't take.
var (
	ErrTooLarge = fmt.Errorf("the manifest is larger than %d bytes", MaxSize)
	ErrTooDeep  = fmt.Errorf("the manifest is nested more than %d levels deep", MaxDepth)
	ErrForm     = errors.New("not a manifest of a known form")
)

// Role says in which way a manifest refers to something.
type Role uint8

// The roles. Those of manifests[] entries follow from the entry's own media type.
const (
	Config      Role = iota + 1 // config
	Layer                       // layers[], blobs[], fsLayers[]
	MayBeAbsent                 // what would be a Config, a Layer or Claimed, with urls or of a foreign or nondistributable type
	Child                       // a manifests[] entry of a manifest's or an index's type
	Either                      // a manifests[] entry of no type or an unknown one: a manifest if its bytes parse as one, else a blob
	Subject                     // subject: what this manifest is about, and doesn't keep
	Claimed                     // a blob that no registry looks for when the manifest is pushed: a manifests[] entry of a layer's or a cache config's type
)

// Ref is one reference.
type Ref struct {
	Role   Role
	Read   bool          // a registry reads it itself; a Config or Layer was then there when the manifest was pushed
	Digest layout.Digest // zero if Other is set
	Other  string        // the whole digest if its algorithm isn't sha256, else ""
	Size   int64         // bytes as the descriptor states them; -1 if it doesn't, or states no possible size
}

// Kind is a manifest's form.
type Kind uint8

// The forms. What fields a manifest has decides; if it has those of several
// forms, or of none, the one that its media type names.
const (
	Image    Kind = iota + 1 // config and layers[]
	Index                    // manifests[]
	Schema1                  // fsLayers[]
	Artifact                 // blobs[]
)

// Manifest is what a manifest's bytes say.
type Manifest struct {
	Kind      Kind
	MediaType string // as it stands in the bytes; "" if it doesn't
	Refs      []Ref  // in the order of the bytes, each pair of role and digest once
	Inline    bool   // a descriptor in it may carry bytes: see InlineData
}

// Parse reads a manifest. Its references are written into the space of refs,
// whose contents are lost, or into a larger one; nothing in the Manifest refers
// to body.
//
// An error is one of ErrTooLarge, ErrTooDeep and ErrForm. ErrForm stands for what
// isn't strict JSON with one object, and, unless the registries read it all the
// same, for a field of a wrong type, a descriptor without a digest or with
// something else in its place, and an object that has references in none of the
// known places and isn't an index or an artifact manifest: these alone may be empty.
func Parse(body []byte, refs []Ref) (Manifest, error) {
	if len(body) > MaxSize {
		return Manifest{}, ErrTooLarge
	}
	p := parser{scanner: scanner{body: body}, refs: refs[:0]}
	p.manifest()
	p.end()
	return p.result()
}

// plausible reports whether m has what its form can't do without.
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

// How the media types begin of what BuildKit puts into an index beside
// manifests: layers, and the configuration of its cache.
var layerTypes = [...]string{
	"application/vnd.oci.image.layer.",
	"application/vnd.docker.image.rootfs.",
	"application/vnd.buildkit.cacheconfig.",
}

// kindOf returns the form that a media type names, 0 for others.
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

// intern returns text as a string; the usual ones cost nothing.
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

// roleOf returns the role of a descriptor in that place. With urls even 2.8 doesn't
// look for a config when the manifest is pushed.
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
