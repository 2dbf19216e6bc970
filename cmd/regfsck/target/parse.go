package target

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	"go.yaml.in/yaml/v3"
)

// storage is what a registry takes from the storage part of its configuration.
type storage struct {
	driver     string
	root       string // of the driver filesystem
	parameters map[string]any
	cache      string // what remembers which blobs there are: "inmemory", "redis", or ""
	readOnly   bool
}

// defaultRoot is where the filesystem driver keeps its files unless told
// otherwise.
const defaultRoot = "/var/lib/registry"

// part is all of a configuration that the registry's parser gets to see.
type part struct {
	Version configuration.Version
	Storage configuration.Storage
}

// override is the variable that replaces a whole storage section. The finer
// ones, REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY and its like, begin with it.
const override = "REGISTRY_STORAGE"

// overridden reports whether the environment names a storage driver.
func overridden() bool {
	return slices.ContainsFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return name == override || strings.HasPrefix(name, override+"_")
	})
}

// parse reads the storage part of a configuration as the registry does. The
// parser panics on some input; that too is an error of the configuration.
func parse(file []byte) (s storage, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the registry's own parser fails on the storage section or its overrides %s_*: %s", override, secretless(fmt.Sprint(p)))
		}
	}()
	if file, err = replaced(file); err != nil {
		return s, err
	}
	// The parser takes every variable that begins with its prefix and drops the
	// first word of it, so this longer prefix gives it the storage overrides alone.
	parser := configuration.NewParser(strings.ToLower(override), []configuration.VersionedParseInfo{{
		Version:        configuration.CurrentVersion,
		ParseAs:        reflect.TypeFor[part](),
		ConversionFunc: func(c any) (any, error) { return c, nil },
	}})
	var p part
	if err := parser.Parse(file, &p); err != nil {
		return s, errors.New(secretless(err.Error()))
	}
	if names := driverNames(p.Storage); len(names) > 1 {
		return s, fmt.Errorf("the file and the overrides %s_* together name two storage drivers: %s; a registry has one",
			override, strings.Join(names, " and "))
	}
	s.driver = p.Storage.Type()
	s.root, s.parameters = defaultRoot, p.Storage.Parameters()
	if root, ok := p.Storage.Parameters()["rootdirectory"]; ok {
		s.root = fmt.Sprint(root)
	}
	for _, name := range []string{"layerinfo", "blobdescriptor"} { // the older name first
		if cache, ok := p.Storage["cache"][name]; ok {
			s.cache = fmt.Sprint(cache)
		}
	}
	switch mode := p.Storage["maintenance"]["readonly"].(type) {
	case map[any]any:
		s.readOnly = mode["enabled"] == true
	case map[string]any:
		s.readOnly = mode["enabled"] == true
	}
	return s, nil
}

// driverNames returns the keys of a storage section that name drivers, sorted.
func driverNames(s configuration.Storage) []string {
	names := slices.Sorted(maps.Keys(s))
	return slices.DeleteFunc(names, func(k string) bool { return slices.Contains(notDrivers, k) })
}

var quoted = regexp.MustCompile("`[^`]*`")

// secretless takes values, which a parser quotes, out of its complaint, and
// makes it one line.
func secretless(complaint string) string {
	return strings.Join(strings.Fields(quoted.ReplaceAllString(complaint, "`…`")), " ")
}

// replaced puts the value of the whole-section override into a configuration.
func replaced(file []byte) ([]byte, error) {
	payload, ok := os.LookupEnv(override)
	if !ok {
		return file, nil
	}
	var section yaml.Node
	if err := yaml.Unmarshal([]byte(payload), &section); err != nil {
		return nil, fmt.Errorf("%s: %w", override, err)
	}
	var version struct{ Version yaml.Node }
	if err := yaml.Unmarshal(file, &version); err != nil {
		return nil, err
	}
	return yaml.Marshal(struct{ Version, Storage *yaml.Node }{&version.Version, content(&section)})
}
