// Package inuse reads which images are in use: from lists of images, in any form that a
// cluster or host prints, and from the access logs of a registry or of a proxy before it.
//
// The result is only used to keep images, so reading is lenient: a word that may be an
// image's name counts as one, and an ambiguous name stands for all repositories that it may
// mean. Files are untrusted: their sizes are limited, and their content alone is never an
// error.
package inuse

import (
	"strings"

	"regfsck/walker/layout"
)

// Image is the name of an image.
type Image struct {
	Text string // as written, without a scheme

	// Host is the host of the name, "" for none. Repositories are the names that a store may
	// have for the image: a name of one component may be Docker Hub's, which a mirror stores
	// below library/.
	Host         string
	Repositories []string

	Tag    string // "latest" if there is neither a tag nor a digest
	Digest string // of any algorithm; "" for none
	ID     string // the first hex digits of a digest, as docker ps prints an image without a name
	Bare   bool   // there is neither a tag nor a digest

	// Also may be the tag of an image without one: the word in the next column, or the value
	// of a field named tag.
	Also string

	// Certain reports whether this is certainly an image: it has a host, a digest, or a tag
	// that can't be a port. Without these, any word may look like an image.
	Certain bool
}

const (
	latest   = "latest"
	maxWord  = 1024 // the most bytes of an image's name
	shortest = 12   // the digits of an image id that docker prints
)

// parse parses a word as an image; ok is false if it can't be one.
func parse(word string) (i Image, ok bool) {
	scheme, rest, schemed := strings.Cut(word, "://")
	if !schemed {
		rest = word
	}
	i.Text = rest
	if hex, prefixed := strings.CutPrefix(strings.ToLower(rest), "sha256:"); isHex(hex) && len(hex) >= shortest {
		switch whole := 2 * len(layout.Digest{}); {
		case len(hex) == whole:
			i.Digest, i.Certain = "sha256:"+hex, true
		case len(hex) < whole:
			i.ID, i.Certain = hex, prefixed
		}
		if prefixed || i.Digest != "" {
			return i, i.Certain
		}
	}
	name, digest, pinned := strings.Cut(rest, "@")
	if pinned {
		i.pin(strings.ToLower(digest))
	}
	if at := strings.LastIndexByte(name, ':'); at > strings.LastIndexByte(name, '/') {
		name, i.Tag = name[:at], name[at+1:]
		if !layout.ValidTag(i.Tag) {
			if !pinned {
				return i, false
			}
			i.Tag = ""
		}
		i.Certain = strings.Contains(name, "/") || strings.Trim(i.Tag, "0123456789-") != ""
	} else if i.Digest == "" && (i.ID == "" || !pinned) {
		i.Tag, i.Bare = latest, !pinned
	}
	first, path, several := strings.Cut(name, "/")
	if several && (first == "localhost" || strings.ContainsAny(first, ".:")) {
		i.Host, i.Certain = first, i.Certain || scheme != "http" && scheme != "https"
		i.add(path)
	}
	i.add(name)
	i.Certain = i.Certain || pinned
	return i, len(i.Repositories) > 0 || i.Digest != "" || i.ID != ""
}

// pin adds a digest to a name, in lower case, or the part of it that is there.
func (i *Image) pin(digest string) {
	if _, good := layout.ParseAnyDigest(digest); good {
		i.Digest = digest
	} else if hex, ok := strings.CutPrefix(digest, "sha256:"); ok && isHex(hex) && len(hex) >= shortest && len(hex) < 2*len(layout.Digest{}) {
		i.ID = hex
	}
}

// add adds a name that a store may have for the image.
func (i *Image) add(name string) {
	if !layout.ValidRepository(name) {
		return
	}
	i.Repositories = append(i.Repositories, name)
	if !strings.Contains(name, "/") {
		i.Repositories = append(i.Repositories, "library/"+name)
	}
}

// isHex reports whether a text is not empty and has only hex digits in lower case.
func isHex(s string) bool { return s != "" && strings.Trim(s, "0123456789abcdef") == "" }
