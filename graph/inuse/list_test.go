package inuse

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const hex = "3f8a00f137a0d2c8a2163a09901e28e2471999fde4efc2f9570b91f1c30acf94"

// names formats an image: its repositories, the first without library/, its tag or Also, its
// digest, its id.
func names(i Image) string {
	text := strings.Join(slices.DeleteFunc(slices.Clone(i.Repositories), func(r string) bool {
		return slices.Contains(i.Repositories, strings.TrimPrefix(r, "library/")) && strings.HasPrefix(r, "library/")
	}), "|")
	for _, part := range [][2]string{{":", i.Tag}, {":", i.Also}, {"@", strings.TrimPrefix(i.Digest, "sha256:")}, {"#", i.ID}, {" of ", i.Host}} {
		if part[1] != "" {
			text += part[0] + part[1]
		}
	}
	return strings.ReplaceAll(text, hex, "HEX")
}

// TestFormsOfLists: images are found in each format, and nothing else is certain.
func TestFormsOfLists(t *testing.T) {
	for name, c := range map[string]struct{ list, want string }{
		"references": {"reg.example.com/team/app:1.0\nteam/app\n# reg/not:1\r\nlocalhost:5000/app@sha256:" + hex + "\nreg:5000/app:1@sha256:" + hex,
			"team/app|reg.example.com/team/app:1.0 of reg.example.com; app@HEX of localhost:5000; app:1@HEX of reg:5000"},
		"kubectl jsonpath, images and their ids": {"reg.example.com/app:1.0 nginx:1.27 docker-pullable://reg.example.com/app@sha256:" + hex + " docker.io/library/nginx@sha256:" + hex + " docker://sha256:" + hex + " sha256:" + hex,
			"app|reg.example.com/app:1.0 of reg.example.com; nginx:1.27; app|reg.example.com/app@HEX of reg.example.com; library/nginx|docker.io/library/nginx@HEX of docker.io; @HEX"},
		"kubectl -o json": {`{"image":"reg.example.com/app:1.0","imageID":"docker-pullable://reg.example.com/app@sha256:` + hex + `","name":"web"}`,
			"app|reg.example.com/app:1.0 of reg.example.com; app|reg.example.com/app@HEX of reg.example.com"},
		"labels and annotations": {`{"app.kubernetes.io/name":"web","image": "reg.example.com/app:1.0"}` + "\napp.kubernetes.io/name: web\n",
			"app|reg.example.com/app:1.0 of reg.example.com"},
		"images as keys": {`{"reg.example.com/app:1.0":{"n":1}}` + "\nreg.example.com/db:2:\n  n: 1\n",
			"app|reg.example.com/app:1.0 of reg.example.com; db|reg.example.com/db:2 of reg.example.com"},
		"docker ps": {"CONTAINER ID   IMAGE                        COMMAND                  CREATED       STATUS       PORTS                    NAMES\n" +
			"0123456789ab   reg.example.com/app:1.0      \"/docker-entrypoint.…\"   2 hours ago   Up 2 hours   0.0.0.0:80->80/tcp       web_1\n" +
			"1123456789ab   3f8a00f137a0                 \"sh -c 'x: 1'\"           2 hours ago   Up 2 hours                            db\n",
			"app|reg.example.com/app:1.0 of reg.example.com"},
		"docker images": {"REPOSITORY            TAG       IMAGE ID       CREATED        SIZE\nreg.example.com/app   1.0       3f8a00f137a0   2 months ago   12.3MB\nreg.example.com/app   1.1       3f8a00f137a0   2 months ago   12.3MB\n",
			"app|reg.example.com/app:latest:1.0 of reg.example.com; app|reg.example.com/app:latest:1.1 of reg.example.com"},
		"a Helm render": {"apiVersion: apps/v1\nkind: Deployment\nspec:\n  containers:\n  - name: web\n    image: \"reg.example.com/app:1.0\"  # the app\n    args: [--port, \"8080\"]\n  - image: 'reg.example.com/side@sha256:" + hex + "'\n",
			"app|reg.example.com/app:1.0 of reg.example.com; side|reg.example.com/side@HEX of reg.example.com"},
		"compose": {"services:\n  web: {image: reg.example.com/app:1.0, ports: [\"80:80\"]}\n  db:\n    image: reg.example.com/db\n",
			"app|reg.example.com/app:1.0 of reg.example.com; db|reg.example.com/db:latest of reg.example.com"},
		"values of a chart": {"image:\n  registry: reg.example.com\n  repository: reg.example.com/app\n  pullPolicy: Always\n  tag: \"1.0\"\n",
			"app|reg.example.com/app:latest:1.0 of reg.example.com"},
		"values in another order": {"a:\n  tag: \"1.0\"\n  repository: reg.example.com/app\nb:\n  imageTag: 2\n  image: reg.example.com/db\n",
			"app|reg.example.com/app:latest:1.0 of reg.example.com; app|reg.example.com/app:latest:2 of reg.example.com; db|reg.example.com/db:latest:2 of reg.example.com"},
		"Kustomize": {"images:\n- name: reg.example.com/old\n  newName: reg.example.com/app\n  newTag: v2\n",
			"old|reg.example.com/old:latest of reg.example.com; app|reg.example.com/app:latest:v2 of reg.example.com"},
		"a Dockerfile, Nomad, Terraform": {"FROM reg.example.com/base:3 AS build\nimage = \"reg.example.com/app:1.0\"\n",
			"base|reg.example.com/base:3 of reg.example.com; app|reg.example.com/app:1.0 of reg.example.com"},
		"by another algorithm": {"reg.example.com/app@sha512:" + hex + hex, "app|reg.example.com/app@sha512:HEXHEX of reg.example.com"},
		"digests that are cut, in capitals, too long, none": {
			"reg.io/app:1.0@sha256:" + hex[:20] + " reg.io/app:1.1@sha256:" + strings.ToUpper(hex) + " reg.io/app:1.2@sha256:" + hex + "0 reg.io/app:1.3@sha256:" + strings.ToUpper(hex[:12]) + " reg.io/app:1.4@sha256:xyz reg.io/app@sha256:" + hex[:7] + " SHA256:" + strings.ToUpper(hex[:13]),
			"app|reg.io/app:1.0#" + hex[:20] + " of reg.io; app|reg.io/app:1.1@HEX of reg.io; app|reg.io/app:1.2 of reg.io; app|reg.io/app:1.3#" + hex[:12] + " of reg.io; app|reg.io/app:1.4 of reg.io; app|reg.io/app:latest of reg.io; #" + hex[:13]},
		"a tag that is none before a digest": {"reg.io/app:1.0+b@sha256:" + hex, "app|reg.io/app@HEX of reg.io"},
		"hosts that are addresses":           {"[2001:db8::1]:5000/app:1 {\"images\":[\"[2001:db8::1]/db:2\",\"a.io/x:1\"]} docker://[::1]:5000/c@sha256:" + hex, "app:1 of [2001:db8::1]:5000; db:2 of [2001:db8::1]; x|a.io/x:1 of a.io; c@HEX of [::1]:5000"},
		"JSON with slashes escaped":          {`{"image":"reg.example.com\/team\/app:1.0"}`, "team/app|reg.example.com/team/app:1.0 of reg.example.com"},
		"an address of the web":              {"https://reg.example.com/app:1.0", "app|reg.example.com/app:1.0 of reg.example.com"},
	} {
		images, err := ReadList(strings.NewReader(c.list))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, i := range images {
			if i.Certain {
				got = append(got, names(i))
			}
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, strings.Join(got, "; "), c.want)
		}
	}
}

