package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/backend/statedir"
	"regfsck/cmd/regfsck/target"
	"regfsck/graph"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
)

// stateName is the directory in a store's root that holds journals and what was
// taken away, unless --state names another.
const stateName = statedir.Name

var undos = []string{"auto", "none"}

// choiceFlags say what a plan is to be about.
func choiceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "only", Usage: "do nothing about findings other than `IDS` (separated by commas, repeatable)"},
		&cli.StringSliceFlag{Name: "skip", Usage: "do nothing about findings of these `IDS`"},
		&cli.StringSliceFlag{Name: "also", Usage: "cure findings of these `IDS` too, which is done only on request"},
		&cli.StringFlag{Name: "verify", Value: "manifests", DefaultText: "manifests", Usage: "hash `WHAT`: manifests only, or all blobs"},
		&cli.StringFlag{Name: "save-plan", Usage: "write the plan to `FILE`, for regfsck apply"},
	}
}

// consentFlags say what a run may do.
func consentFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "yes", Usage: "don't ask"},
		&cli.StringFlag{Name: "max-delete", Value: "25%", DefaultText: "25%", Usage: "refuse to remove more than `SHARE` of the blobs, manifests, tags, links or repositories; unless it is given, not where there are fewer than 1,000 of them"},
		&cli.BoolFlag{Name: "allow-tagless", Usage: "let manifests without a tag go though a database may hold their tags"},
		runningFlag(),
		&cli.StringFlag{Name: "undo", Value: "auto", DefaultText: "auto", Usage: "keep what goes for an undo, `WHETHER`: auto or none"},
		stateFlag(), leaseFlag(),
	}
}

func runningFlag() cli.Flag {
	return &cli.BoolFlag{Name: "registry-running-ok", Usage: "go on though a registry that isn't known to be read-only answers at the configured address"}
}

func leaseFlag() cli.Flag {
	return &cli.StringFlag{Name: "break-lease", Usage: "take a bucket from the run `ID`, which is surely dead"}
}

func stateFlag() cli.Flag {
	return &cli.StringFlag{Name: "state", Usage: "keep the journal and what goes in the folder `DIR`", DefaultText: stateName + " in the store's root"}
}

// consent is what a run may do, and where it keeps its traces.
type consent struct {
	limits apply.Limits
	keep   bool   // what goes is kept for an undo
	state  string // --state as given
	yes    bool

	breakLease string // the run whose lease of a bucket is to be given back, "" for none
}

func consentOf(c *cli.Context) (a consent, err error) {
	a = consent{state: c.String("state"), yes: c.Bool("yes"), breakLease: c.String("break-lease")}
	undo, err := oneOf(c, "undo", undos)
	if err != nil {
		return a, err
	}
	a.keep = undo != "none"
	a.limits = apply.Limits{
		MinObjects: apply.DefaultMinObjects, AllowTagless: c.Bool("allow-tagless"),
		RunningOK: c.Bool("registry-running-ok"), NoUndoOK: !a.keep,
	}
	if !has(c, "max-delete") {
		a.limits.AnyAmount, a.limits.MaxDelete = true, apply.DefaultMaxDelete
		return a, nil
	}
	if c.IsSet("max-delete") { // what a person says holds for small stores too
		a.limits.MinObjects = 0
	}
	if a.limits.MaxDelete, err = share(c.String("max-delete")); err != nil {
		return a, misuse(seeHelp(c.Command.Name), "--max-delete %w", err)
	}
	return a, nil
}

// share reads a percentage from 0 to 100 and returns it as a part of 1.
func share(s string) (float64, error) {
	digits, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || !(n >= 0 && n <= 100) {
		return 0, fmt.Errorf("is a share like 25%%, not %q", s)
	}
	return n / 100, nil
}

// stateDir returns the absolute state directory of a store, without links on the
// way to it. It may stand beside a registry's files, but not among them.
func (s *session) stateDir(given string, t target.Target) (string, error) {
	if given == "" && t.Bucket != nil {
		return s.stateOfBucket(t)
	}
	if given == "" {
		return filepath.Join(t.Root, stateName), nil
	}
	state, err := filepath.Abs(given)
	if err != nil {
		return "", misuse("", "--state %s: %w", given, err)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(state))
	if info, again := os.Stat(parent); err != nil || again != nil || !info.IsDir() {
		return "", misuse("", "--state %s: there is no folder %s to put it in", given, filepath.Dir(state))
	}
	state = filepath.Join(parent, filepath.Base(state))
	if t.Bucket == nil && slices.ContainsFunc(t.Occupied(), func(dir string) bool { return within(state, dir) }) {
		return "", misuse("", "--state %s: this is among the registry's own files", given)
	}
	if other := t.Intrudes(state, stateName); other != "" {
		return "", misuse("Give each store a state directory of its own.", "--state %s: this belongs to another store, %s", given, other)
	}
	return state, nil
}

// stateOfBucket returns the state directory of a bucket, which holds none: one for
// each store, where the user keeps such things on this machine.
func (s *session) stateOfBucket(t target.Target) (string, error) {
	base := s.getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", misuse("Say with --state where the journal is to stand.", "%w", err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	sum := sha256.Sum256([]byte(t.Identity(s.getenv)))
	return filepath.Join(base, "regfsck", t.Bucket.Bucket+"-"+hex.EncodeToString(sum[:4])), nil
}

// choice fills in the findings that a plan is about.
func choice(c *cli.Context, p *graph.Policy) error {
	only, err := idsOf(c, "only")
	if err != nil {
		return err
	}
	skip, err := idsOf(c, "skip")
	if err != nil {
		return err
	}
	also, err := idsOf(c, "also")
	if err != nil {
		return err
	}
	for id := range finding.Kinds {
		p.Left[id] = slices.Contains(skip, id) || len(only) > 0 && !slices.Contains(only, id)
		p.Also[id] = slices.Contains(also, id)
		switch {
		case p.Also[id] && !id.OnRequest():
			return misuse("regfsck explain "+id.String()+" says what can be done about it.", "--also %v: this is not done on request%s", id, requests())
		case p.Also[id] && p.Left[id]:
			return misuse(seeHelp(c.Command.Name), "--also %v: --only or --skip leaves it out", id)
		}
	}
	return nil
}

// requests names what --also takes.
func requests() string {
	var names []string
	for id := range finding.Kinds {
		if id.OnRequest() {
			names = append(names, id.String())
		}
	}
	return "; on request are " + strings.Join(names, ", ")
}

// idsOf reads a flag of findings' ids.
func idsOf(c *cli.Context, flag string) (ids []finding.Kind, err error) {
	for _, value := range c.StringSlice(flag) {
		for name := range strings.SplitSeq(value, ",") {
			id, ok := finding.Parse(strings.TrimSpace(name))
			if !ok || id.Severity() == finding.Asked {
				return nil, misuse("regfsck explain lists all of them.", "--%s: there is no finding %q%s", flag, name, orNearest(name, findingNames(), ""))
			}
			ids = append(ids, id)
		}
	}
	return ids, nil
}
