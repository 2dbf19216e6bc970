package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/backend/words"
	"regfsck/cmd/regfsck/acceptfile"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/outside"
	"regfsck/cmd/regfsck/spelling"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/report"
	"regfsck/report/accept"
	"regfsck/report/exitcode"
)

// Commands for the reports of earlier commands: diff, accept and show.

// runDiff compares two reports.
func runDiff(s *session, c *cli.Context) error {
	if c.NArg() != 2 || slices.Contains(c.Args().Slice(), "") {
		return failure.Misuse(seeHelp("diff"), "diff takes two reports, and %d were given", c.NArg())
	}
	out, err := s.outputOf(c)
	if err != nil {
		return err
	}
	defer out.discard()
	d := &report.Comparison{Version: version}
	if d.Old, err = readPast(c.Args().Get(0)); err != nil {
		return err
	}
	if d.New, err = readPast(c.Args().Get(1)); err != nil {
		return err
	}
	if err := out.open(location.Location{}, nil); err != nil {
		return err
	}
	return s.deliver(d, 0, out)
}

// readPast reads a report of check.
func readPast(path string) (*report.Past, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, failure.Misuse("", "%w", failure.Unreadable(path, err))
	}
	defer f.Close()
	p, err := report.ReadPast(f)
	if err != nil {
		return nil, failure.Misuse("Give what regfsck check wrote for --json or --report FILE.json.", "%s: %w", path, err)
	}
	return p, nil
}

const acceptName = "accept"

// acceptedOf returns the findings that --accept accepts in a check of a store, and notes on
// the files; nil without --accept.
func acceptedOf(c *cli.Context, target string, now time.Time) (set *accept.Set, notes []string, err error) {
	const hint = "See regfsck help accepted; regfsck schema accept prints the form of such a file."
	paths := c.StringSlice(acceptName)
	if len(paths) == 0 {
		return nil, nil, nil
	}
	var rules []accept.Rule
	for _, path := range paths {
		file, err := readAccepted(path, now)
		if err != nil {
			return nil, nil, failure.Misuse(hint, "--accept %w", err)
		}
		if file.Target != "" && file.Target != accept.Legible(target) {
			notes = append(notes, "Nothing that "+path+" accepts is accepted here: the file is for another store, "+file.Target+". If it is for this one too, remove the line with target from it.")
			continue
		}
		rules = append(rules, file.Rules...)
	}
	if set, err = accept.New(rules); err != nil {
		return nil, nil, failure.Misuse(hint, "--accept %w", err)
	}
	return set, notes, nil
}

func readAccepted(path string, now time.Time) (file acceptfile.File, err error) {
	f, err := os.Open(path)
	if err != nil {
		return file, failure.Unreadable(path, err)
	}
	defer f.Close()
	return acceptfile.Read(f, path, now)
}

// acceptedSeverities are the severities of findings that can be accepted.
var acceptedSeverities = []string{"error", "warning", "garbage"}

// runAccept writes a file that accepts the findings of a report.
func runAccept(s *session, c *cli.Context) error {
	if c.NArg() != 1 || c.Args().First() == "" {
		return failure.Misuse(seeHelp("accept"), "accept takes one REPORT.json, and %d were given", c.NArg())
	}
	chosen, err := acceptable(c)
	if err != nil {
		return err
	}
	past, err := readPast(c.Args().First())
	if err != nil {
		return err
	}
	example := accept.Entry{ID: finding.ForeignFile.String(), Key: "-", Reason: c.String("reason"), Until: c.String("until")}
	r, err := accept.NewRule(example, "", 0, s.now())
	switch {
	case strings.TrimSpace(example.Reason) == "":
		return failure.Misuse(seeHelp("accept"), "--reason is missing: give the reason why these findings are accepted")
	case err != nil:
		return failure.Misuse(seeHelp("accept"), "--reason and --until: %w", err)
	case r.Expired:
		return failure.Misuse(seeHelp("accept"), "--until %s is past already", example.Until)
	}
	file, left := past.Accept(example.Reason, example.Until, chosen)
	if len(file.Entries) == 0 {
		return failure.Misuse("", "nothing of %s is left to be accepted%s", c.Args().First(), leftOut(left))
	}
	write := func(w io.Writer) error { return acceptfile.Write(w, file) }
	if path := c.String("output"); path != "" {
		err = writeNew(path, write)
	} else {
		err = s.written(write(s.stdout))
	}
	if err != nil {
		return err
	}
	end := "until " + example.Until
	if example.Until == "" {
		end = "without an end (--until DATE sets one)"
	}
	s.say(words.Plural(len(file.Entries), "entry", "entries") + " written, to hold " + end + leftOut(left))
	return nil
}

