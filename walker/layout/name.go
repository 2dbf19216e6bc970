package layout

import "strings"

const (
	maxRepository = 255
	maxTag        = 128
)

// ValidRepository reports whether a registry accepts name as a repository: components of
// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* separated by slashes, at most 255 characters. If the
// first of several components can be a host, as in "Example.com/app", it may have
// upper-case letters and doesn't count. (Registries accept a port in it too, but can't
// store such a repository.)
func ValidRepository(name string) bool {
	if host, path, ok := strings.Cut(name, "/"); ok && validHost(host) {
		name = path
	}
	if len(name) > maxRepository {
		return false
	}
	for {
		component, rest, more := strings.Cut(name, "/")
		if !validComponent(component) {
			return false
		}
		if !more {
			return true
		}
		name = rest
	}
}

// validHost reports whether s consists of labels separated by dots; a label has letters,
// digits and, inside, dashes.
func validHost(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if prefixOf(label, func(c byte) bool { return isLetterOrDigit(c) || c == '-' }) < len(label) {
			return false
		}
	}
	return true
}

func validComponent(s string) bool {
	for {
		word := prefixOf(s, isLowerOrDigit)
		if s = s[word:]; word == 0 || s == "" {
			return word > 0
		}
		s = s[separator(s):]
	}
}

// separator returns the length of the separator at the start of s, which isn't empty; 0 for
// none.
func separator(s string) int {
	switch {
	case strings.HasPrefix(s, "__"):
		return 2
	case s[0] == '_', s[0] == '.':
		return 1
	}
	return prefixOf(s, func(c byte) bool { return c == '-' })
}

// ValidTag reports whether a registry accepts name as a tag:
// [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}.
func ValidTag(name string) bool {
	if name == "" || len(name) > maxTag || name[0] == '.' || name[0] == '-' {
		return false
	}
	return len(name) == prefixOf(name, func(c byte) bool {
		return isLetterOrDigit(c) || c == '_' || c == '.' || c == '-'
	})
}

// ValidUpload reports whether id is one that a registry gives to uploads: a UUID.
func ValidUpload(id string) bool { return isUUID(id) }

const uuidForm = "00000000-0000-0000-0000-000000000000"

func isUUID(s string) bool {
	if len(s) != len(uuidForm) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; uuidForm[i] == '-' && c != '-' || uuidForm[i] != '-' && nibbles[c] > 0xf {
			return false
		}
	}
	return true
}

// prefixOf returns how many bytes at the start of s are in the set.
func prefixOf(s string, in func(byte) bool) int {
	for i := range len(s) {
		if !in(s[i]) {
			return i
		}
	}
	return len(s)
}

func isLowerOrDigit(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func isLetterOrDigit(c byte) bool { return isLowerOrDigit(c) || 'A' <= c && c <= 'Z' }

// SubjectOf returns the subject of a referrers tag: the digest in a tag named sha256-<hex>,
// with any suffix. Such are the fallback tags of the OCI distribution specification, and
// cosign's (sha256-<hex>.sig and others).
func SubjectOf(tag string) (Digest, bool) {
	rest, ok := strings.CutPrefix(tag, sha256Name+"-")
	if !ok || len(rest) < 2*len(Digest{}) {
		return Digest{}, false
	}
	return ParseHex(rest[:2*len(Digest{})])
}
