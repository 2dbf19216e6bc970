package manifest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"regfsck/walker/layout"
)

// dig returns the digest of a name's bytes, and dg its text.
func dig(name string) layout.Digest { return layout.Sum([]byte(name)) }
func dg(name string) string         { return dig(name).String() }

const (
	ociLayer      = "application/vnd.oci.image.layer.v1.tar+gzip"
	dockerForeign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	ociForeign    = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
	cacheConfig   = "application/vnd.buildkit.cacheconfig.v0"
)

// desc returns a descriptor of that type ("" for none) and size; more is appended to it.
func desc(mediaType, name string, size int, more string) string {
	if mediaType != "" {
		mediaType = fmt.Sprintf(`"mediaType":%q,`, mediaType)
	}
	return fmt.Sprintf(`{%s"size":%d,"digest":%q%s}`, mediaType, size, dg(name), more)
}

func ref(role Role, name string, size int64) Ref {
	return Ref{Role: role, Digest: dig(name), Size: size}
}

// read is ref for a reference that registries read.
func read(role Role, name string, size int64) Ref {
	return Ref{Role: role, Read: true, Digest: dig(name), Size: size}
}

var hex512 = strings.Repeat("0123456789abcdef", 8)

// forms are manifests of all forms.
var forms = []struct {
	name, body string
	want       Manifest
}{
	{"docker schema 2",
		`{"schemaVersion":2,"mediaType":"` + typeDocker + `","config":` + desc("application/vnd.docker.container.image.v1+json", "c", 7, "") +
			`,"layers":[` + desc("application/vnd.docker.image.rootfs.diff.tar.gzip", "l", 8, "") + `,` + desc(dockerForeign, "f", 9, `,"urls":["https://example.com/f"]`) + `]}`,
		Manifest{Image, typeDocker, []Ref{read(Config, "c", 7), read(Layer, "l", 8), read(MayBeAbsent, "f", 9)}, false}},
	{"OCI image without a media type",
		`{"schemaVersion":2,"config":` + desc("", "c", 7, "") + `,"layers":[` + desc(ociLayer, "l", 8, "") + `,` + desc(ociForeign, "n", 9, "") + `,` +
			desc(ociLayer, "u", 10, `,"urls":["x"]`) + `,` + desc(ociLayer, "e", 11, `,"urls":[]`) + `],"annotations":{"a":"b"}}`,
		Manifest{Image, "", []Ref{read(Config, "c", 7), read(Layer, "l", 8), read(MayBeAbsent, "n", 9), read(MayBeAbsent, "u", 10), read(Layer, "e", 11)}, false}},
	{"docker manifest list",
		`{"schemaVersion":2,"mediaType":"` + typeDockerList + `","manifests":[` + desc(typeDocker, "a", 1, `,"platform":{"os":"linux"}`) + `,` + desc(typeDocker1, "b", 2, "") + `]}`,
		Manifest{Index, typeDockerList, []Ref{read(Child, "a", 1), read(Child, "b", 2)}, false}},
	{"OCI index with an attestation, an index and children of unknown type",
		`{"schemaVersion":2,"mediaType":"` + typeIndex + `","manifests":[` +
			desc(typeImage, "a", 1, `,"platform":{"architecture":"unknown","os":"unknown"}`) + `,` + desc(typeIndex, "i", 2, "") + `,` +
			desc("", "n", 3, "") + `,` + desc("application/x", "x", 4, "") + `]}`,
		Manifest{Index, typeIndex, []Ref{read(Child, "a", 1), read(Child, "i", 2), read(Either, "n", 3), read(Either, "x", 4)}, false}},
	{"BuildKit cache",
		`{"schemaVersion":2,"mediaType":"` + typeIndex + `","manifests":[` + desc(ociLayer, "l", 1, "") + `,` +
			desc("application/vnd.docker.image.rootfs.diff.tar.gzip", "d", 2, "") + `,` + desc(ociForeign, "f", 3, "") + `,` + desc(cacheConfig, "c", 4, "") + `]}`,
		Manifest{Index, typeIndex, []Ref{read(Claimed, "l", 1), read(Claimed, "d", 2), read(MayBeAbsent, "f", 3), read(Claimed, "c", 4)}, false}},
	{"schema 1, signed",
		`{"schemaVersion":1,"name":"a","tag":"b","architecture":"amd64","fsLayers":[{"blobSum":"` + dg("x") + `"},{"blobSum":"` + dg("y") + `"},{"blobSum":"` + dg("x") + `"}],` +
			`"history":[{"v1Compatibility":"{\"id\":\"1\"}"}],"signatures":[{"header":{"jwk":{"crv":"P-256"}}}]}`,
		Manifest{Schema1, "", []Ref{read(Layer, "x", -1), read(Layer, "y", -1)}, false}},
	{"schema 1 with a tarsum",
		`{"schemaVersion":1,"fsLayers":[{"blobSum":"tarsum.v1+sha256:` + hex512[:64] + `"}]}`,
		Manifest{Schema1, "", []Ref{{Role: Layer, Read: true, Other: "tarsum.v1+sha256:" + hex512[:64], Size: -1}}, false}},
	{"subject",
		`{"schemaVersion":2,"mediaType":"` + typeImage + `","config":` + desc("application/vnd.oci.empty.v1+json", "e", 2, `,"data":"e30="`) +
			`,"layers":[` + desc("text/spdx", "s", 5, "") + `],"subject":` + desc(typeImage, "subject", 6, "") + `}`,
		Manifest{Image, typeImage, []Ref{read(Config, "e", 2), read(Layer, "s", 5), ref(Subject, "subject", 6)}, true}},
	{"OCI artifact manifest",
		`{"mediaType":"` + typeArtifact + `","artifactType":"a/b","blobs":[` + desc("text/plain", "b", 1, "") + `],"subject":` + desc(typeImage, "s", 2, "") + `}`,
		Manifest{Artifact, typeArtifact, []Ref{ref(Layer, "b", 1), ref(Subject, "s", 2)}, false}},
	{"ORAS artifact manifest without blobs",
		`{"mediaType":"` + typeORAS + `","subject":` + desc(typeImage, "s", 2, "") + `}`,
		Manifest{Artifact, typeORAS, []Ref{ref(Subject, "s", 2)}, false}},
	{"artifact manifest with nothing", `{"mediaType":"` + typeArtifact + `","artifactType":"a/b"}`, Manifest{Artifact, typeArtifact, nil, false}},
	{"empty index", `{"schemaVersion":2,"manifests":[]}`, Manifest{Index, "", nil, false}},
	{"index of null", `{"schemaVersion":2,"mediaType":"` + typeIndex + `","manifests":null}`, Manifest{Index, typeIndex, nil, false}},
	{"Helm chart",
		`{"schemaVersion":2,"config":` + desc("application/vnd.cncf.helm.config.v1+json", "c", 1, "") + `,"layers":[` + desc("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "h", 2, "") + `]}`,
		Manifest{Image, "", []Ref{read(Config, "c", 1), read(Layer, "h", 2)}, false}},
	{"unknown type with fields of several forms",
		`{"mediaType":"x/y","config":` + desc("", "c", 1, "") + `,"layers":[` + desc("", "l", 2, "") + `],"manifests":[` + desc("", "m", 3, "") +
			`],"blobs":[` + desc("", "b", 4, "") + `],"fsLayers":[{"blobSum":"` + dg("f") + `"}]}`,
		Manifest{Index, "x/y", []Ref{ref(Config, "c", 1), ref(Layer, "l", 2), ref(Either, "m", 3), ref(Layer, "b", 4), ref(Layer, "f", -1)}, false}},
	{"an image's type with an index's fields too",
		`{"mediaType":"` + typeImage + `","config":` + desc("", "c", 1, "") + `,"manifests":[` + desc(typeImage, "m", 3, "") + `]}`,
		Manifest{Image, typeImage, []Ref{ref(Config, "c", 1), ref(Child, "m", 3)}, false}},
	{"an index's type with an image's fields only",
		`{"mediaType":"` + typeIndex + `","config":` + desc("", "c", 1, "") + `,"layers":[` + desc("", "l", 2, "") + `]}`,
		Manifest{Image, typeIndex, []Ref{ref(Config, "c", 1), ref(Layer, "l", 2)}, false}},
	{"other algorithms",
		`{"config":{"digest":"sha512:` + hex512 + `","size":3},"layers":[{"digest":"blake3:` + hex512[:64] + `"}]}`,
		Manifest{Image, "", []Ref{{Role: Config, Other: "sha512:" + hex512, Size: 3}, {Role: Layer, Other: "blake3:" + hex512[:64], Size: -1}}, false}},
}

func TestReferencesOfEveryForm(t *testing.T) {
	for _, form := range forms {
		got, err := Parse([]byte(form.body), nil)
		if err != nil {
			t.Errorf("%s: %v", form.name, err)
		} else if got.Kind != form.want.Kind || got.MediaType != form.want.MediaType || got.Inline != form.want.Inline || !slices.Equal(got.Refs, form.want.Refs) {
			t.Errorf("%s:\n got %+v\nwant %+v", form.name, got, form.want)
		}
	}
}

func TestSpaceIsReused(t *testing.T) {
	space := make([]Ref, 5, 64)
	body := []byte(forms[0].body)
	got, err := Parse(body, space)
	if err != nil || &got.Refs[0] != &space[0] {
		t.Fatalf("the space given is not used: %v", err)
	}
	clear(body)
	if !slices.Equal(got.Refs, forms[0].want.Refs) || got.MediaType != typeDocker {
		t.Errorf("the manifest changes with the body: %+v", got)
	}
	for _, form := range forms[:5] {
		allocs := testing.AllocsPerRun(100, func() { Parse([]byte(form.body), space) })
		if allocs > 1 {
			t.Errorf("%s: %v allocations, one of which is the test's own", form.name, allocs)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	var layers []string
	for i := range 8 {
		layers = append(layers, desc("application/vnd.docker.image.rootfs.diff.tar.gzip", fmt.Sprint(i), 12345678, ""))
	}
	body := []byte(strings.NewReplacer("{", "{\n   ", ",", ",\n   ").Replace(`{"schemaVersion":2,"mediaType":"` + typeDocker +
		`","config":` + desc("application/vnd.docker.container.image.v1+json", "c", 7023, "") + `,"layers":[` + strings.Join(layers, ",") + `]}`))
	space := make([]Ref, 0, 64)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(body, space); err != nil {
			b.Fatal(err)
		}
	}
}
