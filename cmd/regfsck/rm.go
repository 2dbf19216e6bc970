package main

import (
	"cmp"
	"errors"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/graph"
	"regfsck/graph/journal"
	"regfsck/graph/retain"
	"regfsck/walker/layout"
)

// rmCommand plans the removal of what is named, and of what only that used, and
// carries the plan out if it is told so. It has neither --max-delete, since a
// person names what goes, nor --also, since no removal makes damage.
func rmCommand(s *session) *cli.Command {
	flags := slices.Concat(outputFlags(), policyFlags(), without(choiceFlags(), "also", "verify"), s.driverFlags(), []cli.Flag{
		s.noCacheFlag(), &cli.BoolFlag{Name: "tags-only", Usage: "remove the tags, and leave the manifests that they mean"},
		&cli.BoolFlag{Name: "apply", Usage: "carry the plan out; asks for its id on a terminal"},
	}, without(s.consentFlags(), "max-delete"))
	return complete(&cli.Command{
		Name:      "rm",
		Usage:     "remove repositories, tags or manifests, and what only they used",
		ArgsUsage: "[flags] STORE REF...",
		Description: "REF is repo, repo:tag or repo@sha256:DIGEST; in repo and tag * stands for any\n" +
			"part of one component, and ** for any number of them ('team/**', 'app:v1.*';\n" +
			"quote it). The image of a tag goes with its last tag; its signatures go with it.\n" +
			"--untagged removes all manifests without a tag too, of the repositories that REF\n" +
			"names. --only and --skip are about the garbage that comes of it, such as\n" +
			"blob-orphan. Without --apply nothing is changed: the plan is shown, and that is\n" +
			"all. With it the registry must be stopped or read-only.",
		Flags:  flags,
		Action: s.removeRefs,
	})
}

func (s *session) removeRefs(c *cli.Context) error {
	refs, err := refsOf(c)
	if err != nil {
		return err
	}
	j, err := s.planned(c, c.Args().First())
	if err != nil {
		return err
	}
	j.choose = func(scan *graph.Scan) (*graph.Removal, error) { return j.removal(scan, refs, c.Bool("tags-only")) }
	return s.change(c.Context, j)
}

// refsOf reads what is to go.
func refsOf(c *cli.Context) (refs []wanted, err error) {
	if c.NArg() < 2 || slices.Contains(c.Args().Slice(), "") {
		return nil, misuse(seeHelp("rm"), "rm takes a STORE and one REF at least, none of them empty")
	}
	for _, text := range c.Args().Tail() {
		r, err := parseRef(text)
		if err != nil {
			return nil, misuse(seeHelp("rm"), "%s: %w", text, err)
		}
		if c.Bool("tags-only") && r.tag == "" {
			return nil, misuse(seeHelp("rm"), "%s: names no tag, and --tags-only removes nothing else", text)
		}
		refs = append(refs, r)
	}
	if c.Bool("tags-only") && c.Bool("untagged") {
		return nil, misuse(seeHelp("rm"), "--tags-only leaves all manifests, and --untagged removes some")
	}
	return refs, nil
}

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
	runs, err := journal.Summaries(j.state)
	if err == nil && len(runs) > 0 && (runs[0].Status == journal.Unfinished || runs[0].Status == journal.Interrupted) {
		plan := filepath.Join(j.state, "runs", runs[0].ID, "plan.jsonl")
		hint = "Run " + runs[0].ID + " was broken off and may have taken it: regfsck apply " + plan + " goes on with it, regfsck undo takes it back. " + hint
	}
	return hint
}

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
