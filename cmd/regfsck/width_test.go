package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"regfsck/fixtures"
	"regfsck/report/view"
)

// TestNothingIsWiderThanTheTerminal runs every command on the standard store, healthy and
// damaged, at 60, 80 and 120 columns, and measures each line. A single word, such as a key,
// may be longer, and so may a command, which must not be wrapped.
func TestNothingIsWiderThanTheTerminal(t *testing.T) {
	broken := fixtures.Standard()
	apart := map[[2]string]bool{ // they change different things
		{"manifest-corrupt", "cut"}: true, {"tag-dangling", "to nothing"}: true, {"link-invalid", "an empty revision link"}: true,
		{"revision-link-missing", "of an index's child"}: true, {"layer-link-missing", "of a config"}: true, {"blob-missing", "a layer"}: true,
		{"index-child-missing", "nowhere"}: true, {"signature-orphaned", "by cosign's tag"}: true, {"foreign-file", "among the repositories"}: true,
		{"blob-orphan", "without a link"}: true, {"layer-link-unreferenced", "mounted in vain"}: true, {"tag-history-stale", "after a delete"}: true,
		{"repo-empty", "emptied through the API"}: true, {"upload-stale", "abandoned"}: true,
	}
	for _, d := range fixtures.Damages() {
		if apart[[2]string{d.ID, d.Name}] {
			d.Apply(broken)
		}
	}
	for name, b := range map[string]*fixtures.Builder{"whole": fixtures.Standard(), "broken": broken} {
		f := newFix(t, b)
		digest := ""
		for _, key := range b.Keys() {
			if _, hex, ok := strings.Cut(key, "/blobs/sha256/"); ok && digest == "" {
				digest = "sha256:" + strings.Split(hex, "/")[1]
			}
		}
		old, now := filepath.Join(f.dir, "old.json"), filepath.Join(f.dir, "new.json")
		f.run("check", "STORE", "--report", old)
		f.run("check", "STORE", "--report", now, "--thorough", "--untagged")
		f.terminal = func(io.Writer) (int, bool) { return 132, true }
		for _, width := range []int{60, 80, 120} {
			f.env["COLUMNS"] = strconv.Itoa(width)
			for _, args := range []string{
				"check STORE", "check STORE --thorough --untagged --verify all", "check STORE --full-paths", "check STORE --quiet",
				"fix STORE", "fix STORE --verbose", "fix STORE --untagged --grace 0 --max-delete 0%", "fix STORE --undo none",
				"rm STORE app/web", "rm STORE app/web:2.0 --verbose", "prune STORE --keep-last 1",
				"ls STORE", "ls STORE app/web", "ls STORE app/web:2.0", "ls STORE signed", "ls STORE --broken",
				"why STORE app/web:2.0", "why STORE app/web", "why STORE " + digest, "diff " + old + " " + now,
				"explain", "explain blob-missing", "fix STORE --apply --yes", "undo STORE --list", "undo STORE", "purge STORE --all --yes",
			} {
				words := append(strings.Fields(args), "--color", "never")
				if !strings.HasPrefix(args, "explain") {
					words = append(words, "--no-progress") // progress lines are erased
				}
				f.run(words...)
				for line := range strings.Lines(f.out.String() + f.errs.String()) {
					if wide := utf8.RuneCountInString(strings.TrimRight(line, "\n")); wide > width && !standsWhole(line) {
						t.Errorf("%s, %d columns, regfsck %s: a line of %d\n%s", name, width, args, wide, line)
					}
				}
			}
		}
	}
}

// standsWhole reports whether a line is a word, with a sign of a change, or a command.
func standsWhole(line string) bool {
	word := strings.TrimSpace(line)
	for _, sign := range []string{"- ", "+ ", "! "} {
		word = strings.TrimPrefix(word, sign)
	}
	return !strings.Contains(word, " ") || strings.HasPrefix(strings.TrimPrefix(word, "Next: "), "regfsck ")
}

// TestAWideListOmitsColumns: columns that don't fit are omitted, the least important first.
func TestAWideListOmitsColumns(t *testing.T) {
	f := newFix(t, fixtures.Standard())
	f.terminal = func(io.Writer) (int, bool) { return 132, true }
	names := func(width int, args ...string) []string {
		f.env["COLUMNS"] = fmt.Sprint(width)
		f.run(append(args, "--color", "never")...)
		for line := range strings.Lines(f.out.String()) {
			if words := strings.Fields(line); len(words) > 0 && (words[0] == "repository" || words[0] == "tag") {
				return words
			}
		}
		return nil
	}
	for width, want := range map[int]string{60: "tag size own pushed kind", 80: "tag digest size own pushed kind", 120: "tag digest size own pushed created kind"} {
		if got := strings.Join(names(width, "ls", "STORE", "app/web"), " "); got != want {
			t.Errorf("%d columns: %q, want %q", width, got, want)
		}
	}
	if got, whole := names(60, "ls", "STORE"), names(120, "ls", "STORE"); len(got) >= len(whole) || got[0] != "repository" {
		t.Errorf("%q of %q", got, whole)
	}
	if view.TextWidth(view.Options{Width: 132}) != 100 {
		t.Error("prose is as wide as the terminal")
	}
}
