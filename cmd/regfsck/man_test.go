package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"regfsck/cmd/regfsck/help"
)

// overstruck is a sign below another, by which mandoc writes bold.
var overstruck = regexp.MustCompile(".\b")

// There is a page for the program, each command and each topic, with which mandoc finds
// no fault, and which says all that the help says.
func TestManPages(t *testing.T) {
	if _, err := exec.LookPath("mandoc"); err != nil {
		t.Fatalf("%v: make tools installs it", err)
	}
	f := newFake(t)
	if exit := f.run("man", "DIR/new/man"); exit != 0 || f.errs.Len() > 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	app := newApp(&session{world: f.world})
	want := []string{"regfsck.1"}
	for _, name := range commandNames(app) {
		want = append(want, "regfsck-"+name+".1")
	}
	for _, p := range help.Topics() {
		if p.Name != "commands" {
			want = append(want, "regfsck-"+p.Name+".7")
		}
	}
	for _, name := range want {
		path := filepath.Join(f.dir, "new/man/man"+name[len(name)-1:], name)
		if said, err := exec.Command("mandoc", "-T", "lint", "-W", "all", path).CombinedOutput(); err != nil || len(said) > 0 {
			t.Errorf("%s: %v, %s", name, err, said)
		}
		page, err := exec.Command("mandoc", "-T", "utf8", "-O", "width=200", path).Output()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		read := strings.Join(strings.Fields(overstruck.ReplaceAllString(string(page), "")), " ")
		topic := strings.TrimPrefix(strings.TrimPrefix(strings.TrimRight(name, ".17"), "regfsck"), "-")
		f.run(append([]string{"help"}, strings.Fields(topic)...)...)
		_, text, _ := strings.Cut(f.out.String(), "\n")
		for line := range strings.Lines(text) {
			if words := strings.Join(strings.Fields(line), " "); strings.HasPrefix(line, "  ") && !strings.Contains(read, words) {
				t.Errorf("%s: no %q", name, words)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(f.dir, "new/man/man?/*"))
	if err != nil || len(files) != len(want) {
		t.Errorf("%d pages, want %d: %v", len(files), len(want), err)
	}
	for args, want := range map[string]string{"man": "takes one DIR", "man a b": "takes one DIR", "man /dev/null": "can't be written"} {
		if exit := f.run(strings.Fields(args)...); exit != 16 || !strings.Contains(f.errs.String(), want) || f.out.Len() > 0 {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
	}
}
