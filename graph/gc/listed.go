package gc

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"regfsck/graph/inuse"
	"regfsck/walker/layout"
)

// InputError is the error of a list or log of images in use that can't be trusted.
type InputError struct {
	Rule string // the rule with the file: "keep-list", "pulled-log"
	File string
	Err  error
}

func (e *InputError) Error() string { return e.Rule + " " + e.File + ": " + e.Err.Error() }

// Unwrap returns the underlying error.
func (e *InputError) Unwrap() error { return e.Err }

var errNothingListed = errors.New("nothing of the store is named in it: it may be another registry's")

// listed is what a list names of a store: images by name, and digests in any repository,
// since a cluster may name an image by any of its repositories.
type listed struct {
	tags    map[string]map[string]string // the image, by repository and tag
	digests []string
	image   map[string]string // by digest
	whole   map[string]string // by repository: an image without a certain tag
}

// findListed sets what each list names.
func (s *selection) findListed() error {
	s.listed = map[string]*listed{}
	m := &matching{selection: s, tags: map[string]map[string]bool{}}
	for _, name := range s.scan.Repositories() {
		m.tags[name] = nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.Lists)) {
		l, note := m.match(s.Lists[name])
		if l == nil {
			return &InputError{"keep-list", name, errNothingListed}
		}
		s.listed[name] = l
		s.Notes = append(s.Notes, name+note)
	}
	return nil
}

// matching finds images in a store.
type matching struct {
	*selection
	tags map[string]map[string]bool // by repository; nil until needed
}

// has reports whether the store has a tag.
func (m *matching) has(repository, tag string) bool {
	tags, ok := m.tags[repository]
	if !ok {
		return false
	}
	if tags == nil {
		tags = map[string]bool{}
		for t := range m.scan.Tags(repository) {
			tags[t.Name] = true
		}
		m.tags[repository] = tags
	}
	return tags[tag]
}

// match returns what images name, and a note on the matches of the list; nil for nothing.
func (m *matching) match(images []inuse.Image) (*listed, string) {
	l := &listed{tags: map[string]map[string]string{}, image: map[string]string{}, whole: map[string]string{}}
	var ids []string
	for i := range images {
		if images[i].ID != "" {
			ids = append(ids, images[i].ID)
		}
	}
	begun := m.scan.Begun(ids)
	found, own, rest, bare := 0, map[string]bool{}, []*inuse.Image{}, []string{}
	for i := range images {
		image := &images[i]
		there := m.named(l, image)
		if m.bare(l, image) {
			there = true
			bare = append(bare, image.Text)
		}
		for _, d := range append(begun[image.ID], image.Digest) {
			if d != "" && m.scan.Knows(d) {
				there = true
				l.add(d, image.Text)
			}
		}
		switch {
		case there:
			found++
			own[image.Host] = true
		case image.Certain:
			rest = append(rest, image)
		}
	}
	if found == 0 {
		return nil, ""
	}
	return l, matchNote(found, own, rest, bare)
}

// add adds a digest of an image.
func (l *listed) add(digest, image string) {
	if _, known := l.image[digest]; !known {
		l.digests = append(l.digests, digest)
		l.image[digest] = image
	}
}

// named adds the tags that an image's name may mean.
func (m *matching) named(l *listed, image *inuse.Image) (there bool) {
	for _, repository := range image.Repositories {
		for _, tag := range []string{image.Tag, image.Also} {
			if tag == "" || !m.has(repository, tag) {
				continue
			}
			there = true
			request(l.tags, repository, tag, image.Text)
			if subject, is := layout.SubjectOf(tag); is { // its subject alone keeps it
				l.add(subject.String(), image.Text)
			}
		}
	}
	return there
}

// bare adds the repositories of an image without a tag or digest: docker ps may omit the
// digest. It reports whether there are any.
func (m *matching) bare(l *listed, image *inuse.Image) (there bool) {
	if !image.Bare || !image.Certain {
		return false
	}
	var held []string
	for _, repository := range image.Repositories {
		if _, there := m.tags[repository]; there {
			held = append(held, repository)
		}
		if image.Also != "" && m.has(repository, image.Also) {
			return false
		}
	}
	for _, repository := range held {
		if _, known := l.whole[repository]; !known {
			l.whole[repository] = image.Text
		}
	}
	return len(held) > 0
}

// matchNote returns the note on a list's images: own are the hosts of images that were found, rest
// the images that were not, and bare those without tag and digest.
func matchNote(found int, own map[string]bool, rest []*inuse.Image, bare []string) string {
	var missing, hosts []string
	others := 0
	for _, image := range rest {
		if image.Host == "" || own[image.Host] {
			missing = append(missing, image.Text)
			continue
		}
		others++
		hosts = append(hosts, image.Host)
	}
	slices.Sort(hosts)
	parts := []string{counted(found, "image") + " of the store"}
	if others > 0 {
		parts = append(parts, counted(others, "image")+" of other hosts ("+some(slices.Compact(hosts))+")")
	}
	if len(missing) > 0 {
		parts = append(parts, counted(len(missing), "image")+" that the store hasn't got ("+some(missing)+")")
	}
	text := " names " + strings.Join(parts, ", ")
	if len(bare) > 0 {
		text += "; " + counted(len(bare), "image") + " with neither a tag nor a digest (" + some(bare) + "): all tags of their repositories are kept; write :latest if that is meant, and docker ps needs --no-trunc to print digests"
	}
	return text
}

// counted formats a number of things.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// some formats the first few names.
func some(names []string) string {
	const few = 5
	text := strings.Join(names[:min(len(names), few)], ", ")
	if len(names) > few {
		text += " and others"
	}
	return text
}

// listedIn returns a function that returns which of the lists names a tag or manifest of a
// repository, and how; "" for none.
func (s *selection) listedIn(repository string, lists []string) func(tag string, digest layout.Digest) string {
	related := make([]map[layout.Digest]string, len(lists))
	for i, name := range lists {
		related[i] = s.scan.Related(repository, s.listed[name].digests)
	}
	return func(tag string, digest layout.Digest) string {
		for i, name := range lists {
			l := s.listed[name]
			if image, ok := l.tags[repository][tag]; ok {
				return name + " (" + image + ")"
			}
			if image, ok := l.whole[repository]; ok {
				return name + " (" + image + ")"
			}
			if d, ok := related[i][digest]; ok {
				return name + " (" + l.image[d] + ")"
			}
		}
		return ""
	}
}
