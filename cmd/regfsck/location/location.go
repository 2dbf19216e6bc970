// Package location resolves STORE to the location of a registry's storage.
//
// STORE is a path or address that a driver accepts, or a registry's configuration. The
// storage section of a configuration is parsed by the registry's own parser, with its
// overrides from the environment. The rest is read leniently or not at all: an error in
// another section is no reason not to check a store. The package knows no driver by name.
//
// Each error is a sentence for the operator: what is wrong and where. Errors and
// names hold no credentials.
package location

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regfsck/backend"
)

// Location is a store, with facts of the configuration that names it.
type Location struct {
	backend.Location

	Driver *backend.Driver // that resolved it
	Config string          // path of the configuration, absolute; "" if the store itself was named
	Cache  bool            // the registry is a pull-through cache
	Server Server          // the configured registry's address
	Redis  string          // the address of the cache of blob descriptors in Redis; "" if there is none

	// Host, port and database of the Redis, such as "localhost:6379/0"; "" if the
	// configuration has none, or several servers.
	RedisDatabase string

	// The setting or variable that puts links or tags into a database, such as
	// "database.enabled in /etc/…"; "" for none.
	Database             string // of links, in GitLab's registry
	DatabaseUnlessMarked bool   // only if no file marks the store's metadata as files
	Harbor               string // Harbor's, which holds its tags
}

// Path returns the path of a key of a store on this machine.
func (l Location) Path(key string) string {
	t := l.Traits()
	return filepath.Join(t.Root, filepath.FromSlash(strings.TrimPrefix(key, t.Base)))
}

// Occupied returns the directories of a registry's own files, for a store on this machine
// with that root.
func Occupied(store backend.Location, root string) []string {
	if store.Traits().Base == "" {
		return []string{filepath.Join(root, "docker")}
	}
	return []string{filepath.Join(root, "blobs"), filepath.Join(root, "repositories")}
}

// Source returns the argument STORE for the same store: the configuration, or the path or
// address.
func (l Location) Source() string {
	if l.Config != "" {
		return l.Config
	}
	return l.String()
}

// Options is the context in which STORE is resolved. The overrides REGISTRY_STORAGE_* are
// always those of the process, since the registry's parser reads them there.
type Options struct {
	Drivers []backend.Driver
	Values  backend.Values
	Configs []string // tried in this order if STORE is ""
}

// Defaults returns the configuration files that registries read by default.
func Defaults() []string {
	return []string{"/etc/distribution/config.yml", "/etc/docker/registry/config.yml"}
}

// Forms describes the addresses that drivers accept.
func Forms(drivers []backend.Driver) string {
	var forms []string
	for _, d := range drivers {
		if d.Form != "" {
			forms = append(forms, d.Form)
		}
	}
	return strings.Join(forms, " or ")
}

// Resolve returns the store that STORE names; "" stands for the default configurations.
func Resolve(store string, o Options) (Location, error) {
	if store == "" {
		return byDefault(o)
	}
	if scheme, _, ok := strings.Cut(store, "://"); ok {
		if at := slices.IndexFunc(o.Drivers, func(d backend.Driver) bool { return d.Scheme == scheme }); at >= 0 && scheme != "" {
			return byAddress(&o.Drivers[at], store, o.Values)
		}
		return Location{}, fmt.Errorf("%s: STORE is a directory, an address %s, or a registry's config.yml", backend.HideUser(store), Forms(o.Drivers))
	}
	info, err := os.Stat(store)
	switch {
	case err != nil:
		return Location{}, backend.Unusable(store, err)
	case info.IsDir():
		at := slices.IndexFunc(o.Drivers, func(d backend.Driver) bool { return d.Scheme == "" })
		return byAddress(&o.Drivers[at], store, o.Values)
	case info.Mode().IsRegular():
		return config(store, o)
	}
	return Location{}, fmt.Errorf("%s is neither a directory nor a file", store)
}

// byAddress resolves an address or path with a driver.
func byAddress(d *backend.Driver, store string, v backend.Values) (Location, error) {
	l, err := d.Parse(store, v)
	return found(d, l, err)
}

// found returns a Location for a driver's result.
func found(d *backend.Driver, store backend.Location, err error) (Location, error) {
	if err != nil {
		return Location{}, err
	}
	return Location{Location: store, Driver: d}, nil
}

// byDefault resolves the first default configuration that exists.
func byDefault(o Options) (Location, error) {
	if named := o.Values.Getenv("REGISTRY_CONFIGURATION_PATH"); named != "" {
		l, err := config(named, o)
		if err != nil {
			return l, fmt.Errorf("REGISTRY_CONFIGURATION_PATH: %w", err)
		}
		return l, nil
	}
	for _, path := range o.Configs {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return config(path, o)
		}
	}
	return Location{}, fmt.Errorf("no STORE was given, and there is no registry configuration at %s: say where the registry's files are, for example /var/lib/registry",
		strings.Join(o.Configs, " or "))
}

// Intrudes returns the root of another store whose files include path, or whose directory own
// does; "" for none. path has no symbolic links.
func (l Location) Intrudes(path, own string, drivers []backend.Driver) (root string) {
	for at := path; ; at = filepath.Dir(at) {
		for _, d := range drivers {
			if d.At == nil {
				continue
			}
			other := d.At(at)
			if other == nil || l.is(other) {
				continue
			}
			root := other.Traits().Root
			mine := append(Occupied(other, root), filepath.Join(root, own))
			if slices.ContainsFunc(mine, func(dir string) bool { return backend.Within(path, dir) }) {
				return root
			}
		}
		if at == filepath.Dir(at) {
			return ""
		}
	}
}

// is reports whether two stores on this machine have the same directory.
func (l Location) is(other backend.Location) bool {
	mine := l.Traits().Root
	if mine == "" {
		return false
	}
	a, err := os.Stat(mine)
	b, again := os.Stat(other.Traits().Root)
	return err == nil && again == nil && os.SameFile(a, b)
}
