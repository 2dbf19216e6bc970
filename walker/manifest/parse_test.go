package manifest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"regfsck/walker/layout"
)

func TestInvalidManifests(t *testing.T) {
	config := `"config":` + desc("", "c", 1, "")
	for _, body := range []string{
		"", " ", "null", "[]", `""`, "1", "true", "{}", "{", "}", `{"a":1}`, "\xef\xbb\xbf{}",
		`{"schemaVersion":2,"mediaType":"` + typeImage + `"}`,
		`{"layers":null,"config":null,"manifests":null}`,
		`{"layers":[]}`, `{"fsLayers":[]}`, `{"subject":` + desc("", "s", 1, "") + `}`,
		`{"mediaType":"` + typeImage + `","layers":[],"subject":` + desc("", "s", 1, "") + `}`,
		// an image's configuration
		`{"architecture":"amd64","config":{"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":["` + dg("d") + `"]}}`,
		// a docker save archive's list, an in-toto statement
		`[{"Config":"x.json","Layers":["l.tar"]}]`, `{"_type":"x","subject":[{"name":"a","digest":{"sha256":"b"}}]}`,
		// descriptors
		`{"config":{}}`, `{"config":{"digest":null}}`, `{"config":{"digest":""}}`, `{"config":{"digest":1}}`, `{"config":{"digest":"x"}}`,
		`{"config":{"digest":"` + strings.ToUpper(dg("c")) + `"}}`, `{"config":{"digest":"sha256:` + hex512[:63] + `"}}`,
		`{"config":{"digest":"` + dg("c") + `\n"}}`, `{"config":{"digest":"` + dg("c") + "\u00e9" + `"}}`,
		`{` + config + `,"layers":[null]}`, `{` + config + `,"layers":[{"size":1}]}`, `{` + config + `,"fsLayers":[{"digest":"` + dg("f") + `"}]}`,
		// types
		`{"config":"` + dg("c") + `"}`, `{"config":[` + desc("", "c", 1, "") + `]}`, `{"config":1}`,
		`{` + config + `,"layers":{}}`, `{` + config + `,"layers":"x"}`, `{` + config + `,"layers":["` + dg("c") + `"]}`, `{` + config + `,"manifests":0}`,
		`{` + config + `,"mediaType":1}`, `{"config":` + desc("", "c", 1, `,"size":"1"`) + `}`, `{"config":` + desc("", "c", 1, `,"size":{}`) + `}`,
		`{"config":` + desc("", "c", 1, `,"urls":"x"`) + `}`, `{"config":` + desc("", "c", 1, `,"mediaType":[]`) + `}`,
		// JSON
		`{` + config + `}x`, `{` + config + `}{}`, `{` + config + `,}`, `{,` + config + `}`, `{` + config + `]`, `{` + config, `{"config" ` + desc("", "c", 1, "") + `}`,
		`{` + config + ` "layers":[]}`, `{` + config + `,"x":[1,]}`, `{` + config + `,"x":[,1]}`, `{` + config + `,"x":[1 2]}`, `{` + config + `,x:1}`, `{` + config + `,'x':1}`,
		`{` + config + `,"x":01}`, `{` + config + `,"x":-}`, `{` + config + `,"x":1.}`, `{` + config + `,"x":.1}`, `{` + config + `,"x":1e}`, `{` + config + `,"x":+1}`, `{` + config + `,"x":NaN}`,
		`{` + config + `,"x":tru}`, `{` + config + `,"x":nul}`, `{` + config + `,"x":nullx}`, `{` + config + `,"x":}`,
		`{` + config + `,"x":"` + "\n" + `"}`, `{` + config + `,"x":"\x"}`, `{` + config + `,"x":"\u12g4"}`, `{` + config + `,"x":"\u123`, `{` + config + `,"x":"\`, `{` + config + `,"x":"`,
		`{` + config + `,"x":1}` + "\x00", `{` + config + `,/**/"x":1}`,
	} {
		if m, err := Parse([]byte(body), nil); !errors.Is(err, ErrForm) || m.Kind != 0 || m.Refs != nil {
			t.Errorf("%s\nis taken for %+v, %v", body, m, err)
		}
	}
}

func TestEveryCutIsAnError(t *testing.T) {
	for _, form := range forms {
		for end := range len(form.body) {
			if _, err := Parse([]byte(form.body[:end]), nil); !errors.Is(err, ErrForm) {
				t.Fatalf("%s cut at %d: %v", form.name, end, err)
			}
		}
	}
}

func TestKeysInEverySpelling(t *testing.T) {
	d := `"` + dg("l") + `"`
	for _, body := range []string{
		`{"LAYERS":[{"DIGEST":` + d + `}]}`,
		`{"\u006cayers":[{"\u0064igest":` + d + `}]}`,
		`{"\u006c\u0061\u0079\u0065\u0072\u0073":[{"digest":` + d + `}]}`,
		`{"layer` + "\u017f" + `":[{"digest":` + d + `}]}`,
		`{"layer\u017F":[{"dige\u017ft":` + d + `}]}`,
		`{"layers":[{"digest":"sha256\u003a` + dig("l").Hex() + `"}]}`,
		" {\t\"layers\"\r\n:\n[ { \"digest\" : " + d + " } ] } \n",
		`{"layers":[{"digest":` + d + `}],"layers":[]}`,
		`{"layers":[{"digest":` + d + `}],"layers":null}`,
		`{"x":{"layers":[{"digest":"` + dg("other") + `"}]},"layers":[{"x":{"digest":1},"digest":` + d + `}]}`,
		`{"layers":[{"digest":` + d + `,"digest":` + d + `,"digest":null}]}`,
	} {
		if got, err := Parse([]byte(body), nil); err != nil || !slices.Equal(got.Refs, []Ref{ref(Layer, "l", -1)}) {
			t.Errorf("%s\ngives %+v, %v", body, got, err)
		}
	}
}

func TestEqualKeysAllCount(t *testing.T) {
	body := `{"config":` + desc("", "a", 1, "") + `,"Config":` + desc("", "b", 2, "") +
		`,"layers":[` + desc("", "c", 3, `,"digest":"`+dg("d")+`"`) + `],"layers":[` + desc("", "e", 4, "") + `]}`
	want := []Ref{ref(Config, "a", 1), ref(Config, "b", 2), ref(Layer, "c", 3), ref(Layer, "d", 3), ref(Layer, "e", 4)}
	if got, err := Parse([]byte(body), nil); err != nil || !slices.Equal(got.Refs, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	urls := `{"layers":[` + desc(ociLayer, "u", 1, `,"urls":["x"],"urls":[]`) + `]}`
	if got, err := Parse([]byte(urls), nil); err != nil || !slices.Equal(got.Refs, []Ref{ref(MayBeAbsent, "u", 1)}) {
		t.Errorf("urls said twice give %+v, %v", got, err)
	}
	twice := `{"manifests":[` + desc(ociLayer, "m", 1, `,"mediaType":"`+typeImage+`"`) + `]}`
	if got, err := Parse([]byte(twice), nil); err != nil || !slices.Equal(got.Refs, []Ref{ref(Either, "m", 1)}) {
		t.Errorf("a type said twice gives %+v, %v", got, err)
	}
}

func TestInvalidSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "9223372036854775807": 1<<63 - 1, "9223372036854775808": -1, "99999999999999999999": -1,
		"-1": -1, "-0": -1, "1.0": -1, "1e3": -1, "null": -1,
	} {
		body := `{"config":{"digest":"` + dg("c") + `","size":` + text + `}}`
		if got, err := Parse([]byte(body), nil); err != nil || got.Refs[0].Size != want {
			t.Errorf("size %s gives %+v, %v", text, got, err)
		}
	}
}

