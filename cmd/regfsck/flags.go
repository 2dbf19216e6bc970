package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/location"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/report"
	"regfsck/walker/ledger"
)

var (
	colors   = []string{"auto", "always", "never"}
	failOns  = []string{"error", "warning", "garbage", "never"}
	verifies = []string{"manifests", "all"} // of a fix
)

func colorFlag() cli.Flag {
	return &cli.StringFlag{Name: "color", Value: "auto", DefaultText: "auto", Usage: "use colour `WHEN`: auto, always or never"}
}

func noPagerFlag() cli.Flag {
	return &cli.BoolFlag{Name: "no-pager", Usage: "show a long answer at once, not page by page"}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "write one JSON document to stdout and nothing else"}
}

// outputFlags say how the answer is to be given.
func outputFlags() []cli.Flag {
	return group(aboutOutput,
		jsonFlag(),
		&cli.StringSliceFlag{Name: "report", Usage: "also write the answer to `FILE`, in the form that its ending names: .json, .csv, .md, .html, .prom or .junit.xml (repeatable)"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "write nothing but errors and the verdict"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "show every key of a plan"},
		&cli.BoolFlag{Name: "full-paths", Usage: "show paths and digests whole on a terminal"},
		&cli.BoolFlag{Name: "no-progress", Usage: "show no progress on stderr"},
		noPagerFlag(),
		colorFlag(),
		&cli.StringFlag{Name: "workers", Usage: "read with `N` workers", DefaultText: "by the number of cores"},
		configFlag(),
	)
}

// policyFlags say what counts as garbage, and what is said of findings.
func policyFlags() []cli.Flag {
	return append(group(aboutGarbage,
		graceFlag(),
		&cli.StringFlag{Name: "uploads-older-than", Value: usualUploads, DefaultText: usualUploads, Usage: "count an upload as garbage once it is older than `DURATION`"},
		untaggedFlag(),
		&cli.BoolFlag{Name: "thorough", Usage: "also look for stray files next to blobs and links"},
		&cli.BoolFlag{Name: "no-wait", Usage: "judge at once; otherwise what changed within the last minute is looked at again when it is over"},
		followFlag(),
	), group(aboutOutput, &cli.BoolFlag{Name: allAffectsName, Usage: "let JSON and CSV name every tag that a finding harms, not only the first 10"})...)
}

const allAffectsName = "all-affects"

// usualUploads is the age from which uploads are garbage.
const usualUploads = "168h"

func graceFlag() cli.Flag {
	return &cli.StringFlag{Name: "grace", Value: "1h", DefaultText: "1h", Usage: "keep garbage that is newer than `DURATION`, and count it apart"}
}

func untaggedFlag() cli.Flag {
	return &cli.BoolFlag{Name: "untagged", Aliases: []string{"m", "delete-untagged"}, Usage: "count manifests that no tag leads to as garbage, as garbage-collect -m does"}
}

func followFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "follow", Usage: "enter the symbolic link or mount at `PATH`, which belongs to the store (repeatable)"}
}

// judgeFlags belong to check alone.
func judgeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "verify", Value: "manifests", DefaultText: "manifests", Usage: "hash `WHAT`: manifests only, N% of the blobs, a part like 3/30, a size like 200GiB, what is missing, or all"},
		&cli.StringFlag{Name: "fail-on", Value: "error", DefaultText: "error", Usage: "let exit bit 4 begin at `SEVERITY`: error, warning, garbage, or never"},
	}
}

// applyFlags say whether a plan is only shown.
func applyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "apply", Usage: "apply the plan; on a terminal its id is asked for first"},
		&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "show the plan and change nothing: the default"},
	}
}

// policy is what decides what is found.
type policy struct {
	gc.Policy
	grace, uploads time.Duration
	thorough       bool
	wait           bool // for what is in motion
	follow         []string
	verify         graph.Verify
	allAffects     bool // findings name every tag that they harm
}

// looked is what a check by the policy looks for.
func (p policy) looked() report.Looked {
	return report.Looked{Verify: p.verify, Thorough: p.thorough, Untagged: p.Untagged, Grace: p.grace}
}

func policyOf(c *cli.Context) (p policy, err error) {
	p = policy{thorough: c.Bool("thorough"), allAffects: c.Bool(allAffectsName), follow: c.StringSlice("follow")}
	p.HealAll = c.Bool("from-all")
	p.Untagged, p.wait = c.Bool("untagged"), has(c, "no-wait") && !c.Bool("no-wait")
	if p.grace, err = span(c.String("grace")); err != nil {
		return p, misuse(seeHelp(c.Command.Name), "--grace %w", err)
	}
	if p.uploads, err = span(c.String("uploads-older-than")); err != nil {
		return p, misuse(seeHelp(c.Command.Name), "--uploads-older-than %w", err)
	}
	if !has(c, "verify") {
		return p, nil
	}
	if p.verify, err = verify(c.String("verify")); err != nil {
		return p, misuse(seeHelp(c.Command.Name), "--verify %w", err)
	}
	return p, nil
}

// has reports whether the command has a flag, given or not.
func has(c *cli.Context, name string) bool {
	return slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
}

// without returns flags but those of the names.
func without(flags []cli.Flag, names ...string) []cli.Flag {
	return slices.DeleteFunc(flags, func(f cli.Flag) bool { return slices.Contains(names, f.Names()[0]) })
}

