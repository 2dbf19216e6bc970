package graph

// follow keeps what a manifest refers to, and what refers to it.
func (k *oracleKeep) follow(digest string, served bool) {
	m := k.manifest(digest)
	for _, d := range m.blobs {
		k.want(d, true)
	}
	for _, d := range m.optional {
		k.want(d, false)
	}
	for _, d := range m.children {
		k.child(d, served, true)
	}
	for _, d := range m.either {
		k.child(d, served, false)
	}
	for referrer := range k.byLayers {
		if k.manifest(referrer).subject == digest && !k.cut.named[referrer] {
			k.served[referrer] = true
		}
	}
	for referrer := range k.r.revisions {
		if k.manifest(referrer).subject == digest && !k.cut.named[referrer] {
			k.served[referrer] = true
		}
	}
}

// want keeps a blob, and what it is known by here. A digest that nothing here
// explains may be any of the repository's blobs.
func (k *oracleKeep) want(digest string, must bool) {
	k.wanted[digest] = true
	if !foreign(digest) {
		return
	}
	if link, ok := k.r.layers[digest]; ok {
		k.wanted[link.target] = true
	} else if must && !k.stored(digest) {
		k.pinned = true
	}
}

// stored reports whether there are bytes under a digest.
func (k *oracleKeep) stored(digest string) bool {
	_, ok := k.oracleStore.blobs[digest]
	return ok
}

// child keeps an index's entry: typed if its type says that it is a manifest,
// served if the repository has the index.
func (k *oracleKeep) child(digest string, served, typed bool) {
	state := k.manifest(digest).state
	broken := state == "corrupt" || state == "unparsable" && typed
	_, isBlob := k.r.layers[digest]
	_, isRevision := k.r.revisions[digest]
	if foreign(digest) && !isRevision && (k.r.alias(digest) || !isBlob && !k.stored(digest)) { // what it stands for may be a manifest
		k.want(digest, true)
		if alias := k.r.layers[digest]; alias.target != "" {
			k.aside[alias.target] = true
			k.pinned = k.pinned || k.manifest(alias.target).state == "corrupt"
		}
		return
	}
	if isRevision {
		k.served[digest] = true
	}
	if !served || isBlob && !typed || state == "unparsable" && !typed {
		k.wanted[digest] = true
	}
	switch {
	case !served:
		k.aside[digest] = true
	case isRevision:
	case isBlob && !typed:
		k.aside[digest] = true
	case state == "unparsable" && !typed:
	case k.proven(digest):
		k.served[digest] = true
	default:
		k.aside[digest] = true
	}
	k.pinned = k.pinned || broken
}

// proven reports whether the repository links all that a manifest needs.
func (k *oracleKeep) proven(digest string) bool {
	m := k.manifest(digest)
	own := len(m.children) + len(m.either)
	for _, d := range m.blobs {
		if _, ok := k.r.layers[d]; !ok {
			return false
		}
		if foreign(d) {
			d = k.r.layers[d].target
		}
		if f := k.oracleStore.blobs[d]; len(f.Body) > 2 { // else everybody has it
			own++
		}
	}
	for _, d := range append(append([]string{}, m.children...), m.either...) {
		_, isBlob := k.r.layers[d]
		_, isRevision := k.r.revisions[d]
		if !isBlob && !isRevision && !k.proven(d) {
			return false
		}
	}
	return own > 0
}
