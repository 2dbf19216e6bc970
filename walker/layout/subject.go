package layout

import "strings"

// SubjectOf returns the digest that a tag is about whose name is sha256-<hex>,
// with anything behind it: the fallback tags of the OCI distribution
// specification, and cosign's (sha256-<hex>.sig and its like).
func SubjectOf(tag string) (Digest, bool) {
	rest, ok := strings.CutPrefix(tag, sha256Name+"-")
	if !ok || len(rest) < 2*len(Digest{}) {
		return Digest{}, false
	}
	return decode(rest[:2*len(Digest{})])
}
