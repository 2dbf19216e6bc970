package manifest

import "bytes"

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
