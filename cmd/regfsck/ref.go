package main

import (
	"errors"
	"strings"

	"regfsck/walker/layout"
)

// ref names a repository, a tag of it or a manifest of it.
type ref struct{ repository, tag, digest string }

func (r ref) String() string {
	switch {
	case r.digest != "":
		return r.repository + "@" + r.digest
	case r.tag != "":
		return r.repository + ":" + r.tag
	}
	return r.repository
}

var errNoRepository = errors.New("names no repository")

// refOf reads "repo", "repo:tag" or "repo@algorithm:hex". Names are taken as they are:
// a store may hold some that no registry accepts.
func refOf(s string) (ref, error) {
	if repository, digest, ok := strings.Cut(s, "@"); ok {
		if repository == "" {
			return ref{}, errNoRepository
		}
		if _, good := layout.ParseAnyDigest(digest); !good {
			return ref{}, errors.New("a digest is sha256: and 64 of the digits 0 to 9 and a to f, or another algorithm and its digits")
		}
		return ref{repository: repository, digest: digest}, nil
	}
	r := ref{repository: s}
	if at := strings.LastIndexByte(s, ':'); at > strings.LastIndexByte(s, '/') {
		r.repository, r.tag = s[:at], s[at+1:]
		if r.tag == "" {
			return ref{}, errors.New("there is no tag behind the colon")
		}
	}
	if r.repository == "" {
		return ref{}, errNoRepository
	}
	return r, nil
}