func TestRepeatedReferencesAreOne(t *testing.T) {
	for _, n := range []int{maxPairwise, 2 * maxPairwise, 1000} {
		var layers []string
		var want []Ref
		for i := range n / 2 {
			name := fmt.Sprint(i)
			layers = append(layers, fmt.Sprintf(`{"digest":%q}`, dg(name)), desc("", name, i, ""))
			want = append(want, ref(Layer, name, int64(i)))
		}
		for _, order := range []string{"size last", "size first"} {
			got, err := Parse([]byte(`{"layers":[`+strings.Join(layers, ",")+`]}`), nil)
			if err != nil || !slices.Equal(got.Refs, want) {
				t.Errorf("%d references, half of them repeated, %s, give %d: %v", n, order, len(got.Refs), err)
			}
			slices.Reverse(layers)
			slices.Reverse(want)
		}
	}
	both := `{"config":` + desc("", "x", 1, "") + `,"layers":[` + desc("", "x", 1, "") + `]}`
	if got, err := Parse([]byte(both), nil); err != nil || len(got.Refs) != 2 {
		t.Errorf("one digest in two roles gives %+v, %v", got, err)
	}
}

func TestBoundsAreExact(t *testing.T) {
	start := `{"config":` + desc("", "c", 1, "") + `,`
	nested := func(depth int) string {
		return start + `"x":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
	}
	padded := func(size int) string { return start + `"x":"` + strings.Repeat("y", size-len(start)-7) + `"}` }
	if len(padded(1000)) != 1000 {
		t.Fatalf("the test pads to %d, not 1000", len(padded(1000)))
	}
	for _, bound := range []struct {
		name string
		body func(int) string
		most int
		want error
	}{
		{"depth", nested, MaxDepth, ErrTooDeep},
		{"size", padded, MaxSize, ErrTooLarge},
	} {
		if _, err := Parse([]byte(bound.body(bound.most)), nil); err != nil {
			t.Errorf("%s at the bound: %v", bound.name, err)
		}
		if _, err := Parse([]byte(bound.body(bound.most+1)), nil); !errors.Is(err, bound.want) {
			t.Errorf("%s beyond the bound: %v", bound.name, err)
		}
	}
	if _, err := Parse([]byte(strings.Repeat(`{"x":`, MaxSize/5)), nil); !errors.Is(err, ErrTooDeep) {
		t.Errorf("an endless nest: %v", err)
	}
}

// TestInlineDataIsProven: inline data counts only if it has the size and the digest of its
// descriptor, by any algorithm.
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

// naive decodes references as the registry does.
type naive struct {
	Config, Subject          *struct{ Digest string }
	Layers, Manifests, Blobs []struct{ Digest string }
	FSLayers                 []struct{ BlobSum string }
}

func (n naive) digests() (all []string) {
	for _, one := range []*struct{ Digest string }{n.Config, n.Subject} {
		if one != nil {
			all = append(all, one.Digest)
		}
	}
	for _, one := range slices.Concat(n.Layers, n.Manifests, n.Blobs) {
		all = append(all, one.Digest)
	}
	for _, one := range n.FSLayers {
		all = append(all, one.BlobSum)
	}
	return all
}

// FuzzManifest looks for a panic, for a disagreement with encoding/json about validity, and
// for a reference that encoding/json finds and Parse doesn't.
func FuzzManifest(f *testing.F) {
	for _, form := range forms {
		f.Add([]byte(form.body))
	}
	f.Add([]byte(`{"layer\u017f":[{"DIGEST":"` + dg("l") + `","size":-1.5e+3,"urls":[null,true,false,"\ud800\n\/"]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := scanner{body: body}
		s.skip()
		s.end()
		if taken := s.err == nil; taken != json.Valid(body) && !errors.Is(s.err, ErrTooDeep) {
			t.Fatalf("%q is JSON: %v; the scanner says: %v", body, json.Valid(body), s.err)
		}
		m, err := Parse(body, nil)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("%q is no JSON and gives %+v", body, m)
		}
		found := map[string]bool{}
		for _, ref := range m.Refs {
			if text := ref.Other; text != "" {
				found[text] = true
			} else {
				found[ref.Digest.String()] = true
			}
		}
		var n naive
		if json.Unmarshal(body, &n) != nil {
			return
		}
		for _, digest := range n.digests() {
			if _, _, is := layout.SplitDigest(digest); is && !found[digest] {
				t.Errorf("%q refers to %q, and Parse says %+v", body, digest, m)
			}
		}
	})
}
