package location

import (
	"os"
	"strings"
	"testing"
)

func TestConfigsOfAllVersions(t *testing.T) {
	dir := root(t)
	for name, content := range map[string]string{
		"3.x": `version: 0.1
log: {level: debug}
storage:
  delete: {enabled: true}
  cache: {blobdescriptor: inmemory}
  tag: {concurrencylimit: 8}
  filesystem:
    rootdirectory: ROOT
    maxthreads: 100
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health: {storagedriver: {enabled: true, interval: 10s, threshold: 3}}
`,
		"2.x": `version: 0.1
log: {fields: {service: registry}}
storage: {cache: {layerinfo: inmemory}, maintenance: {uploadpurging: {enabled: false}, readonly: {enabled: true}}, filesystem: {rootdirectory: ROOT}}
redis: {addr: "localhost:6379", pool: {maxidle: 16}}
`,
		"errors elsewhere": "version: 0.1\nloglevel: shouting\nhttp: [nonsense]\nhealth: 7\nproxy: none\nstorage: {filesystem: {rootdirectory: ROOT}}\n",
		"an anchor":        "version: 0.1\nx-root: &r ROOT\nx-fs: &fs {rootdirectory: *r}\nstorage: {filesystem: *fs}\n",
		"a merge":          "version: 0.1\nx: &x {rootdirectory: ROOT}\nstorage:\n  filesystem:\n    <<: *x\n    maxthreads: 3\n",
		"quoted, windows":  "version: \"0.1\"\r\nstorage:\r\n  filesystem:\r\n    rootdirectory: 'ROOT'\r\n",
	} {
		got, err := Resolve(write(t, strings.ReplaceAll(content, "ROOT", dir)), env(nil))
		if err != nil || got.Traits().Root != dir || got.Cache {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestCache(t *testing.T) {
	config := "version: 0.1\nstorage: {filesystem: {rootdirectory: " + root(t) + "}}\n"
	proxied := config + "proxy: {remoteurl: 'https://u:secret@registry-1.example', username: u, password: secret}\n"
	remote := map[string]string{"REGISTRY_PROXY_REMOTEURL": "https://registry-1.example"}
	for _, c := range []struct {
		config string
		env    map[string]string
		want   bool
	}{{config, nil, false}, {proxied, nil, true}, {config, remote, true}, {config + "proxy: {}\n", nil, false}, {config + "proxy: {remoteurl: }\n", nil, false}} {
		if got, err := Resolve(write(t, c.config), env(c.env)); err != nil || got.Cache != c.want {
			t.Errorf("%s\n%v: %+v, %v", c.config, c.env, got, err)
		}
	}
}

func TestOverrides(t *testing.T) {
	dir := root(t)
	elsewhere := "version: 0.1\nstorage: {filesystem: {rootdirectory: /elsewhere}}\n"
	for _, c := range []struct{ name, config, variable, value string }{
		{"root", elsewhere, "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", dir},
		{"root of none", "version: 0.1\nstorage: {filesystem: }\n", "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", dir},
		{"no section", "version: 0.1\n", "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", dir},
		{"driver", elsewhere, "REGISTRY_STORAGE_FILESYSTEM", "{rootdirectory: " + dir + "}"},
		{"whole section", "version: 0.1\nstorage: {s3: {bucket: b}}\n", "REGISTRY_STORAGE", "filesystem:\n  rootdirectory: " + dir},
		{"whole section, none", "version: 0.1\n", "REGISTRY_STORAGE", "filesystem: {rootdirectory: " + dir + "}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(c.variable, c.value)
			t.Setenv("REGISTRY_HTTP_ADDR", "[not: an address")
			t.Setenv("REGISTRY_LOG_LEVEL", "shouting")
			t.Setenv("REGISTRY_STORAGE_DELETE_ENABLED", "true")
			if got, err := Resolve(write(t, c.config), env(nil)); err != nil || got.Traits().Root != dir {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestOverridesInTheirOrder(t *testing.T) {
	dir := root(t)
	t.Setenv("REGISTRY_STORAGE", "filesystem")
	t.Setenv("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", dir)
	if got, err := Resolve(write(t, "version: 0.1\nstorage: inmemory\n"), env(nil)); err != nil || got.Traits().Root != dir {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestInvalidOverrides(t *testing.T) {
	config := write(t, "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: "+root(t)+"\n    list: [a]\n")
	t.Run("a second driver", func(t *testing.T) {
		t.Setenv("REGISTRY_STORAGE_S3_BUCKET", "bucket")
		refused(t, config, env(nil), config, "two storage drivers", "filesystem and s3", "REGISTRY_STORAGE_")
	})
	t.Run("the parser panics", func(t *testing.T) {
		t.Setenv("REGISTRY_STORAGE_FILESYSTEM_LIST_1", "x")
		refused(t, config, env(nil), config, "parser fails")
	})
	t.Run("no YAML", func(t *testing.T) {
		t.Setenv("REGISTRY_STORAGE", "{")
		refused(t, config, env(nil), "REGISTRY_STORAGE")
	})
	t.Run("nothing", func(t *testing.T) {
		t.Setenv("REGISTRY_STORAGE", "")
		refused(t, config, env(nil), "names no driver")
	})
	t.Run("a secret of the wrong form", func(t *testing.T) {
		t.Setenv("REGISTRY_STORAGE_S3", "topsecret")
		refused(t, config, env(nil), "REGISTRY_STORAGE_S3")
		if _, err := Resolve(config, env(nil)); strings.Contains(err.Error(), "topsec") {
			t.Errorf("a secret is in %q", err)
		}
	})
}

func TestInvalidConfigs(t *testing.T) {
	for _, c := range []struct {
		name, content string
		words         []string
	}{
		{"empty", "", []string{"empty file"}},
		{"blank", "\n\n", []string{"neither a directory nor"}},
		{"a letter", "Dear registry,\n", []string{"neither a directory nor"}},
		{"a list", "- a\n- b\n", []string{"neither a directory nor"}},
		{"an image", "\x89PNG\r\n\x1a\n\x00", []string{"neither a directory nor"}},
		{"bad YAML", "version: 0.1\nstorage: {filesystem\n", []string{"neither a directory nor"}},
		{"compose file", "services: {registry: {image: registry}}\n", []string{"no storage section"}},
		{"no version", "storage: {filesystem: {rootdirectory: /x}}\n", []string{"version"}},
		{"unknown version", "version: 7.7\nstorage: {filesystem: {rootdirectory: /x}}\n", []string{"version", "7.7"}},
		{"no driver", "version: 0.1\nstorage: {delete: {enabled: true}}\n", []string{"names no driver"}},
		{"null", "version: 0.1\nstorage:\n", []string{"names no driver"}},
		{"a list of drivers", "version: 0.1\nstorage: [filesystem]\n", nil},
		{"unknown", "version: 0.1\nstorage:\n  delete: {}\n  floppy: {}\n", []string{"line 4", `"floppy"`, "filesystem and s3 are"}},
		{"azure", "version: 0.1\nstorage:\n  azure: {accountkey: hushhush}\n", []string{"line 3", "azure"}},
		{"inmemory", "version: 0.1\nstorage: inmemory\n", []string{"line 2", "memory", "nothing to check"}},
		{"two", "version: 0.1\nstorage:\n  filesystem: {}\n  s3: {secretkey: hushhush}\n", []string{"two storage drivers", "filesystem (line 3)", "s3 (line 4)"}},
		{"s3", "version: 0.1\nstorage:\n  s3: {secretkey: hushhush}\n", []string{"line 3", "s3", "no bucket is named"}},
		{"s3aws", "version: 0.1\nstorage:\n  s3aws: {secretkey: hushhush}\n", []string{"s3aws", "no bucket is named"}},
		{"s3_v2", "version: 0.1\nstorage:\n  s3_v2: {secretkey: hushhush}\n", []string{"s3_v2", "no bucket is named"}},
		{"secret of the wrong form", "version: 0.1\nstorage:\n  s3: [hushhush]\n", nil},
		{"relative", "version: 0.1\nstorage: {filesystem: {rootdirectory: data}}\n", []string{"line 2", "relative", "data"}},
		{"missing root", "version: 0.1\nstorage: {filesystem: {rootdirectory: /nope/nope}}\n", []string{"/nope/nope", "no such"}},
		{"an endless alias", "version: 0.1\nstorage: &a {filesystem: *a}\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := write(t, c.content)
			refused(t, config, env(nil), append(c.words, config)...)
			if _, err := Resolve(config, env(nil)); strings.Contains(err.Error(), "hush") {
				t.Errorf("a secret is in %q", err)
			}
		})
	}
	refused(t, write(t, "version: 0.1\n"+strings.Repeat("# too long\n", 100_000)), env(nil), "larger than 1 MiB")
}

func TestDefaultRoot(t *testing.T) {
	const usual = "/var/lib/registry"
	got, err := Resolve(write(t, "version: 0.1\nstorage: filesystem\n"), env(nil))
	if err == nil && got.String() != usual || err != nil && !strings.Contains(err.Error(), usual) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "REGISTRY_") {
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}