// TestMissingTags: an image that docker lists without a tag is bare, and so is one in a table
// of containers.
func TestMissingTags(t *testing.T) {
	for name, list := range map[string]string{
		"a table":          "REPOSITORY           TAG      DIGEST   IMAGE ID       SIZE\nreg.example.com/app  <none>   <none>   3f8a00f137a0   12.3MB\n",
		"a format":         "reg.example.com/db:1.0\nreg.example.com/app:<none>\n",
		"JSON":             `{"ID":"3f8a00f137a0","Repository":"reg.example.com/app","Tag":"<none>"}`,
		"a flag":           "CONTAINER ID   IMAGE                 COMMAND       NAMES\n0123456789ab   reg.example.com/app   \"/Run --image-tag 1.0\"   web\n",
		"several commands": "REPOSITORY           TAG   IMAGE ID       SIZE   R/O\nreg.example.com/db   1.0   3f8a00f137a0   12.3MB   false\n\nCONTAINER ID   IMAGE                 COMMAND       NAMES\n0123456789ab   reg.example.com/app   \"/entry.sh\"   web\n",
	} {
		images, err := ReadList(strings.NewReader(list))
		at := slices.IndexFunc(images, func(i Image) bool { return i.Text == "reg.example.com/app" })
		if err != nil || at < 0 {
			t.Errorf("%s: %+v, %v", name, images, err)
			continue
		}
		if i := images[at]; !i.Bare || !i.Certain {
			t.Errorf("%s: %+v", name, i)
		}
	}
}

// TestWordsThatMayBeImages: such words count as images, but alone make no list.
func TestWordsThatMayBeImages(t *testing.T) {
	images, err := ReadList(strings.NewReader("app 3f8a00f137a0 x:80 team/app x.y/z:1"))
	var got []string
	for _, i := range images {
		got = append(got, names(i))
	}
	if want := "app:latest:3f8a00f137a0; x:80; 3f8a00f137a0:latest#3f8a00f137a0; z|x.y/z:1 of x.y; team/app:latest"; strings.Join(got, "; ") != want || err != nil {
		t.Errorf("%s, %v", strings.Join(got, "; "), err)
	}
	if i := images[0]; !slices.Equal(i.Repositories, []string{"app", "library/app"}) {
		t.Errorf("%+v", i)
	}
	for _, empty := range []string{"", "\n\n", "# reg.example.com/app:1", "apiVersion: v1\nkind: Service\n", "error: the server refused", "{}", "a b c 0.0.0.0:80->80/tcp"} {
		if images, err := ReadList(strings.NewReader(empty)); !errors.Is(err, ErrEmpty) || images != nil {
			t.Errorf("%q: %+v, %v", empty, images, err)
		}
	}
}

