package layout

import (
	"regexp"
	"strings"
	"testing"
)

func TestValidRepository(t *testing.T) {
	long := strings.Repeat("a", maxRepository)
	for name, want := range map[string]bool{
		"a": true, "a/b/c": true, "0": true, "a.b": true, "a_b": true, "a__b": true, "a-b": true, "a---b": true, "a-b_c.d": true,
		"": false, "/": false, "a/": false, "/a": false, "a//b": false, "A": false, "a/B": false, "_a": false, "a_": false,
		"a-": false, "-a": false, "a..b": false, "a___b": false, "a._b": false, "a.-b": false, "a/_b": false, "a b": false,
		"a\n": false, "a/b\x00": false, "\u00e9": false, "a/.": false, "a/..": false, "..": false,
		"Foo/bar": true, "Foo.com/bar": true, "x.Y-z/b": true, "A--b/c": true, "foo-/bar": false, "-a/b": false, "A..b/c": false,
		"A_b/c": false, "localhost:5000/bar": false, "[::1]/bar": false, "Foo": false, "Foo/Bar": false, "Foo/": false,
		long: true, long + "a": false, "host/" + long: true, "host/" + long + "a": false,
		"a_b/" + long[4:]: true, "a_b/" + long[3:]: false,
	} {
		if got := ValidRepository(name); got != want {
			t.Errorf("ValidRepository(%q) = %v", name, got)
		}
	}
}

func TestValidTag(t *testing.T) {
	for name, want := range map[string]bool{
		"latest": true, "index": true, "current": true, "_": true, "A.b-c_1": true, "1": true, strings.Repeat("a", 128): true,
		"": false, ".a": false, "-a": false, "a/b": false, "a b": false, "a\n": false, "\u00e9": false, "a:b": false, strings.Repeat("a", 129): false,
	} {
		if got := ValidTag(name); got != want {
			t.Errorf("ValidTag(%q) = %v", name, got)
		}
	}
}

// FuzzNames compares the hand-written grammars with the expressions that the
// registry's specification gives.
func FuzzNames(f *testing.F) {
	component := `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`
	label := `(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])`
	repository := regexp.MustCompile(`^(?:` + label + `(?:\.` + label + `)*/)?(` + component + `(?:/` + component + `)*)$`)
	tag := regexp.MustCompile(`^\w[\w.-]{0,127}$`)
	for _, name := range []string{"a", "a__b/c-d", "Foo.com/bar", "a-/b", "A-.b/c", "_", ".", strings.Repeat("a/", 128)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		match := repository.FindStringSubmatch(name)
		if got, want := ValidRepository(name), match != nil && len(match[1]) <= maxRepository; got != want {
			t.Errorf("ValidRepository(%q) = %v, want %v", name, got, want)
		}
		if got, want := ValidTag(name), tag.MatchString(name); got != want {
			t.Errorf("ValidTag(%q) = %v, want %v", name, got, want)
		}
	})
}

func TestSubjectOf(t *testing.T) {
	for tag, want := range map[string]bool{
		"sha256-" + emptyHex:                  true,
		"sha256-" + emptyHex + ".sig":         true,
		"sha256-" + emptyHex + "0":            true,
		"sha256-" + emptyHex[1:]:              false,
		"sha256-" + strings.ToUpper(emptyHex): false,
		"sha256-g" + emptyHex[1:]:             false,
		"sha256:" + emptyHex:                  false,
		"sha512-" + emptyHex:                  false,
		"x-sha256-" + emptyHex:                false,
		"sha256-":                             false,
		"latest":                              false,
		"":                                    false,
	} {
		d, ok := SubjectOf(tag)
		if ok != want || ok && d != Empty || !ok && d != (Digest{}) {
			t.Errorf("SubjectOf(%q) = %v, %v", tag, d, ok)
		}
	}
}
