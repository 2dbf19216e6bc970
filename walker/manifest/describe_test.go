package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseConfig(t *testing.T) {
	june := time.Date(2024, time.June, 1, 10, 0, 0, 5, time.UTC)
	for body, want := range map[string]ImageConfig{
		`{}`: {},
		`{"created":"2024-06-01T12:00:00.000000005+02:00","os":"linux","architecture":"arm64","variant":"v8","config":{}}`: {june, "linux", "arm64", "v8", ""},
		`{"config":{"Labels":{"quay.expires-after":"2w","x":1}}}`:                                                          {ExpiresAfter: "2w"},
		`{"config":{"Labels":{"quay.expires-after":14}},"os":"linux"}`:                                                     {OS: "linux"},
		`{"config":["Labels"],"os":"linux"}`:                                                                               {OS: "linux"},
		`{"os":"linux","config":{"Labels":null}}`:                                                                          {OS: "linux"},
		`{"created":"yesterday","os":"linux"}`:                                                                             {OS: "linux"},
		`{"created":"0001-01-01T00:00:00Z"}`:                                                                               {},
		`{"created":17,"os":["linux"],"architecture":"amd64","variant":null}`:                                              {Architecture: "amd64"},
		`{"created":null,"os":null}`:                                                                                       {},
		" {\"os\":\"windows\",\"rootfs\":{\"diff_ids\":[1]},\"history\":\"x\"}\n":                                          {OS: "windows"},
	} {
		if got, err := ParseConfig([]byte(body)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	for _, body := range []string{``, `null`, `[]`, `"x"`, `{`, `{}{}`, "\x1f\x8b\x08", `{"os":}`} {
		if c, err := ParseConfig([]byte(body)); err == nil {
			t.Errorf("%s: %+v", body, c)
		}
	}
}

func TestPlatform(t *testing.T) {
	for want, c := range map[string]ImageConfig{
		"": {Architecture: "amd64"}, "linux": {OS: "linux", Variant: "v8"}, "linux/arm/v7": {OS: "linux", Architecture: "arm", Variant: "v7"},
	} {
		if got := c.Platform(); got != want {
			t.Errorf("%+v: %q, want %q", c, got, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	const oci, docker = "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"
	image := func(config, rest, layer string) string {
		return fmt.Sprintf(`{"config":{"mediaType":%q,"digest":%q},"layers":[{"mediaType":%q,"digest":%q}]%s}`, config, dg("c"), layer, dg("l"), rest)
	}
	for _, test := range []struct {
		body, artifact string
		form           Form
		kind           Kind
	}{
		{image(oci, "", "x/y"), "", FormImage, Image},
		{image(docker, "", ""), "", FormImage, Image},
		{image("", "", ""), "", FormImage, Image},
		{image("application/vnd.cncf.helm.config.v1+json", "", ""), "application/vnd.cncf.helm.config.v1+json", FormChart, Image},
		{image("application/vnd.docker.plugin.v1+json", "", ""), "application/vnd.docker.plugin.v1+json", FormPlugin, Image},
		{image("application/vnd.wasm.config.v0+json", "", ""), "application/vnd.wasm.config.v0+json", FormArtifact, Image},
		{image("application/vnd.oci.empty.v1+json", `,"artifactType":"a/b"`, ""), "a/b", FormArtifact, Image},
		{image(oci, `,"artifactType":"a/b"`, ""), "a/b", FormArtifact, Image},
		{image(oci, "", "application/vnd.dev.cosign.simplesigning.v1+json"), "", FormSignature, Image},
		{image("application/vnd.oci.empty.v1+json", `,"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"`, ""), "application/vnd.dev.sigstore.bundle.v0.3+json", FormSignature, Image},
		{image("application/vnd.cncf.notary.signature", "", ""), "application/vnd.cncf.notary.signature", FormSignature, Image},
		{image(oci, "", "application/vnd.in-toto+json"), "", FormAttestation, Image},
		{image("application/vnd.buildkit.cacheconfig.v0", "", ""), "application/vnd.buildkit.cacheconfig.v0", FormCache, Image},
		{`{"fsLayers":[{"blobSum":"` + dg("l") + `"}]}`, "", FormSchema1, Schema1},
		{`{"mediaType":"` + typeArtifact + `","artifactType":"a/b","blobs":[]}`, "a/b", FormArtifact, Artifact},
		{`{"manifests":[]}`, "", FormIndex, Index},
		{`{"manifests":[],"artifactType":"a/b"}`, "a/b", FormIndex, Index},
		{`{"manifests":[{"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"` + dg("c") + `"}]}`, "", FormCache, Index},
		{strings.Replace(image(oci, "", ""), `"layers"`, `"artifactType":[1],"annotations":"x","layers"`, 1), "", FormImage, Image},
	} {
		d, err := Describe([]byte(test.body))
		if err != nil || d.Form != test.form || d.Kind != test.kind || d.ArtifactType != test.artifact || len(d.Entries) > 1 {
			t.Errorf("%s:\n%+v, %v", test.body, d, err)
		}
	}
}

func TestDescribeNamesPlatforms(t *testing.T) {
	entry := `{"mediaType":"%s","digest":"` + dg("m") + `","size":1,%s}`
	body := `{"mediaType":"` + typeIndex + `","manifests":[` + strings.Join([]string{
		fmt.Sprintf(entry, typeImage, `"platform":{"os":"linux","architecture":"arm","variant":"v7"}`),
		fmt.Sprintf(entry, typeImage, `"platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}`),
		fmt.Sprintf(entry, typeImage, `"platform":"linux","annotations":[],"artifactType":"a/b"`),
	}, ",") + `]}`
	d, err := Describe([]byte(body))
	want := []Entry{
		{dg("m"), typeImage, "", "linux/arm/v7", false},
		{dg("m"), typeImage, "", "unknown/unknown", true},
		{dg("m"), typeImage, "a/b", "", false},
	}
	if err != nil || d.MediaType != typeIndex || d.Form != FormIndex || !slices.Equal(d.Entries, want) {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestDescribeReadsConfigAndExpiry(t *testing.T) {
	image := `{"config":{"digest":"` + dg("c") + `"},"layers":[]%s}`
	for body, want := range map[string]Description{
		fmt.Sprintf(image, `,"annotations":{"quay.expires-after":"2w"}`): {Config: dg("c"), ExpiresAfter: "2w"},
		fmt.Sprintf(image, `,"annotations":{"quay.expires-after":2}`):    {Config: dg("c")},
		fmt.Sprintf(image, `,"annotations":["quay.expires-after"]`):      {Config: dg("c")},
		fmt.Sprintf(image, ``): {Config: dg("c")},
		`{"manifests":[],"annotations":{"quay.expires-after":"1d"}}`:                             {ExpiresAfter: "1d"},
		`{"manifests":[{"digest":"` + dg("m") + `","annotations":{"quay.expires-after":"1d"}}]}`: {},
	} {
		if d, err := Describe([]byte(body)); err != nil || d.Config != want.Config || d.ExpiresAfter != want.ExpiresAfter {
			t.Errorf("%s: %+v, %v", body, d, err)
		}
	}
}

func TestDescribeAcceptsWhatParseAccepts(t *testing.T) {
	for _, form := range forms {
		m, err := Parse([]byte(form.body), nil)
		d, again := Describe([]byte(form.body))
		if err != nil || again != nil || d.Kind != m.Kind || d.MediaType != m.MediaType || d.Form == "" {
			t.Errorf("%s: %v, %+v, %v", form.body, err, d, again)
		}
	}
	if _, err := Describe([]byte(`{"layers":[{}]}`)); !errors.Is(err, ErrForm) {
		t.Error(err)
	}
	if _, err := Describe(bytes.Repeat([]byte(" "), MaxSize+1)); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}
