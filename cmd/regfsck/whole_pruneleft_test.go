package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// leaver finds the files of a store that are of use once the verdicts are done.
type leaver struct {
	b    *fixtures.Builder
	repo string
	tags map[string]string // by name: what it means
	met  map[string]bool   // manifests that stay in the repository
	keys map[string]bool
}

// leftOf returns the keys that stay.
func leftOf(b *fixtures.Builder, verdicts []verdict) map[string]bool {
	keys, goes := map[string]bool{}, map[string]bool{}
	for _, v := range verdicts {
		if !v.Keep && v.Subject == "" {
			goes[v.Repository+":"+v.Tag+"@"+v.Digest] = true
		}
	}
	for _, repo := range []string{"app", "app/sub", "web"} {
		before := &leaver{b, repo, map[string]string{}, map[string]bool{}, map[string]bool{}}
		for _, key := range b.Keys() {
			rest, ok := strings.CutPrefix(key, strings.TrimSuffix(layout.TagKey(repo, "x"), "x"))
			if tag, current := strings.CutSuffix(rest, "/current/link"); ok && current {
				before.tags[tag] = before.read(key)
			}
		}
		after := &leaver{b, repo, before.tags, map[string]bool{}, keys}
		for tag, target := range before.tags {
			before.manifest(target)
			if !about(tag) && !goes[repo+":"+tag+"@"+target] {
				after.keys[layout.CurrentKey(repo, tag)] = true
				after.manifest(target)
			}
		}
		for _, d := range before.revisions() {
			if !before.met[d] && !goes[repo+":@"+d] {
				after.manifest(d)
			}
		}
		after.histories()
	}
	return keys
}

func about(tag string) bool { return strings.HasPrefix(tag, "sha256-") }

func (l *leaver) read(key string) string {
	f, _ := l.b.File(key)
	return string(f.Body)
}

// revisions are the digests of the manifests that the repository has.
func (l *leaver) revisions() (digests []string) {
	for _, key := range l.b.Keys() {
		if strings.HasPrefix(key, "docker/registry/v2/repositories/"+l.repo+"/_manifests/revisions/") {
			digests = append(digests, l.read(key))
		}
	}
	return digests
}

// key returns the key of something of a digest.
func key(digest string, of func(layout.Digest) string) string {
	d, ok := layout.ParseDigest(digest)
	if !ok {
		panic(fmt.Sprintf("no digest: %q", digest))
	}
	return of(d)
}

// manifest keeps a manifest that the repository has, and all that goes with it.
func (l *leaver) manifest(digest string) {
	link := key(digest, func(d layout.Digest) string { return layout.RevisionKey(l.repo, d) })
	if l.met[digest] || l.read(link) == "" {
		return
	}
	l.met[digest], l.keys[link], l.keys[key(digest, layout.BlobKey)] = true, true, true
	for field, refs := range l.refs(digest) {
		for _, ref := range refs {
			switch field {
			case "manifests":
				l.manifest(ref)
			case "config", "layers":
				l.keys[key(ref, layout.BlobKey)] = true
				l.keys[key(ref, func(d layout.Digest) string { return layout.LayerKey(l.repo, d) })] = true
			}
		}
	}
	for _, other := range l.revisions() {
		if slices.Contains(l.refs(other)["subject"], digest) {
			l.manifest(other)
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(l.tags)) {
		if strings.HasPrefix(tag, strings.Replace(digest, ":", "-", 1)) {
			l.keys[layout.CurrentKey(l.repo, tag)] = true
			l.manifest(l.tags[tag])
		}
	}
}

// refs are the digests that a manifest names, by field.
func (l *leaver) refs(digest string) map[string][]string {
	type named struct{ Digest string }
	var doc struct {
		Config, Subject   *named
		Layers, Manifests []named
	}
	if err := json.Unmarshal([]byte(l.read(key(digest, layout.BlobKey))), &doc); err != nil {
		panic(err)
	}
	refs := map[string][]string{}
	add := func(field string, all ...named) {
		for _, n := range all {
			refs[field] = append(refs[field], n.Digest)
		}
	}
	add("layers", doc.Layers...)
	add("manifests", doc.Manifests...)
	if doc.Config != nil {
		add("config", *doc.Config)
	}
	if doc.Subject != nil {
		add("subject", *doc.Subject)
	}
	return refs
}

// histories keeps what the histories of the tags that stay say of manifests that do.
func (l *leaver) histories() {
	for tag := range l.tags {
		if !l.keys[layout.CurrentKey(l.repo, tag)] {
			continue
		}
		for digest := range l.met {
			entry := key(digest, func(d layout.Digest) string { return layout.HistoryKey(l.repo, tag, d) })
			if l.read(entry) != "" {
				l.keys[entry] = true
			}
		}
	}
}
