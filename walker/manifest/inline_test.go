package manifest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"regfsck/walker/layout"
)

// Only what is as long as its descriptor says and hashes to its digest is taken from
// a manifest, by whichever algorithm.
func TestInlineDataIsProven(t *testing.T) {
	body := "any bytes \xff"
	long := strings.Repeat("x", MaxInline+1)
	descriptor := func(digest layout.AnyDigest, size int, data string) string {
		return fmt.Sprintf(`{"mediaType":"a/b","digest":"%s","size":%d,"data":"%s"}`, digest, size, base64.StdEncoding.EncodeToString([]byte(data)))
	}
	for _, d := range layout.Sums([]byte(body)) {
		for name, c := range map[string]struct {
			manifest string
			want     bool
		}{
			"config":         {`{"config":` + descriptor(d, len(body), body) + `}`, true},
			"layer":          {`{"layers":[{},` + descriptor(d, len(body), body) + `]}`, true},
			"another size":   {`{"layers":[` + descriptor(d, len(body)+1, body) + `]}`, false},
			"other bytes":    {`{"layers":[` + descriptor(d, len(body), body[1:]+"x") + `]}`, false},
			"no data":        {fmt.Sprintf(`{"layers":[{"digest":"%s","size":%d}]}`, d, len(body)), false},
			"no base64":      {fmt.Sprintf(`{"layers":[{"digest":"%s","size":%d,"data":"%s"}]}`, d, len(body), "&"), false},
			"data elsewhere": {`{"x":` + descriptor(d, len(body), body) + `}`, false},
		} {
			got := slices.ContainsFunc(InlineData([]byte(c.manifest)), func(in Inline) bool { return in.Digest == d && string(in.Data) == body })
			if got != c.want || len(InlineData([]byte(c.manifest))) > 1 {
				t.Errorf("%s of %s: %v", name, d, got)
			}
		}
	}
	of := layout.AnyDigest{Digest: layout.Sum([]byte(long))}
	if all := InlineData([]byte(`{"layers":[` + descriptor(of, len(long), long) + `]}`)); len(all) > 0 {
		t.Error("more was taken than the bound allows")
	}
}
