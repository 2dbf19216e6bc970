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
	"regfsck/graph/retain"
)

// wanted is a REF of what is to go, in whose repository and tag there may be
// patterns.
type wanted struct {
	ref
	text         string // as it was given
	repositories pattern
	tags         pattern
}

// pattern is a name, or a pattern over names.
type pattern struct {
	name string
	glob retain.Glob
	is   bool // it is a pattern
}

func patternOf(s string) (p pattern, err error) {
	p.name, p.is = s, strings.ContainsAny(s, "*?[")
	if p.is {
		p.glob, err = retain.ParseGlob(s)
	}
	return p, err
}

func (p pattern) match(name string) bool {
	if p.is {
		return p.glob.Match(name)
	}
	return p.name == name
}

// parseRef reads repo, repo:tag or repo@sha256:digest.
func parseRef(text string) (r wanted, err error) {
	r.text = text
	if r.ref, err = refOf(text); err != nil {
		return r, err
	}
	if strings.Contains(r.repository, ":") && r.digest != "" {
		if bare, _ := refOf(r.repository); bare.tag != "" {
			return r, errors.New("names a tag and a digest; give one of the two")
		}
	}
	if r.repositories, err = patternOf(r.repository); err == nil {
		r.tags, err = patternOf(r.tag)
	}
	return r, err
}

// removal finds in the store what the references name. Each has to name
// something.
func (j *job) removal(scan *graph.Scan, refs []wanted, tagsOnly bool) (*graph.Removal, error) {
	r := &graph.Removal{
		Repositories: map[string]string{}, Tags: map[string]map[string]string{},
		Manifests: map[string]map[string]string{}, TagsOnly: tagsOnly,
	}
	for _, ref := range refs {
		if err := ref.find(scan, r); err != nil {
			return nil, misuse(j.hint(scan), "%w", err)
		}
	}
	return r, nil
}

// find adds what a reference names.
func (r wanted) find(scan *graph.Scan, to *graph.Removal) error {
	all := scan.Repositories()
	repositories := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !r.repositories.match(name) })
	if len(repositories) == 0 {
		return r.nothing("repository", r.repositories, all)
	}
	var tags []string
	found := false
	for _, name := range repositories {
		switch {
		case r.digest != "":
			if contains(scan.Manifests(name), r.digest) {
				found = true
				add(to.Manifests, name, r.digest, r.why())
			}
		case r.tag != "":
			for t := range scan.Tags(name) {
				tags = append(tags, t.Name)
				if r.tags.match(t.Name) {
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
	case r.digest != "":
		return errors.New(r.text + ": there is no such manifest in " + strings.Join(repositories, ", "))
	}
	return r.nothing("tag", r.tags, tags)
}

// why is the reason for what a reference names.
func (r wanted) why() string {
	if r.repositories.is || r.tags.is {
		return "asked for by " + r.text
	}
	return "asked for"
}

// nothing is the error of a reference that names nothing, with the nearest name.
func (r wanted) nothing(kind string, p pattern, names []string) error {
	if p.is {
		return errors.New(r.text + ": there is no " + kind + " like " + p.name)
	}
	return errors.New(r.text + ": there is no " + kind + " " + p.name + orNearest(p.name, names, ""))
}

func contains(all iter.Seq[string], digest string) bool {
	for is := range all {
		if is == digest {
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
