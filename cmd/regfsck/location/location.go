// Package location turns what an operator writes for STORE into the place where a
// registry's files stand.
//
// STORE is a path or an address that one of the drivers understands, or a registry's
// own configuration. Of a configuration only the storage part goes through the
// registry's own parser, with the overrides of the environment that the registry
// itself would heed; the rest is read leniently or not at all, since a typing error
// under "health" is no reason not to look at a broken store. The package knows no
// driver by name: what each needs is a backend.Driver.
//
// Every error is a sentence for the operator that says what is wrong and where,
// and means that nothing was read. No error and no name holds a credential.
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

// Location is a store that was found, and what the configuration that names it says.
type Location struct {
	backend.Location

	Driver *backend.Driver // that found it
	Config string          // the configuration, absolute; "" where the store itself was named
	Cache  bool            // the configuration makes the registry a pull-through cache
	Server Server          // where the configured registry answers
	Redis  string          // the address of the Redis that remembers which blobs there are; "" if there is none

	// Its host, port and database, as in "localhost:6379/0"; "" where the configuration
	// names none, or several servers.
	RedisDatabase string

	// What says, in the configuration or in a variable over it, that links or tags
	// are in a database: "database.enabled in /etc/…"; "" where nothing does.
	Database             string // of links, as GitLab's registry can keep them
	DatabaseUnlessMarked bool   // only where no file marks the store as one whose links are files
	Harbor               string // Harbor's own, whose tags are in its database
}

// Path returns where the key of a store on this machine is in the filesystem.
func (l Location) Path(key string) string {
	t := l.Traits()
	return filepath.Join(t.Root, filepath.FromSlash(strings.TrimPrefix(key, t.Base)))
}

// Occupied returns the directories of a store on this machine in which only a
// registry's own files may stand, if its root is at root.
func Occupied(store backend.Location, root string) []string {
	if store.Traits().Base == "" {
		return []string{filepath.Join(root, "docker")}
	}
	return []string{filepath.Join(root, "blobs"), filepath.Join(root, "repositories")}
}

// Source returns what to say for STORE to find the same store again: the
// configuration, or else the path or address.
func (l Location) Source() string {
	if l.Config != "" {
		return l.Config
	}
	return l.String()
}

// Options are the surroundings in which STORE is understood. The overrides
// REGISTRY_STORAGE_* are always those of the process, since the registry's
// parser reads them there.
type Options struct {
	Drivers []backend.Driver
	Values  backend.Values
	Configs []string // tried in this order when STORE is left out
}

// Defaults returns the configurations that registries read when none is named.
func Defaults() []string {
	return []string{"/etc/distribution/config.yml", "/etc/docker/registry/config.yml"}
}

// Forms returns the forms of the addresses that drivers understand, for people.
func Forms(drivers []backend.Driver) string {
	var forms []string
	for _, d := range drivers {
		if d.Form != "" {
			forms = append(forms, d.Form)
		}
	}
	return strings.Join(forms, " or ")
}

// Resolve finds the store that STORE names; "" stands for a STORE left out.
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

// byAddress has a driver find the store of an address or a path.
func byAddress(d *backend.Driver, store string, v backend.Values) (Location, error) {
	l, err := d.Parse(store, v)
	return found(d, l, err)
}

// found returns what a driver has found.
func found(d *backend.Driver, store backend.Location, err error) (Location, error) {
	if err != nil {
		return Location{}, err
	}
	return Location{Location: store, Driver: d}, nil
}

// byDefault looks where a registry looks for its configuration.
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

// Intrudes returns the root of another store among whose files a path stands, or in
// whose own directory of the name own; "" for none. The path has no links on its way.
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