// leftOut returns the text that lists what was left out.
func leftOut(left []string) string {
	if len(left) == 0 {
		return ""
	}
	return "; left out: " + strings.Join(left, ", ")
}

// acceptable returns a function that reports whether the flags of accept select a finding.
func acceptable(c *cli.Context) (func(id, severity, key string) bool, error) {
	ids, severities := c.StringSlice("id"), c.StringSlice("severity")
	for _, id := range ids {
		if kind, ok := finding.Parse(id); !ok || kind.Severity() == finding.Asked {
			return nil, failure.Misuse("regfsck explain lists all kinds.", "--id %s: no check finds anything of that kind%s", id, spelling.DidYouMean(id, findingNames(), ""))
		}
	}
	for _, severity := range severities {
		if !slices.Contains(acceptedSeverities, severity) {
			return nil, failure.Misuse(seeHelp("accept"), "--severity is error, warning or garbage, not %q", severity)
		}
	}
	var globs []accept.Glob
	for _, key := range c.StringSlice("key") {
		g, err := accept.ParseGlob(key)
		if err != nil {
			return nil, failure.Misuse(seeHelp("accept"), "--key %w", err)
		}
		globs = append(globs, g)
	}
	return func(id, severity, key string) bool {
		return (len(ids) == 0 || slices.Contains(ids, id)) && (len(severities) == 0 || slices.Contains(severities, severity)) &&
			(len(globs) == 0 || slices.Contains(c.StringSlice("key"), key) || slices.ContainsFunc(globs, func(g accept.Glob) bool { return g.Match(key) }))
	}, nil
}

// writeNew writes a file; it is an error if the file exists.
func writeNew(path string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil {
		return failure.Misuse("Name another file: check takes several --accept.", "--output %s exists already, and may have been edited", path)
	}
	f, err := outside.Create(path, location.Location{}, nil)
	if err != nil {
		return failure.Misuse("", "--output %w", err)
	}
	defer f.Discard()
	if err := f.Write(write); err != nil {
		return failure.New(exitcode.Incomplete, fmt.Errorf("--output %w", err), "")
	}
	return nil
}

// runShow prints a saved plan, a saved report, or an earlier run.
func runShow(s *session, c *cli.Context) error {
	switch n := c.NArg(); {
	case slices.Contains(c.Args().Slice(), "") || n == 0 || n > 2:
		return failure.Misuse(seeHelp("show"), "show takes a FILE, or a STORE and a RUN, or a RUN and --state, and %d arguments were given", n)
	case n == 2 || c.IsSet("state"):
		return showRun(s, c)
	}
	d, err := savedIn(c.Args().First())
	if err != nil {
		return err
	}
	out, err := outputFor(s, c, d)
	if err != nil {
		return err
	}
	defer out.discard()
	if err := out.open(location.Location{}, nil); err != nil {
		return err
	}
	out.asked = true
	return s.deliver(d, 0, out)
}

// last stands for the newest run.
const last = "last"

