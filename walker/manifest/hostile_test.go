package manifest

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestWhatIsNoManifestIsAnError(t *testing.T) {
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

func TestKeysInEveryDisguise(t *testing.T) {
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

func TestSizesThatAreNone(t *testing.T) {
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
