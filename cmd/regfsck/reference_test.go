package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"regfsck/cmd/regfsck/help"
	"regfsck/fixtures/schematest"
	"regfsck/report"
)

func TestVersion(t *testing.T) {
	f := newFake(t)
	if exit := f.run("--version"); exit != 0 || f.out.String() != "regfsck version "+version+"\n" {
		t.Errorf("exit %d, %q", exit, f.out.String())
	}
	if exit := f.run("version"); exit != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	for _, want := range []string{"regfsck " + version + "\n", runtime.Version(), "platform  " + runtime.GOOS + "/" + runtime.GOARCH, "commit  "} {
		if !strings.Contains(f.out.String(), want) {
			t.Errorf("%q is missing in %s", want, f.out.String())
		}
	}
	var said struct {
		Schema, Go, Platform string
		Tool                 struct{ Version, Commit string }
	}
	if exit := f.run("version", "--json"); exit != 0 || json.Unmarshal(f.out.Bytes(), &said) != nil {
		t.Fatalf("exit %d, %s", exit, f.out.String())
	}
	if said.Schema != "regfsck.version/1" || said.Tool.Version != version || said.Go != runtime.Version() || said.Platform != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("%+v", said)
	}
	for args, want := range map[string]string{"version now": "takes no arguments", "version --jsn": "did you mean --json?"} {
		if exit := f.run(strings.Fields(args)...); exit != 16 || !strings.Contains(f.errs.String(), want) || f.out.Len() > 0 {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
	}
}

// schemas returns the schemas of all documents, by name. Each is made once, since thousands of
// documents are validated.
var schemas = sync.OnceValue(func() map[string][]byte {
	all := map[string][]byte{}
	for _, n := range report.SchemaNames() {
		all[n[0]], _ = report.SchemaOf(n[0])
	}
	return all
})

// validated fails if a document of the program is invalid by its schema. It is called with
// all JSON of the tests.
func validated(t testing.TB, command []string, document []byte) {
	t.Helper()
	var head struct{ Schema string }
	if err := json.Unmarshal(document, &head); err != nil {
		return // the test examines incomplete output itself
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(head.Schema, "regfsck."), "/")
	schema := schemas()[name]
	if schema == nil {
		t.Errorf("%q: there is no schema of %q", command, head.Schema)
		return
	}
	if err := schematest.Validate(schema, document); err != nil {
		t.Errorf("%q: %v in\n%.2000s", command, err, document)
	}
}

func TestSchemasArePrinted(t *testing.T) {
	f := newFake(t)
	for _, n := range report.SchemaNames() {
		want, _ := report.SchemaOf(n[0])
		if exit := f.run("schema", n[0]); exit != 0 || f.out.String() != string(want) {
			t.Errorf("%s: exit %d, %s", n[0], exit, f.errs.String())
		}
	}
	for args, want := range map[string]string{"schema": "takes one NAME", "schema check ls": "takes one NAME", "schema chek": `no document "chek"; did you mean check?`} {
		if exit := f.run(strings.Fields(args)...); exit != 16 || !strings.Contains(f.errs.String(), want) || f.out.Len() > 0 {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
	}
}

// overstruck matches a character and a backspace, by which mandoc prints bold.
var overstruck = regexp.MustCompile(".\b")

// TestManPages: the program, each command and each topic have a page without errors of mandoc
// that has all of the help.
func TestManPages(t *testing.T) {
	if _, err := exec.LookPath("mandoc"); err != nil {
		t.Fatalf("%v: make tools installs it", err)
	}
	f := newFake(t)
	if exit := f.run("man", "DIR/new/man"); exit != 0 || f.errs.Len() > 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	_, all := newApp(&session{world: f.world})
	want := []string{"regfsck.1"}
	for _, name := range all.Names() {
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
