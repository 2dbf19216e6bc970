package graph

import (
	"slices"
	"strings"
)

// oracle says what must survive, and in generous mode also what may for
// caution. Whatever is in neither has to be called garbage. The two differ in
// one point alone: where a layer link holds another blob than its path says, a
// check need not know whether that is a manifest.
type oracle struct {
	*oracleStore
	untagged, generous bool
	blobs              map[string]bool // kept, by digest
	links              map[string]bool // kept, by key
	removal            *Removal
	freed              map[string]bool      // digests that what goes used
	served             map[string]string    // of a removal: named manifests that stay
	cuts               map[string]oracleCut // of a removal, by repository
}

// oracleKeep is what is kept in one repository.
type oracleKeep struct {
	*oracle
	r        *oracleRepo
	pinned   bool
	byLayers map[string]bool // manifests of which the repository has a layer link alone
	cut      oracleCut
	served   map[string]bool // manifests that the repository has, or can have again
	aside    map[string]bool // manifests that a kept index names and that it hasn't got
	wanted   map[string]bool // what those refer to
}

func (o *oracle) run() {
	o.blobs, o.links, o.freed = map[string]bool{}, map[string]bool{}, map[string]bool{}
	o.served, o.cuts = map[string]string{}, map[string]oracleCut{}
	for _, r := range o.repos {
		if o.takesAll(r) {
			continue
		}
		k := &oracleKeep{
			oracle: o, r: r, pinned: r.badlyNamed(), byLayers: o.manifestsByLayer(r),
			served: map[string]bool{}, aside: map[string]bool{}, wanted: map[string]bool{},
		}
		k.cut = k.cutOf()
		o.cuts[r.name] = k.cut
		certain := k.tags()
		k.contents()
		for size := -1; size != k.size(); { // until nothing new is found
			size = k.size()
			k.revisions(certain)
			k.byLayer(certain)
			k.tied()
			for digest := range k.served {
				k.follow(digest, true)
			}
			for digest := range k.aside {
				k.follow(digest, false)
			}
		}
		k.collect()
	}
	for digest := range o.oracleStore.blobs {
		if o.young[digest] && !o.freed[digest] {
			o.blobs[digest] = true
		}
	}
}

// size grows with whatever else is kept.
func (k *oracleKeep) size() int {
	size := len(k.served) + len(k.aside) + len(k.wanted)
	if k.pinned {
		size++
	}
	return size
}

// root serves a manifest that a tag or a link means. What is broken pins.
func (k *oracleKeep) root(digest string) {
	k.served[digest] = true
	state := k.manifest(digest).state
	k.pinned = k.pinned || state == "corrupt" || state == "unparsable"
}

// here serves a manifest that the repository has a link to, and keeps any other.
func (k *oracleKeep) here(digest string) {
	k.aside[digest] = true
	if _, ok := k.r.revisions[digest]; ok {
		k.root(digest)
	}
}

// strays reports whether nothing of the repository says that what a tag means was
// pushed to it.
func (k *oracleKeep) strays(t *oracleTag) bool {
	_, revision := k.r.revisions[t.target]
	_, layer := k.r.layers[t.target]
	_, entry := t.history[t.target]
	switch k.manifest(t.target).state {
	case "good":
		return !revision && !entry && !layer && !k.proven(t.target)
	case "missing":
		return !revision && !entry && len(t.history) > 0
	}
	return !revision && !entry
}

// tags serves what they mean, or may mean. It reports whether all are certain.
func (k *oracleKeep) tags() (certain bool) {
	certain = true
	for name, t := range k.r.tags {
		if k.cut.tags[name] || k.cut.subject[name] != "" {
			continue
		}
		if t.target != "" && k.strays(t) {
			k.pinned, k.aside[t.target] = true, true
			for digest := range t.history {
				k.here(digest)
			}
			continue
		}
		if t.target != "" {
			k.root(t.target)
			continue
		}
		certain = false
		for digest := range t.history {
			k.root(digest)
		}
	}
	return certain
}

