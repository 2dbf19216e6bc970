package main

import (
	"context"
	"slices"
	"strings"

	"regfsck/graph"
	"regfsck/report"
	"regfsck/walker"
	"regfsck/walker/manifest"
)

// readConfigs reads when the images of the rows were created, and for what.
func (l *listing) readConfigs(ctx context.Context, rows []report.TagRow) error {
	digests := make([]string, len(rows))
	for i := range rows {
		digests[i] = rows[i].Config
	}
	configs, err := l.Result.Scan.Configs(ctx, digests)
	for i, c := range configs {
		rows[i].Created, rows[i].Platforms = c.Created, nil
		if p := c.Platform(); p != "" {
			rows[i].Platforms = []string{p}
		}
	}
	return err
}

// readRows reads what the rows show of their manifests, and of what is about them.
func (l *listing) readRows(ctx context.Context, rows []report.TagRow) error {
	var digests []string
	for i := range rows {
		digests = append(digests, rows[i].Digest)
		for _, about := range rows[i].Referrers {
			digests = append(digests, about.Digest)
		}
	}
	all, err := l.Result.Scan.Describe(ctx, digests)
	for i := range rows {
		r := &rows[i]
		d := all[0]
		r.Form, r.ArtifactType = d.Form, d.ArtifactType
		if d.Form == manifest.FormIndex {
			r.Platforms = platforms(d)
		}
		for at, about := range r.Referrers {
			if all[1+at].Form == manifest.FormSignature || strings.HasSuffix(about.Tag, ".sig") {
				r.Signatures++
			} else {
				r.Others++
			}
		}
		all = all[1+len(r.Referrers):]
	}
	return err
}

// platforms returns those that an index names, each once, in its order.
func platforms(d walker.Details) (all []string) {
	for _, e := range d.Entries {
		if e.Platform != "" && !e.Attestation && !slices.Contains(all, e.Platform) {
			all = append(all, e.Platform)
		}
	}
	return all
}

// words says what the manifests of a tree stand for. top are the platforms of the
// one at its top.
func (l *listing) words(ctx context.Context, tree *graph.Node, top []string) (map[string]string, error) {
	var digests []string
	collect(tree, &digests)
	all, err := l.Result.Scan.Describe(ctx, digests)
	if err != nil {
		return nil, err
	}
	platform := map[string]string{}
	if len(top) == 1 {
		platform[tree.Digest] = top[0]
	}
	for _, d := range all {
		for _, e := range d.Entries {
			platform[e.Digest] = e.Platform
		}
	}
	words := map[string]string{}
	for i, digest := range digests {
		word := string(all[i].Form)
		if all[i].Form == manifest.FormArtifact && all[i].ArtifactType != "" {
			word = all[i].ArtifactType
		}
		if all[i].Form == manifest.FormImage && platform[digest] != "" {
			word += " " + platform[digest]
		}
		words[digest] = word
	}
	return words, nil
}

// collect gathers the manifests of a tree.
func collect(n *graph.Node, digests *[]string) {
	if n.Role == graph.RoleManifest || n.Role == graph.RoleReferrer {
		*digests = append(*digests, n.Digest)
	}
	for i := range n.Children {
		collect(&n.Children[i], digests)
	}
}