// showRun prints an earlier run. Without STORE it is a run of the state directory, and the
// store isn't opened.
func showRun(s *session, c *cli.Context) error {
	id, p := c.Args().Get(c.NArg()-1), &pastRuns{job: job{s: s}}
	var err error
	if c.NArg() == 2 {
		if p, err = pastOf(s, c, "show"); err == nil {
			defer p.out.discard()
			if id == last && len(p.runs) > 0 {
				id = p.runs[0].ID
			}
			err = p.known(c.Context, id)
		}
	} else if p.state, err = outside.StateNamed(c.String("state")); err == nil {
		if p.out, err = s.outputOf(c); err == nil {
			defer p.out.discard()
			err = p.out.open(location.Location{}, nil)
		}
	}
	if err != nil {
		return err
	}
	all, err := journal.ReadAll(p.state)
	if err != nil {
		return failure.New(exitcode.Incomplete, err, "")
	}
	ids := words.All(all, func(r *journal.Run) string { return r.ID })
	if id == last && len(ids) > 0 {
		id = ids[0]
	}
	if !slices.Contains(ids, id) {
		return failure.Misuse("regfsck undo STORE --list names them.", "there is no run %q in %s%s", id, p.state, spelling.DidYouMean(id, ids, ""))
	}
	run, err := journal.Find(p.state, id)
	if err != nil {
		return failure.New(exitcode.Incomplete, err, "")
	}
	whole := planOf(run)
	d := &report.PastRun{Version: version, Summary: run.Summary(), State: p.state, Whole: whole != nil}
	d.Outcome, d.Done = apply.OutcomeOf(run, whole)
	for _, later := range all[:slices.Index(ids, id)] {
		if later.Summary().CanUndo() {
			d.Before = cmp.Or(d.Before, later.ID)
		}
	}
	if run.End != nil {
		d.Ended = run.End.Time
	}
	if c.NArg() == 2 {
		d.Store, d.KeptAs = p.store(), p.target.Traits().KeptAs
		kept, err := p.kept(c.Context, id)
		if c.Context.Err() != nil {
			return c.Context.Err()
		}
		if err != nil {
			s.say("what the run keeps could not be asked: " + err.Error())
		} else {
			d.Weighed, d.Outcome.Kept = true, kept
		}
	}
	p.out.asked = true
	return s.deliver(d, 0, p.out)
}

// planOf returns the plan that is saved with a run; nil if there is none or it is another
// one.
func planOf(run *journal.Run) *plan.Plan {
	f, err := journal.OpenPlan(filepath.Join(run.Dir, journal.PlanName))
	if err != nil {
		return nil
	}
	defer f.Close()
	p, _, err := plan.Load(f)
	if err != nil || p.ID() != run.Begin.Plan {
		return nil
	}
	return p
}

// kept returns how many bytes the store keeps for a run.
func (p *pastRuns) kept(ctx context.Context, id string) (int64, error) {
	w, err := p.writer(ctx)
	if err != nil {
		return 0, err
	}
	defer w.Close()
	return apply.Kept(ctx, w, p.state, id)
}

// savedIn reads a saved plan or report.
func savedIn(path string) (report.Document, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, failure.Misuse("", "%w", failure.Unreadable(path, err))
	}
	defer f.Close()
	const head = 1 << 16 // more than the first line of a plan
	begins := make([]byte, head)
	n, err := io.ReadFull(f, begins)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, failure.Misuse("", "%w", failure.Unreadable(path, err))
	}
	if name, _ := report.FormOf(begins[:n]); name == plan.Schema {
		p, h, err := loadPlan(path)
		if errors.Is(err, plan.ErrEdited) {
			return nil, failure.Misuse("Make a new plan with --save-plan.", "%w", err)
		}
		if err != nil {
			return nil, err
		}
		return &report.SavedPlan{Version: version, File: path, Header: h, Plan: p}, nil
	}
	d, err := report.ReadSaved(io.MultiReader(bytes.NewReader(begins[:n]), f))
	if err != nil {
		return nil, failure.Misuse("Give a plan of --save-plan, or what a command wrote for --json or --report FILE.json.", "%s: %w", path, err)
	}
	return d, nil
}