// contents keeps what links hold that isn't what their paths say.
func (k *oracleKeep) contents() {
	manifest := func(digest string, link oracleLink) {
		if link.target != "" && link.target != digest {
			k.wanted[link.target] = true
			k.here(link.target)
			state := k.manifest(link.target).state
			k.pinned = k.pinned || state == "corrupt" || state == "unparsable"
		}
	}
	for _, t := range k.r.tags {
		for digest, link := range t.history {
			manifest(digest, link)
		}
	}
	for digest, link := range k.r.revisions {
		manifest(digest, link)
	}
	for digest, link := range k.r.layers {
		switch {
		case k.r.alias(digest):
			k.pinned = k.pinned || link.target == ""
		case k.generous:
			manifest(digest, link)
		case link.target != "" && link.target != digest:
			k.wanted[link.target] = true
		}
	}
}

// foreign reports whether a digest is by another algorithm than sha256.
func foreign(digest string) bool { return !strings.HasPrefix(digest, "sha256:") }

// revisions serves those that are kept for themselves.
func (k *oracleKeep) revisions(certain bool) {
	for digest, link := range k.r.revisions {
		k.pinned = k.pinned || k.manifest(digest).state != "good" && (!k.cut.members[digest] || k.served[digest])
		if k.cut.members[digest] && !k.pinned && certain {
			continue
		}
		subject := k.manifest(digest).subject // nobody can say which one another algorithm's digest means
		if k.pinned || !certain || !k.clears() || link.young || k.young[digest] || subject != "" && foreign(subject) {
			k.served[digest] = true
		}
	}
}

// byLayer serves the manifests of which the repository has a layer link alone, as
// 2.1.0 wrote them, that are kept for themselves.
func (k *oracleKeep) byLayer(certain bool) {
	for digest := range k.byLayers {
		if k.cut.members[digest] && !k.pinned && certain {
			continue
		}
		subject := k.manifest(digest).subject
		link := k.r.layers[digest]
		if k.pinned || !certain || !k.clears() || link.young || k.young[digest] || subject != "" && foreign(subject) {
			k.served[digest] = true
		}
	}
	for digest := range k.byLayers {
		if k.served[digest] || k.aside[digest] {
			k.wanted[digest] = true
		}
	}
}

// manifestsByLayer are a repository's layer links that are a manifest's.
func (s *oracleStore) manifestsByLayer(r *oracleRepo) map[string]bool {
	cited, seen, todo := map[string]bool{}, map[string]bool{}, []string{}
	for digest := range r.revisions {
		todo = append(todo, digest)
	}
	for _, t := range r.tags {
		todo = append(todo, t.target)
	}
	for len(todo) > 0 {
		digest := todo[0]
		if todo = todo[1:]; seen[digest] {
			continue
		}
		seen[digest] = true
		m := s.manifest(digest)
		for _, d := range append(append(append([]string{}, m.blobs...), m.optional...), m.either...) {
			cited[d] = true
		}
		todo = append(append(todo, m.children...), m.either...)
	}
	found := map[string]bool{}
	for digest := range r.layers {
		_, revision := r.revisions[digest]
		m := s.manifest(digest)
		config := slices.Contains(append(m.blobs[:len(m.blobs):len(m.blobs)], m.optional...), "") // of an image or a build cache: no descriptors
		if !r.alias(digest) && !cited[digest] && !revision && m.state == "good" && !config {
			found[digest] = true
		}
	}
	return found
}

// collect says which blobs and links that makes.
func (k *oracleKeep) collect() {
	ripe := k.free()
	for digest, link := range k.r.layers {
		if k.r.alias(digest) && link.young && !ripe[digest] && !ripe[link.target] {
			k.wanted[link.target] = true
		}
	}
	for _, set := range []map[string]bool{k.served, k.aside, k.wanted} {
		for digest := range set {
			k.blobs[digest] = true
		}
	}
	for digest, link := range k.r.layers {
		alias := k.r.alias(digest)
		other := !alias && link.target != "" && link.target != digest
		if k.wanted[digest] || alias && k.wanted[link.target] || k.pinned || link.young && !ripe[digest] && !(alias && ripe[link.target]) || other {
			k.links[link.key], k.blobs[digest] = true, true
			if alias {
				k.blobs[link.target] = true
			}
		}
	}
	for digest, link := range k.r.revisions {
		k.links[link.key] = k.served[digest]
	}
	for name, t := range k.r.tags {
		if k.goes(name) {
			continue
		}
		odd := !oracleName.MatchString(k.r.name) || !oracleTagName.MatchString(name)
		for digest, link := range t.history {
			if odd || t.target == "" || k.strays(t) || t.target == digest || k.served[digest] || link.young && !k.cut.members[digest] {
				k.links[link.key], k.blobs[digest] = true, true
			}
		}
	}
}
