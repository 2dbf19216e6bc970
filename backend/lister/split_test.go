package lister

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
)

// TestMiddle: a split is strictly between the ends, and is found if there is room for one.
func TestMiddle(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	name := func() string {
		b := make([]byte, r.IntN(12))
		for i := range b {
			b[i] = symbols[r.IntN(len(symbols))]
		}
		return "common/" + string(b)
	}
	for range 20_000 {
		low, high := name(), name()
		if low > high {
			low, high = high, low
		}
		if at := middle(low, high); at != "" && (at <= low || at >= high) {
			t.Fatalf("middle of %q and %q: %q", low, high, at)
		}
	}
	for _, pair := range [][2]string{{"a/x", "a/z"}, {"a/", "a0"}, {"a/library/x", "a/\x7f"}, {"v1.2/current", "v1.3"}} {
		if at := middle(pair[0], pair[1]); at == "" {
			t.Errorf("%q has no middle", pair)
		}
	}
	for _, pair := range [][2]string{{"a", "a"}, {"b", "a"}, {"\xff\xfe", "\xff\xff"}} {
		if at := middle(pair[0], pair[1]); at != "" {
			t.Errorf("middle of %q: %q", pair, at)
		}
	}
}

// TestDigestRange: the middle of a directory of digests halves the rest, in both layouts.
func TestDigestRange(t *testing.T) {
	for store, keys := range map[string][]string{"blobs": fixtures.BlobKeys(50_000), "giant": fixtures.RepositoryKeys("library/giant", 50_000, 0, fixtures.NumberedTag)} {
		slices.Sort(keys)
		var objects []Object
		for _, key := range keys[5000:6000] {
			objects = append(objects, Object{Key: []byte(key)})
		}
		h := findDigestRange(objects)
		if h == nil {
			t.Fatalf("%s: no directory of digests", store)
		}
		pos := keys[5999]
		left := float64(len(keys) - 6000)
		if got := h.left(pos, ""); got < left*0.8 || got > left*1.2 {
			t.Errorf("%s: %v keys estimated, want about %v", store, got, left)
		}
		at := h.middle(pos, "")
		n := 0
		for _, key := range keys {
			if key > at {
				n++
			}
		}
		if float64(n) < left*0.45 || float64(n) > left*0.55 {
			t.Errorf("%s: %d of %v keys behind %s", store, n, left, at)
		}
		if !strings.HasPrefix(at, h.dir) || at >= h.end() || h.left(pos, pos) != 0 || h.middle(pos, pos+"0") != "" {
			t.Errorf("%s: %+v, middle %s", store, h, at)
		}
	}
}
