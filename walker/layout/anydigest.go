package layout

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"
)

// AnyDigest is a digest by any algorithm. It is comparable.
type AnyDigest struct {
	Digest Digest // zero if Other is set
	Other  string // the whole text if the algorithm isn't sha256, else ""
}

// hashes are the algorithms by which registries serve what they store.
var hashes = map[string]func() hash.Hash{
	sha256Name: sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

// KnownAlgorithm reports whether a registry serves what is stored by that
// algorithm, so that bytes can be proven by it.
func KnownAlgorithm(alg string) bool { return hashes[alg] != nil }

// ParseAnyDigest accepts what SplitDigest does. It allocates nothing for a
// sha256 digest.
func ParseAnyDigest[T string | []byte](text T) (AnyDigest, bool) {
	if len(text) == len(sha256Prefix)+2*sha256.Size && string(text[:len(sha256Prefix)]) == sha256Prefix {
		d, ok := decode(text[len(sha256Prefix):])
		return AnyDigest{Digest: d}, ok
	}
	if _, _, ok := SplitDigest(string(text)); !ok {
		return AnyDigest{}, false
	}
	return AnyDigest{Other: string(text)}, true
}

// String returns "<algorithm>:<hex>".
func (a AnyDigest) String() string {
	if a.Other != "" {
		return a.Other
	}
	return a.Digest.String()
}

// BlobKey returns the key of the bytes.
func (a AnyDigest) BlobKey() string {
	if a.Other == "" {
		return BlobKey(a.Digest)
	}
	alg, hex, _ := strings.Cut(a.Other, ":")
	return Key{Kind: Blob, Algorithm: alg, Hex: hex}.String()
}

// Provable reports whether bytes can be held against the digest.
func (a AnyDigest) Provable() bool {
	alg, _, _ := strings.Cut(a.Other, ":")
	return a.Other == "" || KnownAlgorithm(alg)
}

// Hash returns a new hash of the digest's algorithm; nil if that isn't known.
func (a AnyDigest) Hash() hash.Hash {
	if a.Other == "" {
		return sha256.New()
	}
	alg, _, _ := strings.Cut(a.Other, ":")
	if start := hashes[alg]; start != nil {
		return start()
	}
	return nil
}

// Sums returns the digests of b by all algorithms by which registries serve what
// they store.
func Sums(b []byte) []AnyDigest {
	all := []AnyDigest{{Digest: Sum(b)}}
	for name, start := range hashes {
		if name != sha256Name {
			h := start()
			h.Write(b)
			all = append(all, AnyDigest{Other: name + ":" + encode(h.Sum(nil))})
		}
	}
	return all
}

// Proves reports whether b hashes to the digest.
func (a AnyDigest) Proves(b []byte) bool {
	if a.Other == "" {
		return Sum(b) == a.Digest
	}
	h := a.Hash()
	if h == nil {
		return false
	}
	h.Write(b)
	return a.IsSum(h)
}

// IsSum reports whether the digest is that of the bytes which h has taken in.
func (a AnyDigest) IsSum(h hash.Hash) bool {
	sum := h.Sum(nil)
	if a.Other == "" {
		return bytes.Equal(sum, a.Digest[:])
	}
	_, hex, _ := strings.Cut(a.Other, ":")
	return hex == encode(sum)
}
