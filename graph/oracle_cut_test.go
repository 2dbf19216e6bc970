package graph

import (
	"regexp"
)

// oracleCut is what is to go of one repository, by digests and tags as text.
type oracleCut struct {
	tags    map[string]bool
	named   map[string]bool
	members map[string]bool   // what goes with them, themselves included, unless something leads there
	subject map[string]string // of a tag sha256-<hex>… that goes with a member: the member
}

var oracleSignature = regexp.MustCompile(`^sha256-([0-9a-f]{64})`)

// takesAll frees all that a repository links, if the whole of it goes.
func (o *oracle) takesAll(r *oracleRepo) bool {
	if o.removal == nil {
		return false
	}
	if _, whole := o.removal.Repositories[r.name]; !whole || r.badlyNamed() {
		return false
	}
	for digest, link := range r.revisions {
		o.frees(r, digest, map[string]bool{})
		o.freed[link.target] = true
	}
	for digest, link := range r.layers {
		o.freed[digest], o.freed[link.target] = true, true
	}
	for _, t := range r.tags {
		o.freed[t.target] = true
		for digest, link := range t.history {
			o.freed[digest], o.freed[link.target] = true, true
		}
	}
	return true
}

// frees notes a manifest that goes and what it refers to.
func (o *oracle) frees(r *oracleRepo, digest string, ripe map[string]bool) {
	o.freed[digest] = true
	link, linked := r.revisions[digest]
	young := link.young || o.young[digest] || !linked
	m := o.manifest(digest)
	for _, list := range [][]string{m.blobs, m.optional, m.children, m.either} {
		for _, d := range list {
			for _, d := range []string{d, r.layers[d].target} {
				o.freed[d] = true
				ripe[d] = ripe[d] || young
			}
		}
	}
}

// cutOf collects what goes until nothing new comes up.
func (k *oracleKeep) cutOf() oracleCut {
	c := oracleCut{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]string{}}
	if k.removal == nil {
		return c
	}
	for tag := range k.removal.Tags[k.r.name] {
		t := k.r.tags[tag]
		if t == nil || !oracleName.MatchString(k.r.name) || !oracleTagName.MatchString(tag) {
			continue
		}
		c.tags[tag] = true
		if t.target != "" {
			c.members[t.target] = true
		}
	}
	for d := range k.removal.Manifests[k.r.name] {
		if _, ok := k.r.revisions[d]; ok {
			c.named[d], c.members[d] = true, true
		}
	}
	if k.removal.TagsOnly {
		c.members = map[string]bool{}
		return c
	}
	for size := -1; size != len(c.members); {
		size = len(c.members)
		for digest := range k.r.revisions {
			for member := range c.members {
				if k.goesWith(digest, member) {
					c.members[digest] = true
				}
			}
		}
		for name, t := range k.r.tags {
			m := oracleSignature.FindStringSubmatch(name)
			if m != nil && c.members["sha256:"+m[1]] && !c.tags[name] && t.target != "" && oracleTagName.MatchString(name) {
				c.subject[name], c.members[t.target] = "sha256:"+m[1], true
			}
		}
	}
	return c
}

// goesWith reports whether a manifest is a child of another, or about it.
func (k *oracleKeep) goesWith(digest, member string) bool {
	if k.manifest(digest).subject == member {
		return true
	}
	m := k.manifest(member)
	for _, child := range append(append([]string{}, m.children...), m.either...) {
		if child == digest {
			return true
		}
	}
	return false
}

// tied serves what the tags of a member mean that stays, and all where something
// pins.
func (k *oracleKeep) tied() {
	for tag, subject := range k.cut.subject {
		if k.served[subject] || k.aside[subject] {
			k.root(k.r.tags[tag].target)
		}
	}
	if !k.pinned && !(k.removal != nil && k.removal.TagsOnly) {
		return
	}
	for member := range k.cut.members {
		k.root(member)
	}
	for tag := range k.cut.tags {
		if target := k.r.tags[tag].target; target != "" {
			k.root(target)
		}
		if k.removal.TagsOnly {
			for digest := range k.r.tags[tag].history {
				k.wanted[digest] = true
			}
		}
	}
}

// goes reports whether a tag goes.
func (k *oracleKeep) goes(tag string) bool {
	subject := k.cut.subject[tag]
	return k.cut.tags[tag] || subject != "" && !k.served[subject]
}

// clears reports whether manifests go to which no tag leads.
func (k *oracleKeep) clears() bool {
	return k.untagged && (k.removal == nil || k.removal.names(k.r.name))
}

// free notes what the manifests used that go, and returns the blobs whose young
// links in the repository are theirs.
func (k *oracleKeep) free() (ripe map[string]bool) {
	ripe = map[string]bool{}
	for member := range k.cut.members {
		if !k.served[member] {
			k.frees(k.r, member, ripe)
		}
	}
	for digest := range k.cut.named {
		if k.served[digest] {
			k.oracle.served[k.r.name+"@"+digest] = digest
		}
	}
	return ripe
}
