package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Description is the content of a manifest besides its references.
type Description struct {
	Kind         Kind
	Form         Form
	MediaType    string  // of its bytes; "" for none
	ArtifactType string  // artifactType, else the config's media type unless that is an image's; "" for images and indexes
	Entries      []Entry // of an index: manifests[], in the order of the bytes
	Config       string  // digest of the config; "" for an index, and for none
	ExpiresAfter string  // the annotation quay.expires-after; "" for none
}

// Entry is one of an index's manifests.
type Entry struct {
	Digest       string
	MediaType    string
	ArtifactType string
	Platform     string // "linux/arm64/v8"; "" for none
	Attestation  bool   // BuildKit's attestation of another entry
}

// Form is what a manifest is used for, as a stable word.
type Form string

// The forms.
const (
	FormImage       Form = "image"
	FormSchema1     Form = "schema-1"    // Docker's first form, which registry 3.x doesn't serve
	FormIndex       Form = "index"       // of several platforms, or anything else
	FormArtifact    Form = "artifact"    // see ArtifactType
	FormChart       Form = "chart"       // Helm's
	FormPlugin      Form = "plugin"      // Docker's
	FormCache       Form = "build-cache" // BuildKit's
	FormSignature   Form = "signature"   // Notary's, cosign's or sigstore's
	FormAttestation Form = "attestation"
)

const cacheConfigType = "application/vnd.buildkit.cacheconfig."

type described struct {
	MediaType, ArtifactType text
	Digest                  text
	Platform                *struct{ OS, Architecture, Variant text }
	Annotations             map[string]text
}

// Describe reads a manifest that Parse accepts. A field of a wrong type counts as missing.
// The errors are those of Parse.
func Describe(body []byte) (Description, error) {
	m, err := Parse(body, nil)
	if err != nil {
		return Description{}, err
	}
	var doc struct {
		ArtifactType      text
		Config            described
		Layers, Manifests []described
		Annotations       map[string]text
	}
	if err := decode(body, &doc); err != nil {
		return Description{}, err
	}
	d := Description{Kind: m.Kind, MediaType: m.MediaType, ArtifactType: string(doc.ArtifactType)}
	d.ExpiresAfter = string(doc.Annotations[expiresAfter])
	for _, e := range doc.Manifests {
		d.Entries = append(d.Entries, e.entry())
	}
	if d.Kind == Index {
		d.Form = formOfIndex(d.Entries)
		return d, nil
	}
	d.Entries, d.Config = nil, string(doc.Config.Digest)
	d.Form = formOf(d.Kind, string(doc.Config.MediaType), d.ArtifactType, doc.Layers)
	if d.ArtifactType == "" && d.Form != FormImage && !isImageConfig(string(doc.Config.MediaType)) {
		d.ArtifactType = string(doc.Config.MediaType)
	}
	return d, nil
}

func (e *described) entry() Entry {
	entry := Entry{Digest: string(e.Digest), MediaType: string(e.MediaType), ArtifactType: string(e.ArtifactType)}
	if p := e.Platform; p != nil {
		entry.Platform = platform(string(p.OS), string(p.Architecture), string(p.Variant))
	}
	entry.Attestation = e.Annotations["vnd.docker.reference.type"] == "attestation-manifest"
	return entry
}

func formOfIndex(entries []Entry) Form {
	for _, e := range entries {
		if strings.HasPrefix(e.MediaType, cacheConfigType) {
			return FormCache
		}
	}
	return FormIndex
}

// formOf returns the form of a manifest with that kind, config and layers.
func formOf(kind Kind, config, artifact string, layers []described) Form {
	switch {
	case isSignature(artifact) || artifact == "" && isSignature(config):
		return FormSignature
	case kind == Artifact:
		return FormArtifact
	case kind == Schema1:
		return FormSchema1
	case strings.HasPrefix(config, "application/vnd.cncf.helm.config."):
		return FormChart
	case strings.HasPrefix(config, "application/vnd.docker.plugin."):
		return FormPlugin
	case strings.HasPrefix(config, cacheConfigType):
		return FormCache
	}
	for _, l := range layers {
		switch l.MediaType {
		case "application/vnd.dev.cosign.simplesigning.v1+json", "application/vnd.dev.sigstore.bundle.v0.3+json":
			return FormSignature
		case "application/vnd.in-toto+json", "application/vnd.dsse.envelope.v1+json":
			return FormAttestation
		}
	}
	if artifact != "" || config != "" && !isImageConfig(config) {
		return FormArtifact
	}
	return FormImage
}

// isSignature reports whether an artifact type is a signature's: Notary's, cosign's,
// sigstore's.
func isSignature(artifactType string) bool {
	for _, begin := range []string{
		"application/vnd.cncf.notary.signature", "application/vnd.dev.cosign.artifact.sig.", "application/vnd.dev.sigstore.bundle.",
	} {
		if strings.HasPrefix(artifactType, begin) {
			return true
		}
	}
	return false
}

func isImageConfig(mediaType string) bool {
	return mediaType == "application/vnd.oci.image.config.v1+json" || mediaType == "application/vnd.docker.container.image.v1+json"
}

// ImageConfig is the used part of an image's config.
type ImageConfig struct {
	Created                   time.Time // UTC; zero if it is missing or invalid
	OS, Architecture, Variant string    // "" if missing
	ExpiresAfter              string    // the label quay.expires-after; "" if missing
}

// expiresAfter is the name of the label of the config, or the annotation of the manifest,
// by which Quay expires a tag (docs.quay.io, "Setting tag expiration from a
// Dockerfile").
const expiresAfter = "quay.expires-after"

// ParseConfig reads a config of at most MaxSize bytes. A field that is missing, as in an
// artifact's config, or that has a wrong type, is zero. An error means that the bytes are
// not a JSON object.
func ParseConfig(body []byte) (ImageConfig, error) {
	var doc *struct {
		Created, OS, Architecture, Variant text
		Config                             struct{ Labels map[string]text }
	}
	if err := decode(body, &doc); err != nil {
		return ImageConfig{}, err
	}
	if doc == nil {
		return ImageConfig{}, errNoObject
	}
	c := ImageConfig{
		OS: string(doc.OS), Architecture: string(doc.Architecture), Variant: string(doc.Variant),
		ExpiresAfter: string(doc.Config.Labels[expiresAfter]),
	}
	if at, err := time.Parse(time.RFC3339Nano, string(doc.Created)); err == nil && !at.IsZero() {
		c.Created = at.UTC()
	}
	return c, nil
}

// Platform returns, for example, "linux/arm64/v8"; "" if the config names no system.
func (c ImageConfig) Platform() string { return platform(c.OS, c.Architecture, c.Variant) }

func platform(parts ...string) (name string) {
	for _, part := range parts {
		if part == "" {
			break
		}
		if name != "" {
			name += "/"
		}
		name += part
	}
	return name
}

var errNoObject = errors.New("not a JSON object")

// decode decodes a document. A field of a wrong type remains empty.
func decode(body []byte, doc any) error {
	var wrong *json.UnmarshalTypeError
	switch err := json.Unmarshal(body, doc); {
	case errors.As(err, &wrong) && wrong.Field == "":
		return errNoObject
	case err != nil && wrong == nil:
		return fmt.Errorf("%w: %w", errNoObject, err)
	}
	return nil
}

// text is a string of a document; "" if the document has another type there.
type text string

// UnmarshalJSON sets t to a string, and ignores any other value.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}
