package graph

import "regfsck/graph/finding"

// Removal says what is to go, whatever refers to it. Its texts are reasons, for
// people. What is named here and isn't in the store is passed over.
//
// With a tag goes the manifest that it means, with that its children in an
// index, whatever has it as its subject and the targets of its tags
// sha256-<hex>…: all of it that nothing leads to any more that stays. Roots are
// the other tags and the manifests that no tag led to before. A pin keeps all
// but the links of tags, unless what is broken is what goes.
type Removal struct {
	Repositories map[string]string            // whole repositories, whatever is in them
	Tags         map[string]map[string]string // by repository
	Manifests    map[string]map[string]string // by repository and digest, of any algorithm; what stays and needs one is a Denial
	TagsOnly     bool                         // the links of tags go, and nothing else

	// Planned are the keys that a plan of this removal takes away, and why; nil
	// while there is none. Of what is named exactly these go, where they still
	// may, and every other link stays and is a root.
	Planned map[string]finding.Kind
}

// Denial is why something can't go that was named.
type Denial struct {
	Ref string // "repo", "repo:tag" or "repo@sha256:…"
	Why string // a clause
}

// names reports whether anything of a repository is named.
func (r *Removal) names(repository string) bool {
	_, whole := r.Repositories[repository]
	return whole || len(r.Tags[repository])+len(r.Manifests[repository]) > 0
}

// untagged reports whether the manifests of the repository being judged go to which
// no tag leads. A removal asks for that where it names something.
func (j *judgement) untagged() bool {
	if r := j.Removal; j.Untagged && r != nil {
		return r.Planned == nil && r.names(j.r.name)
	}
	return j.Untagged
}

// fixed reports whether a link of the repository being judged stays whatever needs
// it: the policy keeps it, or there is a plan that doesn't take it away. Of a
// link that isn't a tag's the tag is 0.
func (j *judgement) fixed(p place) bool {
	s := spot{j.ri, p}
	if j.kept[s] {
		return true
	}
	_, goes := j.planned[s]
	return j.planned != nil && !goes
}

// fixedKey is fixed for what is no link.
func (j *judgement) fixedKey(key string) bool {
	if j.Keep[key] {
		return true
	}
	return j.planned != nil && !j.plans(key)
}
