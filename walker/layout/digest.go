package layout

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"strings"
)

const (
	sha256Name   = "sha256"
	sha256Prefix = sha256Name + ":"
)

// Digest is a sha256 digest as a comparable value. Its zero value is a possible digest.
type Digest [sha256.Size]byte

// Empty is the digest of the empty string.
var Empty = Sum(nil)

// Sum returns the digest of b.
func Sum(b []byte) Digest { return sha256.Sum256(b) }

// ParseDigest accepts exactly "sha256:" and 64 lower-case hex digits.
func ParseDigest(s string) (Digest, bool) {
	if !strings.HasPrefix(s, sha256Prefix) {
		return Digest{}, false
	}
	return ParseHex(s[len(sha256Prefix):])
}

// nibbles has the value of each lower-case hex digit, and 0xff for other bytes.
var nibbles = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for v, c := range []byte("0123456789abcdef") {
		t[c] = byte(v)
	}
	return t
}()

// ParseHex accepts exactly 64 lower-case hex digits.
func ParseHex[T string | []byte](s T) (d Digest, ok bool) {
	if len(s) != 2*len(d) {
		return Digest{}, false
	}
	var bad byte
	for i := range d {
		high, low := nibbles[s[2*i]], nibbles[s[2*i+1]]
		bad |= high | low
		d[i] = high<<4 | low
	}
	if bad > 0xf {
		return Digest{}, false
	}
	return d, true
}

// String returns "sha256:" and 64 lower-case hex digits.
func (d Digest) String() string {
	var buf [len(sha256Prefix) + 2*sha256.Size]byte
	return string(d.AppendHex(append(buf[:0], sha256Prefix...)))
}

// Hex returns 64 lower-case hex digits.
func (d Digest) Hex() string {
	var buf [2 * sha256.Size]byte
	return string(d.AppendHex(buf[:0]))
}

// AppendHex appends 64 lower-case hex digits to dst.
func (d Digest) AppendHex(dst []byte) []byte { return hex.AppendEncode(dst, d[:]) }

func encode(sum []byte) string { return hex.EncodeToString(sum) }

// Compare orders digests like their text forms.
func (d Digest) Compare(o Digest) int { return bytes.Compare(d[:], o[:]) }

// SplitDigest splits a digest "<alg>:<hex>" of any algorithm, as the OCI image
// specification defines it. The algorithm is [a-z0-9]+([+._-][a-z0-9]+)*. The hex is
// lower-case: 64, 96 and 128 digits for sha256, sha384 and sha512, at least 32 for other
// algorithms.
func SplitDigest(s string) (alg, hex string, ok bool) {
	alg, hex, ok = strings.Cut(s, ":")
	if !ok || !isAlgorithm(alg) || !isHexOf(alg, hex) {
		return "", "", false
	}
	return alg, hex, true
}

func isAlgorithm(s string) bool {
	separated := true
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			separated = false
		case separated, c != '+' && c != '.' && c != '_' && c != '-':
			return false
		default:
			separated = true
		}
	}
	return !separated
}

// isHexOf reports whether hex can be a digest of the algorithm alg.
func isHexOf(alg, hex string) bool {
	for i := range len(hex) {
		if nibbles[hex[i]] > 0xf {
			return false
		}
	}
	switch alg {
	case sha256Name:
		return len(hex) == 64
	case "sha384":
		return len(hex) == 96
	case "sha512":
		return len(hex) == 128
	}
	return len(hex) >= 32
}

// AnyDigest is a digest of any algorithm. It is comparable.
type AnyDigest struct {
	Digest Digest // zero if Other is set
	Other  string // the whole text if the algorithm isn't sha256, else ""
}

// hashes are the algorithms of blobs that registries serve.
var hashes = map[string]func() hash.Hash{
	sha256Name: sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

// KnownAlgorithm reports whether registries serve blobs of that algorithm, so that their
// bytes can be verified.
func KnownAlgorithm(alg string) bool { return hashes[alg] != nil }

// ParseAnyDigest accepts what SplitDigest accepts. It allocates nothing for a sha256
// digest.
func ParseAnyDigest[T string | []byte](text T) (AnyDigest, bool) {
	if len(text) == len(sha256Prefix)+2*sha256.Size && string(text[:len(sha256Prefix)]) == sha256Prefix {
		d, ok := ParseHex(text[len(sha256Prefix):])
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

// BlobKey returns the key of the blob.
func (a AnyDigest) BlobKey() string {
	if a.Other == "" {
		return BlobKey(a.Digest)
	}
	alg, hex, _ := strings.Cut(a.Other, ":")
	return Key{Kind: Blob, Algorithm: alg, Hex: hex}.String()
}

// Provable reports whether bytes can be verified by the digest.
func (a AnyDigest) Provable() bool {
	alg, _, _ := strings.Cut(a.Other, ":")
	return a.Other == "" || KnownAlgorithm(alg)
}

// Hash returns a new hash of the digest's algorithm; nil if the algorithm isn't known.
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

// Sums returns the digests of b by all algorithms of blobs that registries serve.
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

// IsSum reports whether the digest is that of the bytes written to h.
func (a AnyDigest) IsSum(h hash.Hash) bool {
	sum := h.Sum(nil)
	if a.Other == "" {
		return bytes.Equal(sum, a.Digest[:])
	}
	_, hex, _ := strings.Cut(a.Other, ":")
	return hex == encode(sum)
}
