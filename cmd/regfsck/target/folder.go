package target

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// inside is where a registry keeps its files, below its root folder.
const inside = "docker/registry/v2"

// folder finds the root of the store that a folder is, or is a part of.
func folder(store string) (Target, error) {
	abs, err := filepath.Abs(store)
	if err != nil {
		return Target{}, fmt.Errorf("%s: %w", store, err)
	}
	root := rootOf(abs)
	v2 := filepath.Join(root, inside)
	if _, err := os.Stat(v2); err != nil {
		return Target{}, noRegistry(store, abs, err)
	}
	for _, dir := range [...]string{root, v2} {
		if _, err := names(dir); err != nil {
			return Target{}, sentence(dir, err)
		}
	}
	for _, part := range [...]string{"blobs", "repositories"} {
		if _, err := os.Lstat(filepath.Join(v2, part)); err == nil {
			return Target{Root: root, Name: root}, nil
		}
	}
	if found, _ := names(v2); len(found) == 0 {
		return Target{}, fmt.Errorf("%s is empty: either the registry has stored nothing yet, or its disk is not mounted", v2)
	}
	return Target{}, fmt.Errorf("%s holds neither blobs nor repositories: this is not a registry's storage", v2)
}

// rootOf climbs out of the folders that a registry makes.
func rootOf(abs string) string {
	if isDir(filepath.Join(abs, inside)) {
		return abs
	}
	for _, part := range [...]string{inside, "docker/registry", "docker"} {
		root, ok := strings.CutSuffix(filepath.ToSlash(abs), "/"+part)
		if !ok {
			continue
		}
		if root = filepath.FromSlash(root); root == "" {
			root = string(filepath.Separator)
		}
		if isDir(filepath.Join(root, inside)) {
			return root
		}
	}
	return abs
}

// noRegistry says what a folder is that holds no docker/registry/v2.
func noRegistry(store, abs string, err error) error {
	if !errors.Is(err, os.ErrNotExist) {
		return sentence(store, err)
	}
	found, err := names(abs)
	switch {
	case err != nil:
		return sentence(store, err)
	case len(found) == 0:
		return fmt.Errorf("%s is an empty folder: is its disk mounted?", store)
	case isDir(filepath.Join(abs, "blobs")) && isDir(filepath.Join(abs, "repositories")):
		return fmt.Errorf("%s looks like the inner part of a registry's storage, which must stand in a folder %s: put it there, and name the folder that holds docker", store, inside)
	}
	return fmt.Errorf("%s holds no folder %s: this is not a registry's storage (STORE is the folder that a registry's configuration calls rootdirectory)", store, inside)
}

// names returns one name of what a folder holds, if it holds anything.
func names(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	found, err := d.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return found, err
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