// TestVariablesInLists: a variable in place of an image refuses the list; elsewhere it is
// ignored.
func TestVariablesInLists(t *testing.T) {
	for line, word := range map[string]string{
		"    image: reg.example.com/lists:${VERSION:-all}":    "reg.example.com/lists:${VERSION:-all}",
		`  - image: "reg.example.com/app:{{ .Values.tag }}"`:  "reg.example.com/app:{{ .Values.tag }}",
		`image: "{{ .Values.repository }}:{{ .Values.tag }}"`: "{{ .Values.repository }}:{{ .Values.tag }}",
		"image: app:$TAG":                 "app:$TAG",
		"image: ${IMAGE}":                 "${IMAGE}",
		`{"name":"x","image":"app:$TAG"}`: "app:$TAG",
		`image = "app:${var.tag}"`:        "app:${var.tag}",
		"reg:5000/app:$TAG":               "reg:5000/app:$TAG",
		"team/app:$TAG":                   "team/app:$TAG",
		"app:$TAG":                        "app:$TAG",
		"[::1]:5000/app@$DIGEST":          "[::1]:5000/app@$DIGEST",
		"FROM base:${V} AS x":             "base:${V}",
		"x reg.example.com\\/app:$T y":    "reg.example.com/app:$T",
	} {
		want := "holds a variable (" + word + "): render it first"
		if images, err := ReadList(strings.NewReader("reg.io/a:1\n" + line + "\n")); err == nil || !strings.Contains(err.Error(), want) || images != nil {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
	for _, line := range []string{
		"# image: reg.example.com/app:$TAG",
		"0123456789ab   reg.io/a:1   \"sh -c 'echo $HOME a:$B /x/y:$PATH http://svc.example.com/x:$PORT/ --image=$I {{x}}'\"   2 hours ago",
		"    command: [sh, -c, \"export PATH=/opt/x/bin:$PATH; exec $0\"]",
		"    - --url=http://svc:$(PORT)/x",
		"    - --destination=reg.example.com/app:$(TAG)",
		"      options: {tag: \"{{.Name}}\"}",
		"    image: reg.io/a:1 # was $TAG",
		"FROM --platform=$BUILDPLATFORM reg.io/a:1",
		`{"image":{"x":{"y":1}},"cost":"$5"}`,
	} {
		if images, err := ReadList(strings.NewReader("reg.io/a:1\n" + line + "\n")); err != nil || len(images) == 0 {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// TestListsInUTF16: such lists are refused, also if only a part is UTF-16.
func TestListsInUTF16(t *testing.T) {
	for _, body := range []string{"\x00r\x00e\x00g", "reg.io/a:1\n\xff\xfer\x00e\x00g\x00.\x00i\x00o\x00/\x00b\x00:\x001\x00\n\x00"} {
		if images, err := ReadList(strings.NewReader(body)); !errors.Is(err, errNUL) || images != nil {
			t.Errorf("%q: %+v, %v", body, images, err)
		}
	}
}

// TestHostileLists: any list is read within the limits, and its images have valid forms.
func TestHostileLists(t *testing.T) {
	parts := []string{"reg.example.com", "/", "app", ":", "1.0", "@", "sha256:", hex, "://", " ", "\n", "\x00", "ü", "\xff", "tag:", "-", "..", "//", strings.Repeat("a", 1030), "docker", "#", "\"", "[::1]:5000", "sha512:", "+"}
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		var b strings.Builder
		for range r.IntN(12) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		images, err := ReadList(strings.NewReader(b.String()))
		if err != nil && !errors.Is(err, ErrEmpty) && (!errors.Is(err, errNUL) || !strings.Contains(b.String(), "\x00")) {
			t.Fatalf("%q: %v", b.String(), err)
		}
		for _, i := range images {
			if len(i.Text) > maxWord || strings.ContainsAny(i.Text, "\x00\n \"") || !utf8.ValidString(i.Text) || len(i.Repositories) == 0 && i.Digest == "" && i.ID == "" {
				t.Fatalf("%q: %+v", b.String(), i)
			}
		}
	}
	if _, err := ReadList(strings.NewReader("a/b:c " + strings.Repeat("x", maxList))); err == nil || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("a list without end: %v", err)
	}
	if images, err := ReadList(strings.NewReader(strings.Repeat("reg.example.com/app:1 ", 100_000))); err != nil || len(images) != 1 {
		t.Errorf("%d images, %v", len(images), err)
	}
}
