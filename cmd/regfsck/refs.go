package main

import (
	"cmp"
	"errors"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"regfsck/graph"
	"regfsck/graph/apply"
	"regfsck/walker/layout"
)

// ref names what is to go. In repository and tag there may be stars.
type ref struct {
	text       string // as it was given
	repository string
	tag        string // "" for none
	digest     layout.Digest
	byDigest   bool
}

// parseRef reads repo, repo:tag or repo@sha256:digest.
func parseRef(text string) (ref, error) {
	r := ref{text: text}
	var digest string
	if r.repository, digest, r.byDigest = strings.Cut(text, "@"); r.byDigest {
		var ok bool
		if r.digest, ok = layout.ParseDigest(digest); !ok {
			return r, errors.New("a digest is sha256: and 64 of the digits 0 to 9 and a to f")
		}
	}
	if at := strings.LastIndexByte(r.repository, ':'); at >= 0 {
		r.repository, r.tag = r.repository[:at], r.repository[at+1:]
		switch {
		case r.tag == "":
			return r, errors.New("there is no tag behind the colon")
		case r.byDigest:
			return r, errors.New("names a tag and a digest; give one of the two")
		}
	}
	if r.repository == "" {
		return r, errors.New("names no repository")
	}
	return r, nil
}

// removal finds in the store what the references name. Each has to name
// something.
func (j *job) removal(scan *graph.Scan, refs []ref, tagsOnly bool) (*graph.Removal, error) {
	r := &graph.Removal{
		Repositories: map[string]string{}, Tags: map[string]map[string]string{},
		Manifests: map[string]map[layout.Digest]string{}, TagsOnly: tagsOnly,
	}
	for _, ref := range refs {
		if err := ref.find(scan, r); err != nil {
			return nil, misuse(j.hint(scan), "%w", err)
		}
	}
	return r, nil
}

// find adds what a reference names.
func (r ref) find(scan *graph.Scan, to *graph.Removal) error {
	all := scan.Repositories()
	repositories := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !matches(r.repository, name) })
	if len(repositories) == 0 {
		return r.nothing("repository", r.repository, all)
	}
	var tags []string
	found := false
	for _, name := range repositories {
		switch {
		case r.byDigest:
			if contains(scan.Manifests(name), r.digest) {
				found = true
				add(to.Manifests, name, r.digest, r.why())
			}
		case r.tag != "":
			for t := range scan.Tags(name) {
				tags = append(tags, t.Name)
				if matches(r.tag, t.Name) {
					found = true
					add(to.Tags, name, t.Name, r.why())
				}
			}
		default:
			found = true
			to.Repositories[name] = r.why()
		}
	}
	switch {
	case found:
		return nil
	case r.byDigest:
		return errors.New(r.text + ": there is no such manifest in " + strings.Join(repositories, ", "))
	}
	return r.nothing("tag", r.tag, tags)
}

// why is the reason for what a reference names.
func (r ref) why() string {
	if strings.Contains(r.repository+r.tag, "*") {
		return "asked for by " + r.text
	}
	return "asked for"
}

// nothing is the error of a reference that names nothing, with the nearest name.
func (r ref) nothing(kind, word string, names []string) error {
	if strings.Contains(word, "*") {
		return errors.New(r.text + ": there is no " + kind + " like " + word)
	}
	return errors.New(r.text + ": there is no " + kind + " " + word + orNearest(word, names, ""))
}

func contains(all iter.Seq[layout.Digest], d layout.Digest) bool {
	for is := range all {
		if is == d {
			return true
		}
	}
	return false
}

// add notes a thing of a repository with its reason; the first one stands.
func add[K comparable](all map[string]map[K]string, repository string, what K, why string) {
	if all[repository] == nil {
		all[repository] = map[K]string{}
	}
	all[repository][what] = cmp.Or(all[repository][what], why)
}

// hint says what may be behind a reference that names nothing.
func (j *job) hint(scan *graph.Scan) string {
	hint := "Nothing was changed."
	if !scan.Readable() {
		hint = "Part of the store could not be read, and it may be there: regfsck check tells. " + hint
	}
	runs, err := apply.Runs(j.state)
	if err == nil && len(runs) > 0 && (runs[0].Status == apply.Unfinished || runs[0].Status == apply.Interrupted) {
		plan := filepath.Join(j.state, "runs", runs[0].ID, "plan.jsonl")
		hint = "Run " + runs[0].ID + " was broken off and may have taken it: regfsck apply " + plan + " goes on with it, regfsck undo takes it back. " + hint
	}
	return hint
}

// matches tells whether a name is like a pattern: * stands for any part of one
// component, ** for any number of components.
func matches(pattern, name string) bool {
	switch {
	case pattern == "":
		return name == ""
	case strings.HasPrefix(pattern, "**"):
		rest := strings.TrimLeft(pattern, "*")
		for at := range len(name) + 1 {
			if matches(rest, name[at:]) {
				return true
			}
		}
		return false
	case pattern[0] == '*':
		for at := 0; at <= len(name); at++ {
			if matches(pattern[1:], name[at:]) {
				return true
			}
			if at < len(name) && name[at] == '/' {
				return false
			}
		}
		return false
	}
	return name != "" && name[0] == pattern[0] && matches(pattern[1:], name[1:])
}
