// Package target turns what an operator writes for STORE into the place where a
// registry's files stand.
//
// STORE is a folder, an address like s3://bucket/prefix, or a registry's own
// configuration. A folder may be the one that the configuration calls
// rootdirectory, or docker/registry/v2 inside it, or anything between; or a v2
// that was mounted or copied elsewhere, or the folder that holds it. Of a configuration only the storage part goes through
// the registry's own parser, with the overrides of the environment that the
// registry itself would heed; the rest is read leniently or not at all, since a
// typing error under "health" is no reason not to look at a broken store.
//
// Every error is a sentence for the operator that says what is wrong and where,
// and means that nothing was read. No error and no Name holds a credential.
package target

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"regfsck/backend/s3"
)

// Target is a store that was found.
type Target struct {
	Root   string      // the folder that holds docker/registry/v2, or is that itself, absolute; "" for a bucket
	Base   string      // the key of Root: "" for the store's root, or "docker/registry/v2"
	Bucket *s3.Options // where the bucket is, and how to ask it; nil for a folder
	Name   string      // the store in words, for reports: a folder, or s3://bucket/prefix
	Cache  bool        // the configuration makes the registry a pull-through cache

	Config string // the configuration, absolute; "" where the folder itself was named
	Server Server // where the configured registry answers
	Redis  string // the address of the Redis that remembers which blobs there are; "" if there is none

	// What says, in the configuration or in a variable over it, that links or tags
	// are in a database: "database.enabled in /etc/…"; "" where nothing does.
	Database             string // of links, as GitLab's registry can keep them
	DatabaseUnlessMarked bool   // only where no file marks the store as one whose links are files
	Harbor               string // Harbor's own, whose tags are in its database
}

// Path returns where the key of a folder's store is in the filesystem.
func (t Target) Path(key string) string {
	return filepath.Join(t.Root, filepath.FromSlash(strings.TrimPrefix(key, t.Base)))
}

// Occupied returns the directories of a folder's store in which only a
// registry's own files may stand.
func (t Target) Occupied() []string {
	if t.Base == "" {
		return []string{filepath.Join(t.Root, "docker")}
	}
	return []string{filepath.Join(t.Root, "blobs"), filepath.Join(t.Root, "repositories")}
}

// Source returns what to say for STORE to find the same store again: the
// configuration, or else the folder or address.
func (t Target) Source() string {
	if t.Config != "" {
		return t.Config
	}
	return t.Name
}

// Options are the surroundings in which STORE is understood. The overrides
// REGISTRY_STORAGE_* are always those of the process, since the registry's
// parser reads them there.
type Options struct {
	Getenv  func(name string) string
	Configs []string // tried in this order when STORE is left out
	Bucket  Bucket
}

// Defaults returns the configurations that registries read when none is named.
func Defaults() []string {
	return []string{"/etc/distribution/config.yml", "/etc/docker/registry/config.yml"}
}

// Resolve finds the store that STORE names; "" stands for a STORE left out.
func Resolve(store string, o Options) (Target, error) {
	if store == "" {
		return byDefault(o)
	}
	if scheme, _, ok := strings.Cut(store, "://"); ok {
		if scheme == "s3" {
			return address(store, o)
		}
		return Target{}, fmt.Errorf("%s: STORE is a folder, an address s3://bucket/prefix, or a registry's config.yml", hideUser(store))
	}
	info, err := os.Stat(store)
	switch {
	case err != nil:
		return Target{}, sentence(store, err)
	case info.IsDir():
		return folder(store)
	case info.Mode().IsRegular():
		return config(store, o)
	}
	return Target{}, fmt.Errorf("%s is neither a folder nor a file", store)
}

// byDefault looks where a registry looks for its configuration.
func byDefault(o Options) (Target, error) {
	if named := o.Getenv("REGISTRY_CONFIGURATION_PATH"); named != "" {
		t, err := config(named, o)
		if err != nil {
			return t, fmt.Errorf("REGISTRY_CONFIGURATION_PATH: %w", err)
		}
		return t, nil
	}
	for _, path := range o.Configs {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return config(path, o)
		}
	}
	return Target{}, fmt.Errorf("no STORE was given, and there is no registry configuration at %s: say where the registry's files are, for example /var/lib/registry",
		strings.Join(o.Configs, " or "))
}

// sentence says why a file or folder can't be used.
func sentence(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no such file or folder", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: no permission to read it: run regfsck as the registry's user, or as root", path)
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// hideUser cuts the user part, which may hold a password, out of an address.
func hideUser(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	host, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	return strings.TrimSuffix(scheme+"://"+host+"/"+path, "/")
}
