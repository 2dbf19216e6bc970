package target

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxConfig bounds the size of a file that is taken for a configuration.
const maxConfig = 1 << 20

// config finds the store that a registry's configuration names.
func config(path string, o Options) (Target, error) {
	file, err := readFile(path)
	if err != nil {
		return Target{}, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(file, &doc); err != nil {
		return Target{}, fmt.Errorf("%s is neither a folder nor a registry's configuration: %w", path, err)
	}
	top := content(&doc)
	if top == nil || top.Kind != yaml.MappingNode {
		return Target{}, fmt.Errorf("%s is neither a folder nor a registry's configuration", path)
	}
	storage := value(top, "storage")
	if storage == nil && !overridden() {
		return Target{}, fmt.Errorf("%s has no storage section: it is no registry's configuration", path)
	}
	if found := drivers(storage); len(found) > 1 {
		return Target{}, fmt.Errorf("%s configures two storage drivers: %s; a registry has one", path, strings.Join(places(found), " and "))
	}
	parsed, err := parse(file)
	if err != nil {
		return Target{}, fmt.Errorf("%s: %w", path, err)
	}
	t, err := place(path, parsed, drivers(storage), o)
	if err != nil {
		return Target{}, err
	}
	t.Config, err = filepath.Abs(path)
	set := settings{top, o.Getenv}
	t.Cache = set.text("proxy", "remoteurl") != ""
	t.Server, t.Redis = set.server(parsed.readOnly), set.redis(parsed.cache)
	t.Database, t.DatabaseUnlessMarked = set.database(t.Config)
	t.Harbor = set.harbor(t.Config)
	return t, err
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, sentence(path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	switch {
	case err != nil:
		return nil, sentence(path, err)
	case len(b) > maxConfig:
		return nil, fmt.Errorf("%s is neither a folder nor a registry's configuration: it is larger than 1 MiB", path)
	case len(b) == 0:
		return nil, fmt.Errorf("%s is an empty file: STORE is a folder or a registry's config.yml", path)
	}
	return b, nil
}

// driver is a storage driver that a configuration names, and in which line.
type driver struct {
	name string
	line int
}

// notDrivers are the keys of a storage section that name no driver.
var notDrivers = []string{"maintenance", "cache", "delete", "redirect", "tag"}

// drivers returns the storage drivers of a storage section, which may be nil.
func drivers(storage *yaml.Node) []driver {
	storage = content(storage)
	switch {
	case storage == nil:
		return nil
	case storage.Kind == yaml.ScalarNode && storage.Tag != "!!null":
		return []driver{{storage.Value, storage.Line}}
	case storage.Kind != yaml.MappingNode:
		return nil
	}
	var found []driver
	for i := 0; i+1 < len(storage.Content); i += 2 {
		if k := storage.Content[i]; !slices.Contains(notDrivers, k.Value) && k.Tag != "!!merge" {
			found = append(found, driver{k.Value, k.Line})
		}
	}
	return found
}

func places(found []driver) []string {
	var s []string
	for _, d := range found {
		s = append(s, fmt.Sprintf("%s (line %d)", d.name, d.line))
	}
	return s
}

// place finds where the configured driver keeps its files.
func place(path string, s storage, found []driver, o Options) (Target, error) {
	where := path
	for _, d := range found {
		if d.name == s.driver {
			where = fmt.Sprintf("%s, line %d", path, d.line)
		}
	}
	switch s.driver {
	case "filesystem":
		if !filepath.IsAbs(s.root) {
			return Target{}, fmt.Errorf("%s: rootdirectory %q is relative to wherever the registry is started: name the folder itself as STORE", where, s.root)
		}
		t, err := folder(s.root)
		if err != nil {
			return t, fmt.Errorf("the storage that %s configures: %w", path, err)
		}
		if t.Base != "" {
			return Target{}, fmt.Errorf("%s: rootdirectory %s is a registry's folder v2 itself, or holds it; the registry keeps its files in %s below its rootdirectory. To examine these files, name %s as STORE", where, s.root, inside, t.Root)
		}
		return t, nil
	case "s3", "s3aws", "s3_v2":
		b, err := ofParameters(s.parameters)
		if err != nil {
			return Target{}, fmt.Errorf("%s: storage driver %s: %w", where, s.driver, err)
		}
		return bucket(b, o), nil
	case "inmemory":
		return Target{}, fmt.Errorf("%s: storage driver inmemory keeps everything in the registry's memory: there is nothing to check", where)
	case "":
		return Target{}, fmt.Errorf("%s: the storage section names no driver", where)
	}
	return Target{}, fmt.Errorf("%s: storage driver %q is not one that regfsck can read (filesystem and s3 are)", where, s.driver)
}
