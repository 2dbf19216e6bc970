// Package inuse reads which images are in use from what people have at hand: lists of
// images, in whatever form a cluster or a host prints them, and the access logs of a
// registry or of what stands before it.
//
// What is read here only ever keeps something. So it is read generously: a word that
// may name an image names it, and where a name can mean several repositories it means
// all of them. Files come from elsewhere: their sizes are bounded, and nothing that
// stands in them is an error by itself.
package inuse

import (
	"strings"

	"regfsck/walker/layout"
)

// Image is one image that somebody names.
type Image struct {
	Text string // as it was written, without a scheme

	// Host is the host of the name, "" where it has none. Repositories are what a
	// store may hold the image under: a name of one part alone may be Docker Hub's,
	// which a mirror holds below library/.
	Host         string
	Repositories []string

	Tag    string // latest where neither a tag nor a digest is named
	Digest string // by any algorithm; "" for none
	ID     string // the first hex digits of a digest, as docker ps shows an image without a name
	Bare   bool   // neither a tag nor a digest is named

	// Also may be the tag of an image without one: it stands behind it, in the next
	// column or under a key named tag.
	Also string

	// Certain reports whether this is surely meant to be an image: it has a host, a
	// digest, or a tag that is no port. Any word may look like an image without these.
	Certain bool
}

const (
	latest   = "latest"
	maxWord  = 1024 // bytes of what may be an image
	shortest = 12   // digits of an image's id that docker shows
)

// parse reads a word as an image; false if it can't be one.
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

// pin adds the digest behind a name, in small letters, or as much of it as is there.
func (i *Image) pin(digest string) {
	if _, good := layout.ParseAnyDigest(digest); good {
		i.Digest = digest
	} else if hex, ok := strings.CutPrefix(digest, "sha256:"); ok && isHex(hex) && len(hex) >= shortest && len(hex) < 2*len(layout.Digest{}) {
		i.ID = hex
	}
}

// add adds a name under which a store may hold the image.
func (i *Image) add(name string) {
	if !layout.ValidRepository(name) {
		return
	}
	i.Repositories = append(i.Repositories, name)
	if !strings.Contains(name, "/") {
		i.Repositories = append(i.Repositories, "library/"+name)
	}
}

// isHex reports whether a text is made of the digits of digests, and not empty.
func isHex(s string) bool { return s != "" && strings.Trim(s, "0123456789abcdef") == "" }
