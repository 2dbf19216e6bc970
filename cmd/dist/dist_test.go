package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// made is a release of this tree for this machine, shared by all tests.
var made string

// here is that machine.
var here = platform{"linux", runtime.GOARCH}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "regfsck-dist-test-")
	if err == nil {
		made = filepath.Join(dir, "dist")
		err = run(context.Background(), []string{"-out", made, "-platforms", here.String()}, io.Discard)
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// one returns the only file of the release that matches a pattern.
func one(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(made, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q, %v", pattern, found, err)
	}
	return found[0]
}

// output runs a program, which must succeed, and returns its output.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out.Bytes(), errs.Bytes())
	}
	return out.String()
}

// unpacked returns the files of a compressed tar by their names.
func unpacked(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return untarred(t, z)
}

func untarred(t *testing.T, r io.Reader) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			files[h.Name] = body
		}
	}
}

// executable writes an unpacked program, and returns its path.
func executable(t *testing.T, body []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "regfsck")
	if err := os.WriteFile(path, body, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestArchiveHoldsTheProgram unpacks the archive and runs the program in it.
func TestArchiveHoldsTheProgram(t *testing.T) {
	path := one(t, "regfsck_*.tar.gz")
	top := strings.TrimSuffix(filepath.Base(path), ".tar.gz") + "/"
	if !strings.HasSuffix(top, "_linux_"+here.arch+"/") {
		t.Error(top)
	}
	files := unpacked(t, path)
	for _, name := range []string{"regfsck", "LICENSE", "README.md", "systemd/regfsck-check.service", "systemd/regfsck-check.timer", "kubernetes/window.yaml", "kubernetes/hash.yaml", "share/man/man1/regfsck.1.gz", "share/zsh/site-functions/_regfsck"} {
		if len(files[top+name]) == 0 {
			t.Errorf("no %s", name)
		}
	}
	runs(t, executable(t, files[top+"regfsck"]))
}

// TestArchivesOfOtherSystems makes the archives of the other platforms, with a few bytes
// in place of each program.
func TestArchivesOfOtherSystems(t *testing.T) {
	r := &release{source: "../..", out: t.TempDir(), version: "1.2.3", time: time.Unix(1e9, 0).UTC(), pages: []file{{"man/man1/regfsck.1.gz", 0o644, []byte("page")}}}
	for _, p := range platforms {
		name := filepath.Join(t.TempDir(), "regfsck")
		if p.os == "windows" {
			name += ".exe"
		}
		if err := os.WriteFile(name, []byte(p.String()), 0o755); err != nil {
			t.Fatal(err)
		}
		r.programs = append(r.programs, program{p, name})
	}
	if err := archives(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	files := unpacked(t, filepath.Join(r.out, "regfsck_1.2.3_darwin_arm64.tar.gz"))
	if string(files["regfsck_1.2.3_darwin_arm64/regfsck"]) != "darwin/arm64" || files["regfsck_1.2.3_darwin_arm64/share/man/man1/regfsck.1.gz"] == nil {
		t.Errorf("for macOS: %q", slices.Sorted(maps.Keys(files)))
	}
	for name := range files {
		if strings.Contains(name, "systemd") {
			t.Errorf("macOS has no systemd: %s", name)
		}
	}
	z, err := zip.OpenReader(filepath.Join(r.out, "regfsck_1.2.3_windows_amd64.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
		if !f.Modified.Equal(r.time) {
			t.Errorf("%s is of %v", f.Name, f.Modified)
		}
	}
	if want := []string{"regfsck_1.2.3_windows_amd64/LICENSE", "regfsck_1.2.3_windows_amd64/README.md", "regfsck_1.2.3_windows_amd64/regfsck.exe"}; !slices.Equal(names, want) {
		t.Errorf("for Windows: %q", names)
	}
}

// runs checks that a program starts and prints its commit.
func runs(t *testing.T, path string) {
	t.Helper()
	var said struct {
		Tool     struct{ Version, Commit string }
		Platform string
	}
	if err := json.Unmarshal([]byte(output(t, path, "version", "--json")), &said); err != nil {
		t.Fatal(err)
	}
	head := strings.TrimSpace(output(t, "git", "-c", "safe.directory=*", "rev-parse", "HEAD"))
	if strings.TrimSuffix(said.Tool.Commit, "+dirty") != head || said.Platform != "linux/"+runtime.GOARCH || said.Tool.Version == "" {
		t.Errorf("of commit %s it says %+v", head, said)
	}
}

// TestProgramIsStaticAndStripped reads the ELF file: it loads no library, and has neither
// symbols nor paths of this machine.
func TestProgramIsStaticAndStripped(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	path := one(t, "regfsck_*.tar.gz")
	body := unpacked(t, path)[strings.TrimSuffix(filepath.Base(path), ".tar.gz")+"/regfsck"]
	f, err := elf.NewFile(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range f.Progs {
		if s.Type == elf.PT_INTERP || s.Type == elf.PT_DYNAMIC {
			t.Errorf("%v: it is not static", s.Type)
		}
	}
	if f.Section(".symtab") != nil || f.Section(".debug_info") != nil {
		t.Error("it is not stripped")
	}
	for _, dir := range []string{filepath.Dir(filepath.Dir(wd)), strings.TrimSpace(output(t, "go", "env", "GOROOT")) + "/src", os.TempDir() + "/"} {
		if bytes.Contains(body, []byte(dir)) {
			t.Errorf("it names %s", dir)
		}
	}
}

func TestChecksumsHold(t *testing.T) {
	cmd := exec.Command("sha256sum", "--check", "--strict", checksumFile)
	cmd.Dir = made
	if out, err := cmd.CombinedOutput(); err != nil || strings.Count(string(out), ": OK\n") < 6 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestReadmeNamesTheFiles checks that the files which README installs are those that are
// made.
func TestReadmeNamesTheFiles(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`dist/(regfsck[-_.0-9a-zA-Z]+)`).FindAllStringSubmatch(string(text), -1)
	if len(named) != 4 {
		t.Errorf("it names %q", named)
	}
	for _, n := range named {
		name := strings.NewReplacer("amd64", here.arch, "x86_64", systemsArch).Replace(n[1])
		if _, err := os.Stat(filepath.Join(made, name)); err != nil {
			t.Error(err)
		}
	}
}

// TestTwoBuildsAreEqual copies the repository, with changed files, to another directory and
// builds a release there; every file must be the same.
func TestTwoBuildsAreEqual(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "somewhere", "else")
	git := func(args ...string) string {
		return output(t, "git", append([]string{"-c", "safe.directory=*"}, args...)...)
	}
	git("clone", "--quiet", "../..", dir)
	for name := range strings.Lines(git("-C", "../..", "ls-files", "--cached", "--others", "--exclude-standard")) {
		name = strings.TrimSuffix(name, "\n")
		from, to := filepath.Join("../..", name), filepath.Join(dir, name)
		body, err := os.ReadFile(from)
		if errors.Is(err, os.ErrNotExist) { // removed, and not committed yet
			err = os.Remove(to)
		} else if old, readErr := os.ReadFile(to); err == nil && (readErr != nil || !bytes.Equal(old, body)) {
			err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, body, 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	if err := run(context.Background(), []string{"-source", dir, "-out", out, "-platforms", here.String()}, io.Discard); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(filepath.Join(made, checksumFile))
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(filepath.Join(out, checksumFile))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) || len(first) == 0 {
		t.Errorf("two builds differ:\n%s\n%s", first, second)
	}
}

func TestForeignDirectoryIsRejected(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-out", dir}, {"-out", filepath.Join(dir, "new"), "-only", "everything"}, {"-out", filepath.Join(dir, "new"), "-platforms", "plan9/386"}} {
		if err := run(context.Background(), args, io.Discard); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "mine")); err != nil {
		t.Error(err)
	}
}

// TestSBOMOfAnotherPlatform checks that the list of a program for Windows names that
// platform, not the machine that made it.
func TestSBOMOfAnotherPlatform(t *testing.T) {
	name := filepath.Join(t.TempDir(), "small.exe")
	source := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", name, source)
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r := &release{source: "../..", out: t.TempDir(), version: "1.2.3", programs: []program{{platform{"windows", "amd64"}, name}}}
	if err := sbom(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(filepath.Join(r.out, "regfsck_1.2.3_windows_amd64.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(body, []byte("goos=windows")) || bytes.Contains(body, []byte("goos=linux")) {
		t.Errorf("%s", body)
	}
}

// TestSBOM reads the list of the program's modules.
func TestSBOM(t *testing.T) {
	body, err := os.ReadFile(one(t, "regfsck_*.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BomFormat string
		Metadata  struct {
			Component struct{ Name, Version string }
			Tools     []struct {
				Name   string
				Hashes []any
			}
		}
		Components []struct{ Name, Version, Purl string }
	}
	if err := json.Unmarshal(body, &bom); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range bom.Components {
		names[c.Name] = c.Version != "" && c.Purl != ""
	}
	if bom.BomFormat != "CycloneDX" || bom.Metadata.Component.Name != "regfsck" || !names["github.com/urfave/cli/v2"] || !names["github.com/aws/aws-sdk-go-v2"] || !names["std"] {
		t.Errorf("%+v", bom.Metadata)
	}
	if tools := bom.Metadata.Tools; len(tools) != 1 || tools[0].Name != "cyclonedx-gomod" || len(tools[0].Hashes) > 0 {
		t.Errorf("the tool that made it: %+v; a hash of it differs from machine to machine", tools)
	}
	if names["github.com/goreleaser/nfpm/v2"] {
		t.Error("what makes packages is in the program")
	}
}
