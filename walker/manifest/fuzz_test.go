package manifest

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"regfsck/walker/layout"
)

// naive is how the registry would read references.
type naive struct {
	Config, Subject          *struct{ Digest string }
	Layers, Manifests, Blobs []struct{ Digest string }
	FSLayers                 []struct{ BlobSum string }
}

func (n naive) digests() (all []string) {
	for _, one := range []*struct{ Digest string }{n.Config, n.Subject} {
		if one != nil {
			all = append(all, one.Digest)
		}
	}
	for _, one := range slices.Concat(n.Layers, n.Manifests, n.Blobs) {
		all = append(all, one.Digest)
	}
	for _, one := range n.FSLayers {
		all = append(all, one.BlobSum)
	}
	return all
}

// FuzzManifest looks for a panic, for a disagreement over what is
// JSON, and for a reference that encoding/json finds and Parse doesn't.
func FuzzManifest(f *testing.F) {
	for _, form := range forms {
		f.Add([]byte(form.body))
	}
	f.Add([]byte(`{"layer\u017f":[{"DIGEST":"` + dg("l") + `","size":-1.5e+3,"urls":[null,true,false,"\ud800\n\/"]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := scanner{body: body}
		s.skip()
		s.end()
		if taken := s.err == nil; taken != json.Valid(body) && !errors.Is(s.err, ErrTooDeep) {
			t.Fatalf("%q is JSON: %v; the scanner says: %v", body, json.Valid(body), s.err)
		}
		m, err := Parse(body, nil)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("%q is no JSON and gives %+v", body, m)
		}
		found := map[string]bool{}
		for _, ref := range m.Refs {
			if text := ref.Other; text != "" {
				found[text] = true
			} else {
				found[ref.Digest.String()] = true
			}
		}
		var n naive
		if json.Unmarshal(body, &n) != nil {
			return
		}
		for _, digest := range n.digests() {
			if _, _, is := layout.SplitDigest(digest); is && !found[digest] {
				t.Errorf("%q refers to %q, and Parse says %+v", body, digest, m)
			}
		}
	})
}
