package manifest

import (
	"encoding/json"

	"regfsck/walker/layout"
)

// MaxInline is how many bytes of a blob are taken from a descriptor at most.
const MaxInline = 1 << 20

// Inline is a blob of which a manifest carries the bytes.
type Inline struct {
	Digest layout.AnyDigest
	Data   []byte
}

// InlineData returns the blobs whose bytes the descriptors of a manifest carry as
// their data (OCI 1.1). Each is proven: as long as its descriptor states, and
// hashing to its digest.
func InlineData(body []byte) (all []Inline) {
	type descriptor struct {
		Digest string
		Size   int64
		Data   []byte
	}
	var m struct {
		Config                   descriptor
		Layers, Manifests, Blobs []descriptor
	}
	if json.Unmarshal(body, &m) != nil {
		return nil
	}
	for _, list := range [][]descriptor{{m.Config}, m.Layers, m.Manifests, m.Blobs} {
		for _, d := range list {
			digest, ok := layout.ParseAnyDigest(d.Digest)
			if ok && d.Data != nil && int64(len(d.Data)) == d.Size && len(d.Data) <= MaxInline && digest.Proves(d.Data) {
				all = append(all, Inline{digest, d.Data})
			}
		}
	}
	return all
}
