package main

import (
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

// refOf reads "repo", "repo:tag" or "repo@sha256:…". Names are taken as they are:
// a store may hold some that no registry accepts.
func refOf(s string) (ref, error) {
	if repository, digest, ok := strings.Cut(s, "@"); ok {
		if _, good := layout.ParseDigest(digest); !good || repository == "" {
			return ref{}, misuse("", "%q is no repo@sha256:… with 64 hex digits", s)
		}
		return ref{repository: repository, digest: digest}, nil
	}
	r := ref{repository: s}
	if at := strings.LastIndexByte(s, ':'); at > strings.LastIndexByte(s, '/') {
		r.repository, r.tag = s[:at], s[at+1:]
		if r.tag == "" {
			return ref{}, misuse("", "%q has no tag behind the colon", s)
		}
	}
	if r.repository == "" {
		return ref{}, misuse("", "%q names no repository", s)
	}
	return r, nil
}
