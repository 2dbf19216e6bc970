package location

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/backend/drivers"
	"regfsck/walker/layout"
)

// root creates a directory with a registry's layout.
func root(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(real(t), "registry")
	mkdir(t, dir, "docker/registry/v2/blobs")
	mkdir(t, dir, "docker/registry/v2/repositories")
	return dir
}

func real(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func mkdir(t *testing.T, parts ...string) string {
	t.Helper()
	dir := filepath.Join(parts...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(real(t), "config.yml")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// env returns options with these environment variables.
func env(values map[string]string, configs ...string) Options {
	return Options{
		Drivers: drivers.All(), Configs: configs,
		Values: backend.Values{Option: func(string) string { return "" }, Getenv: func(name string) string { return values[name] }},
	}
}

// refused fails unless STORE is refused with an error with all the words.
func refused(t *testing.T, store string, o Options, words ...string) {
	t.Helper()
	found, err := Resolve(store, o)
	if err == nil {
		t.Fatalf("%s was taken for %+v", store, found)
	}
	if found != (Location{}) {
		t.Errorf("a target comes with the error: %+v", found)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %q doesn't say %q", store, err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than one line", err)
	}
}

func TestPartsOfTheDirectory(t *testing.T) {
	dir := root(t)
	for _, part := range []string{"", "/", "/docker", "/docker/registry", "/docker/registry/v2", "/docker/registry/v2/", "/docker/registry/../registry/v2"} {
		got, err := Resolve(dir+part, env(nil))
		if err != nil || got.Traits().Root != dir || got.String() != dir || got.Cache {
			t.Errorf("%q: %+v, %v", part, got, err)
		}
	}
	t.Chdir(filepath.Join(dir, "docker/registry/v2"))
	for _, store := range []string{".", "..", "../../.."} {
		if got, err := Resolve(store, env(nil)); err != nil || got.Traits().Root != dir {
			t.Errorf("%q from within: %+v, %v", store, got, err)
		}
	}
}

func TestDirectoryInADirectoryOfTheSameName(t *testing.T) {
	outer := root(t)
	inner := filepath.Join(outer, "docker")
	mkdir(t, inner, "docker/registry/v2/blobs")
	if got, err := Resolve(inner, env(nil)); err != nil || got.Traits().Root != inner {
		t.Errorf("%+v, %v: a directory that holds a store is that store", got, err)
	}
}

func TestBlobsOrRepositoriesAlone(t *testing.T) {
	for _, part := range []string{"blobs", "repositories"} {
		dir := real(t)
		mkdir(t, dir, layout.Root, part)
		if _, err := Resolve(dir, env(nil)); err != nil {
			t.Errorf("only %s: %v", part, err)
		}
	}
}

func TestOtherDirectories(t *testing.T) {
	dir := real(t)
	refused(t, filepath.Join(dir, "nope"), env(nil), "no such file or directory")
	refused(t, mkdir(t, dir, "empty"), env(nil), "is an empty directory", "mounted")
	mkdir(t, dir, "other/docker")
	refused(t, filepath.Join(dir, "other"), env(nil), "holds no directory docker/registry/v2")
	refused(t, filepath.Join(dir, "other/docker"), env(nil), "empty directory")
	mkdir(t, dir, "bare", layout.Root)
	refused(t, filepath.Join(dir, "bare"), env(nil), "v2 is empty", "mounted")
	refused(t, filepath.Join(dir, "bare", layout.Root), env(nil), "v2 is empty")
	mkdir(t, dir, "strange", layout.Root, "things")
	refused(t, filepath.Join(dir, "strange"), env(nil), "neither blobs nor repositories")
	mkdir(t, dir, "layout/blobs/sha256")
	refused(t, filepath.Join(dir, "layout"), env(nil), "holds no directory docker/registry/v2")
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, filepath.Join(file, "below"), env(nil), "not a directory")
	refused(t, "/dev/null", env(nil), "neither a directory nor a file")
}

// TestAV2: a v2 directory alone is a store, by its path or its parent's; a link to one inside
// a whole store is that store.
func TestAV2(t *testing.T) {
	dir := real(t)
	v2 := mkdir(t, dir, "backup/v2")
	mkdir(t, v2, "blobs")
	mkdir(t, v2, "repositories/app/_layers")
	other := mkdir(t, dir, "other")
	mkdir(t, other, "blobs")
	mkdir(t, other, "repositories")
	for store, want := range map[string]string{v2: v2, filepath.Dir(v2): v2, other: other} {
		if got, err := Resolve(store, env(nil)); err != nil || got.Traits().Root != want || got.Traits().Base != layout.Root || got.String() != want {
			t.Errorf("%s: %+v, %v", store, got, err)
		}
	}
	whole := root(t)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(whole, layout.Root), link); err != nil {
		t.Fatal(err)
	}
	if got, err := Resolve(link, env(nil)); err != nil || got.Traits().Root != whole || got.Traits().Base != "" {
		t.Errorf("a link: %+v, %v", got, err)
	}
	refused(t, write(t, "version: 0.1\nstorage: {filesystem: {rootdirectory: "+v2+"}}\n"), env(nil), "rootdirectory", "name "+v2+" as STORE")
}

// TestBesideAStore: errors distinguish paths above or below a store from others.
func TestBesideAStore(t *testing.T) {
	dir := root(t)
	for _, part := range []string{"blobs", "repositories"} {
		refused(t, filepath.Join(dir, layout.Root, part), env(nil), "as a whole", "name "+dir)
	}
	deep := mkdir(t, dir, layout.Root, "repositories/app/_layers/sha256")
	refused(t, deep, env(nil), "as a whole", "name "+dir)
	refused(t, filepath.Dir(dir), env(nil), "below it", dir)
	refused(t, filepath.Dir(filepath.Dir(dir)), env(nil), "below it", dir)
	v2 := mkdir(t, real(t), "mounted/v2")
	mkdir(t, v2, "blobs")
	mkdir(t, v2, "repositories/app")
	refused(t, filepath.Join(v2, "repositories/app"), env(nil), "as a whole", "name "+v2)
}

func TestAddresses(t *testing.T) {
	refused(t, "s3://key:secret@bucket/prefix", env(nil), "s3://bucket/prefix", "keys don't belong")
	refused(t, "https://user:secret@host/v2/", env(nil), "https://host/v2", "an address s3://bucket/prefix")
	for _, store := range []string{"s3://key:secret@bucket/prefix", "https://user:secret@host/v2/", "s3://key:se@cret@bucket"} {
		if _, err := Resolve(store, env(nil)); strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "cret@") {
			t.Errorf("a secret is in %q", err)
		}
	}
}

func TestStoreLeftOut(t *testing.T) {
	dir := root(t)
	config := write(t, "version: 0.1\nstorage: {filesystem: {rootdirectory: "+dir+"}}\n")
	missing := filepath.Join(dir, "missing.yml")
	if got, err := Resolve("", env(nil, missing, config)); err != nil || got.Traits().Root != dir {
		t.Errorf("second place: %+v, %v", got, err)
	}
	if got, err := Resolve("", env(map[string]string{"REGISTRY_CONFIGURATION_PATH": config}, missing)); err != nil || got.Traits().Root != dir {
		t.Errorf("named by the environment: %+v, %v", got, err)
	}
	refused(t, "", env(nil, missing, missing+"2"), "no STORE", missing+" or "+missing+"2")
	refused(t, "", env(map[string]string{"REGISTRY_CONFIGURATION_PATH": missing}, config), "REGISTRY_CONFIGURATION_PATH", missing)
	refused(t, "", env(nil, write(t, "a: b"), config), "no storage section")
}
