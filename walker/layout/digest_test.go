package layout

import (
	"cmp"
	"strings"
	"testing"
)

const emptyHex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestDigestRoundTrip(t *testing.T) {
	d, ok := ParseDigest("sha256:" + emptyHex)
	if !ok || d != Empty || d.Hex() != emptyHex || d.String() != "sha256:"+emptyHex {
		t.Errorf("the empty string's digest is %v, %v", d, ok)
	}
	if got, ok := ParseHex(emptyHex); !ok || got != Empty {
		t.Errorf("ParseHex gives %v, %v", got, ok)
	}
	if got := string(d.AppendHex([]byte("x"))); got != "x"+emptyHex {
		t.Errorf("AppendHex gives %q", got)
	}
}

func TestParseDigestIsExact(t *testing.T) {
	for _, s := range []string{
		"", "sha256", "sha256:", emptyHex, "sha256:" + emptyHex + "\n", " sha256:" + emptyHex, "sha256:" + emptyHex[1:],
		"SHA256:" + emptyHex, "sha256:" + strings.ToUpper(emptyHex), "sha512:" + emptyHex, "sha256:" + emptyHex + "0",
		"sha256:" + emptyHex[:63] + "g", "sha256:g" + emptyHex[1:], "sha256:" + emptyHex[:62] + "\u00e9", "sha256-" + emptyHex,
	} {
		if d, ok := ParseDigest(s); ok || d != (Digest{}) {
			t.Errorf("ParseDigest(%q) = %v, %v", s, d, ok)
		}
		if d, _ := ParseAnyDigest([]byte(s)); d.Digest != (Digest{}) {
			t.Errorf("ParseAnyDigest(%q) = %v", s, d)
		}
	}
	if d, ok := ParseAnyDigest([]byte("sha256:" + emptyHex)); !ok || d != (AnyDigest{Digest: Empty}) {
		t.Errorf("ParseAnyDigest gives %v, %v", d, ok)
	}
}

func TestSplitDigest(t *testing.T) {
	hex32, hex64 := strings.Repeat("0a", 16), strings.Repeat("0a", 32)
	for s, want := range map[string]bool{
		"sha256:" + hex64:             true,
		"sha256:" + hex32:             false,
		"sha384:" + hex64 + hex32:     true,
		"sha384:" + hex64:             false,
		"sha512:" + hex64 + hex64:     true,
		"sha512:" + hex64:             false,
		"blake3:" + hex64:             true,
		"md5:" + hex32:                true,
		"md5:" + hex32[1:]:            false,
		"a+b.c_d-e:" + hex32:          true,
		"a++b:" + hex32:               false,
		"+a:" + hex32:                 false,
		"a-:" + hex32:                 false,
		"A:" + hex32:                  false,
		":" + hex32:                   false,
		"x:" + strings.ToUpper(hex32): false,
		"x:" + hex32 + ":":            false,
		"tarsum.v1+sha256:" + hex64:   true,
		"x" + hex64:                   false,
		"":                            false,
	} {
		alg, hex, ok := SplitDigest(s)
		if ok != want || ok && alg+":"+hex != s || !ok && alg+hex != "" {
			t.Errorf("SplitDigest(%q) = %q, %q, %v", s, alg, hex, ok)
		}
	}
}

func TestCompareIsTheOrderOfTheText(t *testing.T) {
	for _, a := range []string{"a", "b", ""} {
		for _, b := range []string{"a", "b", ""} {
			x, y := Sum([]byte(a)), Sum([]byte(b))
			if got, want := x.Compare(y), cmp.Compare(x.String(), y.String()); got != want {
				t.Errorf("%v against %v is %d, want %d", x, y, got, want)
			}
		}
	}
}
