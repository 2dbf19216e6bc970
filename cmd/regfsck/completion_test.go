package main

import (
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"regfsck/cmd/regfsck/completion"
)

// TestCandidates compares the completions of each kind.
func TestCandidates(t *testing.T) {
	f := newFake(t)
	for _, c := range []struct {
		words []string // the last one is at the cursor
		want  string   // completions in order; "…" for more
		files bool
	}{
		{nil, "check fix rm …", false},
		{[]string{"ex"}, "export explain", false},
		{[]string{"nope", ""}, "", false},
		{[]string{"__complete", ""}, "", false},
		{[]string{"explain", "blob-o"}, "blob-orphan", false},
		{[]string{"help", "rec"}, "recipes", false},
		{[]string{"help", "rep"}, "reports repo-empty repository-removed", false},
		{[]string{"help", "ret"}, "retention", false},
		{[]string{"help", "rev"}, "revision-link-missing", false},
		{[]string{"help", "nope"}, "", false},
		{[]string{"schema", "d"}, "dry-run diff", false},
		{[]string{"completion", ""}, "bash zsh fish", false},
		{[]string{"check", ""}, "", true},
		{[]string{"check", "--gr"}, "--grace", false},
		{[]string{"check", "-"}, "--json --report …", false},
		{[]string{"check", "--", "--gr"}, "", true},
		{[]string{"check", "--grace", ""}, "", true},
		{[]string{"check", "--quiet", ""}, "", true},
		{[]string{"check", "-q", "--h"}, "--help", false},
		{[]string{"fix", "--undo", ""}, "auto none", false},
		{[]string{"fix", "--undo="}, "--undo=auto --undo=none", false},
		{[]string{"fix", "--only", "upload-stale,up"}, "", false},
		{[]string{"fix", "--only", "tmp-stale,up"}, "tmp-stale,upload-stale", false},
		{[]string{"fix", "--skip", "tag-r"}, "", false},
		{[]string{"fix", "--also", "blob-"}, "blob-missing blob-corrupt", false},
		{[]string{"check", "--report", "a/b.h"}, "a/b.html", true},
		{[]string{"check", "--report", ""}, "regfsck.json regfsck.csv regfsck.md regfsck.html regfsck.prom regfsck.junit.xml", true},
	} {
		if exit := f.run(append([]string{completeName}, c.words...)...); exit != 0 || f.errs.Len() > 0 {
			t.Errorf("%q: exit %d, %s", c.words, exit, f.errs.String())
		}
		var got []string
		files := false
		for line := range strings.Lines(f.out.String()) {
			word, _, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if files = !ok && word == ":"; !files {
				got = append(got, word)
			}
		}
		want, more := strings.CutSuffix(c.want, " …")
		if list := strings.Join(got, " "); list != want && !(more && strings.HasPrefix(list, want+" ")) || files != c.files {
			t.Errorf("%q: %q, files %v; want %q, %v", c.words, list, files, c.want, c.files)
		}
	}
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		if exit := f.run(args...); exit != 16 || f.out.Len() > 0 || !strings.Contains(f.errs.String(), "bash, zsh or fish") {
			t.Errorf("%q: exit %d, %s", args, exit, f.errs.String())
		}
	}
}

// TestShellsComplete completes, in each shell on a terminal, a command, a finding, a value
// after an equals sign and a list, and runs the command line.
func TestShellsComplete(t *testing.T) {
	dir := t.TempDir()
	// It completes as the program does, and prints the command line to run.
	write(t, dir+"/regfsck", "#!/bin/sh\ncase $1 in __complete|completion) exec "+programPath(t)+" \"$@\" ;; esac\necho \"RAN: $*.\"\n")
	if err := os.Chmod(dir+"/regfsck", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/store-of-mine/x", "")
	for _, shell := range []struct{ name, start, load string }{
		{"bash", "bash --norc -i", "source <(regfsck completion bash)"},
		{"zsh", "zsh -f -i", "autoload -U compinit; compinit -u; source <(regfsck completion zsh)"},
		{"fish", "fish --no-config -i", "regfsck completion fish | source"},
	} {
		t.Run(shell.name, func(t *testing.T) {
			if _, err := exec.LookPath(shell.name); err != nil {
				t.Fatalf("%v: make tools installs it", err)
			}
			cmd, in, said := onTerminal(t, []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + dir}, dir, shell.start)
			var all strings.Builder
			until := func(mark string) string {
				t.Helper()
				for {
					line, err := said.ReadString('\n')
					all.WriteString(line)
					if at := strings.Index(line, mark); at >= 0 {
						return strings.TrimSpace(line[at:])
					}
					if err != nil {
						t.Fatalf("%s was not said (%v) in\n%q", mark, err, all.String())
					}
				}
			}
			io.WriteString(in, shell.load+"; echo RE''ADY\n")
			until("READY")
			for typed, want := range map[string]string{
				"expl\tblob-orp\t":                     "RAN: explain blob-orphan.",
				"fix --undo=non\t --skip up\t":         "RAN: fix --undo=none --skip upload-stale.",
				"fix --only blob-orphan,tmp\t -y":      "RAN: fix --only blob-orphan,tmp-stale -y.",
				"check store-o\t":                      "RAN: check store-of-mine.",
				"check --verb\x15regfsck help recip\t": "RAN: help recipes.",
			} {
				io.WriteString(in, "regfsck "+typed+"\n")
				if got := strings.Replace(until("RAN: "), "/.", ".", 1); got != want { // zsh removes the slash after a directory
					t.Errorf("%q: %q, want %q", typed, got, want)
				}
			}
			io.WriteString(in, "exit\n")
			in.Close()
			io.Copy(io.Discard, said)
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s: %v", shell.name, err)
			}
		})
	}
	if !slices.Equal(completion.Shells, []string{"bash", "zsh", "fish"}) {
		t.Errorf("shells that nothing is typed in: %v", completion.Shells)
	}
}
