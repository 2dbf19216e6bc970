package gc

import (
	"regfsck/graph/retain"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// readExpiry reads the expiry of images, if a rule needs it. An index without one has the
// latest expiry of its images; images without one, and those that can't be read, never
// expire.
func (s *selection) readExpiry() error {
	var of []*retain.Tag
	var digests []string
	for _, g := range s.repositories {
		for i := range g.tags {
			if t := &g.tags[i]; g.rules.Expiry && t.Digest != (layout.Digest{}) {
				of, digests = append(of, t), append(digests, t.Digest.String())
			}
		}
	}
	said, children, err := s.expiries(digests)
	if err != nil {
		return err
	}
	var all []string
	for i := range of {
		all = append(all, children[i]...)
	}
	ofChildren, deeper, err := s.expiries(all)
	if err != nil {
		return err
	}
	for i, t := range of {
		if t.Expires = said[i]; children[i] == nil {
			continue
		}
		silent := false
		for range children[i] {
			silent = silent || ofChildren[0] == nil || deeper[0] != nil
			t.Expires = append(t.Expires, ofChildren[0]...)
			ofChildren, deeper = ofChildren[1:], deeper[1:]
		}
		if silent {
			t.Expires = nil
		}
	}
	return nil
}

// expiries returns the expiries of manifests, by annotation or by the label of their config,
// and the children of indexes without one.
func (s *selection) expiries(digests []string) (said, children [][]string, err error) {
	said, children = make([][]string, len(digests)), make([][]string, len(digests))
	manifests, err := s.scan.Describe(s.ctx, digests)
	if err != nil {
		return nil, nil, err
	}
	configs := make([]string, len(digests))
	for i, m := range manifests {
		if m.State != walker.ManifestGood {
			continue
		}
		configs[i] = m.Config
		switch {
		case m.ExpiresAfter != "":
			said[i] = append(said[i], m.ExpiresAfter)
		case m.Kind == manifest.Index:
			for _, e := range m.Entries {
				if !e.Attestation {
					children[i] = append(children[i], e.Digest)
				}
			}
		}
	}
	labels, err := s.scan.Configs(s.ctx, configs)
	if err != nil {
		return nil, nil, err
	}
	for i, c := range labels {
		if c.State == walker.ManifestGood && c.ExpiresAfter != "" {
			said[i] = append(said[i], c.ExpiresAfter)
		}
	}
	return said, children, nil
}