// momentary are the flags that say how one answer is to be given, or that it is meant:
// no command that leads on repeats them.
var momentary = []string{"json", "report", "quiet", "verbose", "full-paths", allAffectsName, "no-progress", "no-pager", "color", "limit", "dot", "apply", "dry-run", "yes", "save-plan", "break-lease", "schema"}

// given returns the flags that were given and that wanted chooses, as they are
// typed again, in the order of help. It is what every command that leads on is made
// of, so that it sees the same store in the same way and ends with the same code.
func given(c *cli.Context, wanted func(name string) bool) (words []string) {
	set := c.LocalFlagNames()
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if !slices.Contains(set, name) || slices.Contains(momentary, name) || !wanted(name) {
			continue
		}
		if _, also := elsewhere(c.App, name); also && c.App.Metadata[repeats+name] == nil { // it will be again, or is nobody's business
			continue
		}
		switch f.(type) {
		case *cli.BoolFlag:
			if c.Bool(name) {
				words = append(words, "--"+name)
			}
		case *cli.StringSliceFlag:
			for _, value := range c.StringSlice(name) {
				words = append(words, "--"+name, value)
			}
		default:
			words = append(words, "--"+name, c.String(name))
		}
	}
	return words
}

// among chooses those of the flags.
func among(flags ...[]cli.Flag) func(name string) bool {
	return func(name string) bool {
		return slices.ContainsFunc(slices.Concat(flags...), func(f cli.Flag) bool { return f.Names()[0] == name })
	}
}

// commandLine returns STORE, what follows it, and every flag that was given but for
// those of the names: under these a command finds the same again.
func commandLine(c *cli.Context, without ...string) []string {
	return append(c.Args().Slice(), given(c, func(name string) bool { return !slices.Contains(without, name) })...)
}

// fixLine returns the same for a fix: that can't do without STORE, hashes all blobs
// or none, and judges no severity.
func fixLine(c *cli.Context, found location.Location) []string {
	without := append([]string{"fail-on", listingName, sinceName, acceptName}, ledgerNames...)
	if !slices.Contains(verifies, c.String("verify")) {
		without = append(without, "verify")
	}
	words := commandLine(c, without...)
	if c.NArg() == 0 {
		words = append([]string{found.Source()}, words...)
	}
	return words
}

// names returns the ids that are set, in their order.
func names(set [finding.NumKinds]bool) (all []string) {
	for id := range finding.Kinds {
		if set[id] {
			all = append(all, id.String())
		}
	}
	return all
}

// oneOf returns the value of a flag that has only a few.
func oneOf(c *cli.Context, name string, values []string) (string, error) {
	v := c.String(name)
	if !slices.Contains(values, v) {
		last := len(values) - 1
		return "", misuse(seeHelp(c.Command.Name), "--%s is %s or %s, not %q", name, strings.Join(values[:last], ", "), values[last], v)
	}
	return v, nil
}

var daysOrWeeks = regexp.MustCompile(`([0-9.]+)([dw])`)

// span reads a duration: Go's notation, and d for days and w for weeks.
func span(s string) (time.Duration, error) {
	inHours := daysOrWeeks.ReplaceAllStringFunc(s, func(part string) string {
		n, err := strconv.ParseFloat(part[:len(part)-1], 64)
		if err != nil {
			return part
		}
		n *= 24
		if strings.HasSuffix(part, "w") {
			n *= 7
		}
		return strconv.FormatFloat(n, 'f', -1, 64) + "h"
	})
	d, err := time.ParseDuration(inHours)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("is a duration like 30m, 1h or 7d, not %q", s)
	}
	return d, nil
}

// verify reads what is to be hashed: "manifests", "all", "missing", a share like "5%", a
// part like "3/30", or a size like "200GiB".
func verify(s string) (graph.Verify, error) {
	switch s {
	case "manifests":
		return graph.Verify{}, nil
	case "all":
		return graph.Verify{All: true}, nil
	case "missing":
		return graph.Verify{Missing: true}, nil
	}
	if p, ok := part(s); ok {
		return graph.Verify{Part: p}, nil
	}
	if n, err := size(s); err == nil && strings.HasSuffix(s, "B") { // a bare number may be meant for a share
		return graph.Verify{Budget: n}, nil
	}
	share, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(share, 64)
	if !ok || err != nil || !(n > 0 && n <= 100) {
		return graph.Verify{}, fmt.Errorf("is manifests, all, or a share like 5%%, or else missing, a part like 3/30, or a size like 200GiB, not %q", s)
	}
	if n == 100 {
		return graph.Verify{All: true}, nil
	}
	return graph.Verify{Percent: n}, nil
}

// part reads one of several equal parts: "3/30".
func part(s string) (p ledger.Part, ok bool) {
	i, n, ok := strings.Cut(s, "/")
	if !ok {
		return p, false
	}
	var err, broke error
	p.I, err = strconv.ParseUint(i, 10, 32)
	p.N, broke = strconv.ParseUint(n, 10, 32)
	return p, err == nil && broke == nil && p.I >= 1 && p.I <= p.N
}

// severity reads the mildest finding that raises the exit code; finding.Fatal
// stands for never.
func severity(s string) finding.Severity {
	switch s {
	case "warning":
		return finding.Warning
	case "garbage":
		return finding.Garbage
	case "never":
		return finding.Fatal
	}
	return finding.Error
}
