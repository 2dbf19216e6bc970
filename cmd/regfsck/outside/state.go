package outside

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"

	"regfsck/backend"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
)

// StateName is the default state directory in a store's root: it holds journals and
// quarantined objects.
const StateName = backend.Own

// StateDir returns the absolute state directory of a store, without symbolic links. It may be
// beside a registry's files, but not among them.
func StateDir(given string, t location.Location, drivers []backend.Driver, getenv func(string) string) (string, error) {
	root := t.Traits().Root
	if given == "" && root == "" {
		return stateElsewhere(t, getenv)
	}
	if given == "" {
		return filepath.Join(root, StateName), nil
	}
	state, err := filepath.Abs(given)
	if err != nil {
		return "", failure.Misuse("", "--state %s: %w", given, err)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(state))
	if info, again := os.Stat(parent); err != nil || again != nil || !info.IsDir() {
		return "", failure.Misuse("", "--state %s: there is no directory %s to put it in", given, filepath.Dir(state))
	}
	state = filepath.Join(parent, filepath.Base(state))
	if root != "" && slices.ContainsFunc(location.Occupied(t, root), func(dir string) bool { return within(state, dir) }) {
		return "", failure.Misuse("", "--state %s: this is among the registry's own files", given)
	}
	if other := t.Intrudes(state, StateName, drivers); other != "" {
		return "", failure.Misuse("Give each store a state directory of its own.", "--state %s: this belongs to another store, %s", given, other)
	}
	return state, nil
}

// stateElsewhere returns the state directory of a store that can't hold one: a directory for
// each store in the user's state directory.
func stateElsewhere(t location.Location, getenv func(string) string) (string, error) {
	base := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", failure.Misuse("Name a directory for the journal with --state.", "%w", err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	sum := sha256.Sum256([]byte(t.Identity()))
	return filepath.Join(base, "regfsck", t.Traits().Label+"-"+hex.EncodeToString(sum[:4])), nil
}

// StateNamed returns the state directory of --state if STORE is not given.
func StateNamed(given string) (string, error) {
	state, err := filepath.Abs(given)
	if err == nil {
		state, err = filepath.EvalSymlinks(state)
	}
	if err != nil {
		return "", failure.Misuse("", "--state %w", failure.Unreadable(given, err))
	}
	return state, nil
}
