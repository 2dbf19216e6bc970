package location

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	"go.yaml.in/yaml/v3"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/cmd/regfsck/yamldoc"
)

// maxConfig is the most bytes of a configuration file.
const maxConfig = 1 << 20

// config returns the store of a registry's configuration.
func config(path string, o Options) (Location, error) {
	file, err := readFile(path)
	if err != nil {
		return Location{}, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(file, &doc); err != nil {
		return Location{}, fmt.Errorf("%s is neither a directory nor a registry's configuration: %w", path, err)
	}
	top := yamldoc.Content(&doc)
	if top == nil || top.Kind != yaml.MappingNode {
		return Location{}, fmt.Errorf("%s is neither a directory nor a registry's configuration", path)
	}
	storage := value(top, "storage")
	if storage == nil && !overridden() {
		return Location{}, fmt.Errorf("%s has no storage section: it is no registry's configuration", path)
	}
	if named := driversOf(storage); len(named) > 1 {
		return Location{}, fmt.Errorf("%s configures two storage drivers: %s; a registry has one", path, strings.Join(words.All(named, driver.String), " and "))
	}
	parsed, err := parse(file)
	if err != nil {
		return Location{}, fmt.Errorf("%s: %w", path, err)
	}
	t, err := place(path, parsed, driversOf(storage), o)
	if err != nil {
		return Location{}, err
	}
	t.Config, err = filepath.Abs(path)
	set := settings{top, o.Values.Getenv}
	t.Cache = set.text("proxy", "remoteurl") != ""
	t.Server, t.Redis = set.server(parsed.readOnly), set.redis(parsed.cache)
	if t.Redis != "" {
		t.RedisDatabase = set.redisDatabase()
	}
	t.Database, t.DatabaseUnlessMarked = set.database(t.Config)
	t.Harbor = set.harbor(t.Config)
	return t, err
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, backend.Unusable(path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	switch {
	case err != nil:
		return nil, backend.Unusable(path, err)
	case len(b) > maxConfig:
		return nil, fmt.Errorf("%s is neither a directory nor a registry's configuration: it is larger than 1 MiB", path)
	case len(b) == 0:
		return nil, fmt.Errorf("%s is an empty file: STORE is a directory or a registry's config.yml", path)
	}
	return b, nil
}

// driver is a storage driver in a configuration, and its line.
type driver struct {
	name string
	line int
}

func (d driver) String() string { return fmt.Sprintf("%s (line %d)", d.name, d.line) }

// notDrivers are the keys of a storage section that aren't drivers.
var notDrivers = []string{"maintenance", "cache", "delete", "redirect", "tag"}

// driversOf returns the drivers of a storage section, which may be nil.
func driversOf(storage *yaml.Node) []driver {
	storage = yamldoc.Content(storage)
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

// place returns the location of the configured driver.
func place(path string, s storage, named []driver, o Options) (Location, error) {
	where := path
	for _, d := range named {
		if d.name == s.driver {
			where = fmt.Sprintf("%s, line %d", path, d.line)
		}
	}
	var known []string
	for i := range o.Drivers {
		d := &o.Drivers[i]
		if slices.Contains(d.ConfigNames, s.driver) {
			l, err := d.FromConfig(backend.Config{File: path, Where: where, Name: s.driver, Parameters: s.parameters}, o.Values)
			return found(d, l, err)
		}
		if len(d.ConfigNames) > 0 {
			known = append(known, d.ConfigNames[0])
		}
	}
	switch s.driver {
	case "inmemory":
		return Location{}, fmt.Errorf("%s: storage driver inmemory keeps everything in the registry's memory: there is nothing to check", where)
	case "":
		return Location{}, fmt.Errorf("%s: the storage section names no driver", where)
	}
	return Location{}, fmt.Errorf("%s: storage driver %q is not one that regfsck can read (%s are)", where, s.driver, strings.Join(known, " and "))
}

// storage is what the registry's parser returns of the storage section.
type storage struct {
	driver     string
	parameters map[string]any
	cache      string // the cache of blob descriptors: "inmemory", "redis", or ""
	readOnly   bool
}

// part is the part of a configuration that the registry's parser gets.
type part struct {
	Version configuration.Version
	Storage configuration.Storage
}

// override is the variable that replaces the storage section. The names of those for single
// keys, such as REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY, begin with it.
const override = "REGISTRY_STORAGE"

// overridden reports whether the environment names a storage driver.
func overridden() bool {
	return slices.ContainsFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return name == override || strings.HasPrefix(name, override+"_")
	})
}

// parse parses the storage section as the registry does. A panic of the parser is returned as
// an error.
func parse(file []byte) (s storage, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the registry's own parser fails on the storage section or its overrides %s_*: %s", override, secretless(fmt.Sprint(p)))
		}
	}()
	if file, err = replaced(file); err != nil {
		return s, err
	}
	// The parser takes every variable with its prefix and drops the prefix's first word, so
	// this longer prefix gives it only the storage overrides.
	parser := configuration.NewParser(strings.ToLower(override), []configuration.VersionedParseInfo{{
		Version:        configuration.CurrentVersion,
		ParseAs:        reflect.TypeFor[part](),
		ConversionFunc: func(c any) (any, error) { return c, nil },
	}})
	var p part
	if err := parser.Parse(file, &p); err != nil {
		return s, errors.New(secretless(err.Error()))
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(p.Storage)), func(k string) bool { return slices.Contains(notDrivers, k) })
	if len(names) > 1 {
		return s, fmt.Errorf("the file and the overrides %s_* together name two storage drivers: %s; a registry has one",
			override, strings.Join(names, " and "))
	}
	s.driver = p.Storage.Type()
	s.parameters = p.Storage.Parameters()
	for _, name := range []string{"layerinfo", "blobdescriptor"} { // the older name
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

var quoted = regexp.MustCompile("`[^`]*`")

// secretless removes quoted values from a parser's error and joins its lines.
func secretless(complaint string) string {
	return strings.Join(strings.Fields(quoted.ReplaceAllString(complaint, "`…`")), " ")
}

// replaced applies the override of the whole section to a configuration.
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
	return yaml.Marshal(struct{ Version, Storage *yaml.Node }{&version.Version, yamldoc.Content(&section)})
}
