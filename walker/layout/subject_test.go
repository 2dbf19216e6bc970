package layout

import (
	"strings"
	"testing"
)

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
