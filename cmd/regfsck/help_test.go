package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"regfsck/cmd/regfsck/catalog"
	"regfsck/cmd/regfsck/help"
	"regfsck/graph/finding"
)

// TestHelpOfEverything: the help of each command and topic is complete, in both forms.
func TestHelpOfEverything(t *testing.T) {
	f := newFake(t)
	_, all := newApp(&session{world: f.world})
	shown := func(args ...string) string {
		t.Helper()
		if exit := f.run(args...); exit != 0 || f.errs.Len() > 0 {
			t.Errorf("%q: exit %d, %s", args, exit, f.errs.String())
		}
		return f.out.String()
	}
	list := shown("help")
	for _, args := range [][]string{{"--help"}, {"-h"}} {
		if shown(args...) != list {
			t.Errorf("%q is not help", args)
		}
	}
	for _, c := range all {
		if _, ok := help.Command(c.Name); !ok {
			t.Errorf("help/commands/%s.md is missing", c.Name)
		}
		long, short := shown("help", c.Name), shown(c.Name, "--help")
		if again := shown(c.Name, "-h", "whatever"); again != short || short != shown("help", "--short", c.Name) {
			t.Errorf("%s -h shows\n%s", c.Name, again)
		}
		if !strings.Contains(list, "\n  "+c.Name+" ") {
			t.Errorf("help doesn't list %s", c.Name)
		}
		for _, text := range []string{long, short} {
			for _, f := range c.Flags {
				for _, name := range f.Names {
					if !strings.Contains(text, catalog.Dashed(name)) {
						t.Errorf("%s: no %s in\n%s", c.Name, name, text)
					}
				}
			}
			for _, want := range []string{"\n    regfsck " + c.Name, "\nExamples\n", "\nExit codes, added up\n  0 "} {
				if !strings.Contains(text, want) {
					t.Errorf("%s: no %q in\n%s", c.Name, want, text)
				}
			}
			if refuses := strings.Contains(text, "\n  64 "); refuses != slices.Contains([]string{"fix", "rm", "prune", "apply", "undo", "purge", "wait-readonly"}, c.Name) {
				t.Errorf("%s: 64 is among the exit codes: %v", c.Name, refuses)
			}
		}
		if page, _ := help.Command(c.Name); strings.Contains(short, "regfsck help "+c.Name+"\n") != (len(page.Parts()) > 2) || len(page.Parts()) > 2 && len(short) > len(long) {
			t.Errorf("%s: --help leads on, or doesn't:\n%s", c.Name, short)
		}
	}
	for _, p := range help.Topics() {
		if text := shown("help", p.Name); !strings.HasPrefix(text, "regfsck "+p.Name+": "+p.Brief+"\n\n") {
			t.Errorf("%s begins with %.80q", p.Name, text)
		}
		if !strings.Contains(list, "\n  "+p.Name+" ") {
			t.Errorf("help doesn't list %s", p.Name)
		}
	}
	findings := strings.Join(strings.Fields(shown("help", "findings")), " ") + " "
	for id := range finding.All {
		if shown("help", id.String()) != shown("explain", id.String()) {
			t.Errorf("help %s is not explain", id)
		}
		if !strings.Contains(findings, " "+id.String()+" "+id.Explanation().Brief) {
			t.Errorf("%s is not among the findings", id)
		}
		if asked := strings.Contains(findings, "--also "+id.String()+" ") || strings.Contains(findings, "--also "+id.String()+","); asked != id.OnRequest() {
			t.Errorf("%s: --also, or not", id)
		}
	}
	for args, want := range map[string]string{
		"help recipies":    `there is no command and no topic "recipies"; did you mean recipes?`,
		"help fix check":   "help takes one COMMAND, TOPIC or ID, and 2 were given",
		"help blob-orphn":  "did you mean blob-orphan?",
		"help --color red": "--color is auto, always or never",
	} {
		if exit := f.run(strings.Fields(args)...); exit != 16 || !strings.Contains(f.errs.String(), want) || f.out.Len() > 0 {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
	}
}

// TestNoCommand: without a command the help is shown, with an error.
func TestNoCommand(t *testing.T) {
	f := newFake(t)
	if exit := f.run(); exit != 16 || f.errs.Len() > 0 || !strings.Contains(f.out.String(), "\nCommands\n") {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
}

// TestWidthOfHelp: only commands and long words are wider than the terminal.
func TestWidthOfHelp(t *testing.T) {
	f := newFake(t)
	_, all := newApp(&session{world: f.world})
	for _, width := range []int{60, 80} {
		f.terminal = func(io.Writer) (int, bool) { return width, true }
		for _, name := range append([]string{"", "commands", "findings", "exit-codes"}, all.Names()...) {
			if f.run(strings.Fields("help --color never " + name)...); f.out.Len() == 0 {
				t.Errorf("help %s: %s", name, f.errs.String())
			}
			for line := range strings.Lines(f.out.String()) {
				line = strings.TrimRight(line, "\n")
				if utf8.RuneCountInString(line) > width && !strings.HasPrefix(line, "    regfsck ") {
					t.Errorf("help %s in %d: %q", name, width, line)
				}
			}
		}
	}
}

// TestHabits: usual short names of flags work.
func TestHabits(t *testing.T) {
	f := newFix(t, rotten())
	before := snapshot(t, f.store)
	plan := func() string { // without durations
		_, text, _ := strings.Cut(f.out.String(), "in use: ")
		return text
	}
	f.run("fix", "STORE", "--no-progress")
	want := plan()
	for _, flag := range []string{"-n", "--dry-run"} {
		if exit := f.run("fix", "STORE", "--no-progress", flag); exit&64 != 0 || want == "" || plan() != want {
			t.Errorf("%s: exit %d, another plan:\n%s", flag, exit, f.out.String())
		}
		for _, command := range []string{"fix STORE", "rm STORE app", "prune STORE --keep-last 1"} {
			args := append(strings.Fields(command), flag, "--apply", "--yes", "--json")
			if exit := f.run(args...); exit != 16 || !f.refuses(args...) || !strings.Contains(f.errs.String(), "--apply and --dry-run") {
				t.Errorf("%q: exit %d, %s", args, exit, f.errs.String())
			}
		}
	}
	if diff := before.Diff(snapshot(t, f.store)); len(diff) > 0 {
		t.Errorf("dry runs changed %d things, first %s", len(diff), diff[0])
	}
	f.run("check", "STORE", "--untagged", "--quiet")
	if long := f.out.String(); f.run("check", "STORE", "-m", "-q") == 16 || f.out.String() != long || long == "" {
		t.Errorf("-m -q: %s%s", f.out.String(), f.errs.String())
	}
	if exit := f.run("fix", "STORE", "-q", "-y", "--apply"); exit&(16|64) != 0 {
		t.Errorf("-y: exit %d, %s", exit, f.errs.String())
	}
}
