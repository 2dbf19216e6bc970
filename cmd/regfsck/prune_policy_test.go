package main

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/retention"
	"regfsck/fixtures"
	"regfsck/graph/retain"
)

// ofFlags parses a policy from a command line.
func ofFlags(t *testing.T, args ...string) (p retain.Policy, err error) {
	t.Helper()
	app := &cli.App{Flags: ruleFlags(retain.Rows()), ExitErrHandler: func(*cli.Context, error) {}, Action: func(c *cli.Context) error {
		p, err = policyGiven(c, retain.Rows())
		return nil
	}}
	if broke := app.Run(append([]string{"prune"}, args...)); broke != nil {
		t.Fatal(broke)
	}
	return p, err
}

// TestFlagsAndFileAgree: each rule means the same as a flag and as a key, with one value and
// with a list.
func TestFlagsAndFileAgree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yml")
	for flags, file := range map[string]string{
		"--keep-last 3":                                  "- keep-last: 3",
		"--keep-last all --time created":                 "- {keep-last: all, time: created}",
		"--keep-hourly 1 --keep-daily 2":                 "- keep-hourly: 1\n  keep-daily: \"2\"",
		"--keep-weekly 4 --keep-monthly 5":               "- keep-weekly: 4\n  keep-monthly: 5",
		"--keep-yearly 10 --keep-within 1y6mo":           "- keep-yearly: 10\n  keep-within: 1y6mo",
		"--keep-newer-than 90d":                          "- keep-newer-than: 90d",
		"--keep-list a --keep-list - --keep-list-age 2d": "- keep-list: [a, \"-\"]\n  keep-list-age: 2d",
		"--keep-semver major:3,minor:2,patch:1":          "- keep-semver: major:3,minor:2,patch:1",
		"--honour-expiry --keep-last 2":                  "- honour-expiry: true\n  keep-last: 2",
		"--keep-last 2":                                  "- honour-expiry: false\n  keep-last: 2",
		"--keep-pulled-within 90d --pulled-log a --pulled-log b.*.gz --pulled-log-gap 3d": "- keep-pulled-within: 90d\n  pulled-log: [a, b.*.gz]\n  pulled-log-gap: 3d",
		"--keep-tags ^v --keep-tags a|b":                      "- keep-tags: [^v, a|b]",
		"--keep-tags ^v":                                      "- keep-tags: ^v",
		"--keep-untagged-within 7d --keep-last 010":           "- keep-untagged-within: 7d\n  keep-last: 010",
		"--keep-last 1 --may-remove latest --may-remove pr-*": "- keep-last: 1\n  may-remove: [latest, pr-*]",
		"--repo app/** --exclude-repo app/old --keep-last 2":  "- repo: app/**\n  exclude-repo: app/old\n  keep-last: 2",
	} {
		fromFlags, err := ofFlags(t, strings.Fields(flags)...)
		if err != nil {
			t.Errorf("%s: %v", flags, err)
		}
		write(t, path, "version: 1\nrules:\n"+file+"\n")
		fromFile, err := retention.ReadPolicy(path, retain.Rows())
		if err != nil || !reflect.DeepEqual(fromFlags, fromFile) {
			t.Errorf("%s is %+v, and %s is %+v, %v", flags, fromFlags, file, fromFile, err)
		}
	}
}

// TestInvalidPolicies: invalid policies are refused.
func TestInvalidPolicies(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.yml")
	write(t, good, "version: 1\nrules: [{keep-last: 1}]\n")
	for args, want := range map[string]string{
		"--keep-last 0":                    "keeps nothing",
		"--keep-within 30m":                "mo",
		"--keep-last -1":                   "--keep-last",
		"--keep-tags (":                    "--keep-tags (",
		"--time today --keep-last 1":       "--time today",
		"--keep-last 1 --policy " + good:   "either in the file or as flags",
		"--policy " + dir + "/missing.yml": "no such file",
	} {
		if _, err := ofFlags(t, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// TestARowMakesARule: a new row of the table is a flag, a key of a policy file and a property
// of its schema, and its rule applies.
func TestARowMakesARule(t *testing.T) {
	f := newFix(t, fixtures.Standard())
	f.rules = append(retain.Rows(), retain.Row{
		Name: "keep-releases", Value: "N", Form: retain.FormCount,
		Usage: "keep `N` releases", Describe: "Keep that many releases.",
		Set: func(r *retain.Rule, v string) (err error) {
			r.Last, err = retain.ParseCount(v)
			return err
		},
	})
	write(t, f.dir+"/policy.yml", "version: 1\nrules: [{keep-releases: 1}]\n")
	want := f.prune(t, "--keep-last", "1")
	for _, words := range [][]string{{"--keep-releases", "1"}, {"--policy", "DIR/policy.yml"}} {
		if got := f.prune(t, words...); got.Plan != want.Plan || len(got.Tags) == 0 || !reflect.DeepEqual(got.Tags, want.Tags) {
			t.Errorf("%s: %+v\nwant %+v", words, got, want)
		}
	}
	if f.run("prune", "--help"); !strings.Contains(f.out.String(), "--keep-releases N") {
		t.Errorf("the help is %s", f.out.String())
	}
	if f.run("prune", "--schema"); !strings.Contains(f.out.String(), `"keep-releases": {"description": "Keep that many releases.", "$ref": "#/$defs/count"}`) {
		t.Errorf("the schema is %s", f.out.String())
	}
}
