package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needed fails the test if a program from a Debian package is missing.
func needed(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("there is no %s: run make tools", name)
	}
	return path
}

// packaged are files that every package has.
var packaged = []string{
	"/usr/bin/regfsck", "/usr/share/man/man1/regfsck.1.gz", "/usr/share/man/man1/regfsck-check.1.gz",
	"/usr/share/doc/regfsck/kubernetes/check.yaml", "/usr/share/bash-completion/completions/regfsck", "/usr/share/fish/vendor_completions.d/regfsck.fish",
}

// TestDebIsInstalled installs the package below a directory, runs the program, and removes
// the package.
func TestDebIsInstalled(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"var/lib/dpkg/updates", "var/lib/dpkg/info"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"status", "available"} {
		if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dpkg := func(args ...string) {
		t.Helper()
		output(t, needed(t, "dpkg"), append([]string{"--root=" + root, "--force-not-root", "--force-script-chrootless", "--force-architecture"}, args...)...)
	}
	dpkg("-i", one(t, "regfsck_*_"+here.arch+".deb"))
	for _, name := range append(packaged, "/usr/lib/systemd/system/regfsck-check.timer", "/usr/share/zsh/vendor-completions/_regfsck") {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	runs(t, filepath.Join(root, "usr/bin/regfsck"))
	dpkg("--purge", "regfsck")
	if _, err := os.Stat(filepath.Join(root, "usr/bin/regfsck")); err == nil {
		t.Error("it is still there")
	}
}

func TestLintianFindsNoErrors(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(needed(t, "lintian"), "--allow-root", "--no-tag-display-limit", one(t, "regfsck_*.deb")).CombinedOutput()
	if err != nil || strings.Contains("\n"+string(out), "\nE: ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// systemsArch is the name of this machine's architecture in rpm and Alpine.
var systemsArch = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[here.arch]

func TestRPMIsListed(t *testing.T) {
	path := one(t, "regfsck-*."+systemsArch+".rpm")
	list := output(t, needed(t, "rpm"), "-qpl", path)
	for _, name := range append(packaged, "/usr/lib/systemd/system/regfsck-check.service", "/usr/share/licenses/regfsck/LICENSE") {
		if !strings.Contains("\n"+list, "\n"+name+"\n") {
			t.Errorf("no %s in\n%s", name, list)
		}
	}
	if said := output(t, "rpm", "-qp", "--queryformat", "%{SUMMARY}\n%{DESCRIPTION}", path); said != about {
		t.Errorf("it is described as %q", said)
	}
	if said := output(t, "rpm", "-qp", "--queryformat", "%{NAME} %{ARCH} %{LICENSE}", path); said != "regfsck "+systemsArch+" Apache-2.0" {
		t.Error(said)
	}
}

// TestAPKIsListed reads Alpine's package as its tools do: two archives one after the other,
// each compressed by itself.
func TestAPKIsListed(t *testing.T) {
	files := unpacked(t, one(t, "regfsck_*_"+systemsArch+".apk"))
	for _, name := range packaged {
		if len(files[strings.TrimPrefix(name, "/")]) == 0 {
			t.Errorf("no %s", name)
		}
	}
	for name := range files {
		if strings.Contains(name, "systemd") {
			t.Errorf("%s: Alpine has no systemd", name)
		}
	}
	if info := "\n" + string(files[".PKGINFO"]); !strings.Contains(info, "\npkgname = regfsck\n") || !strings.Contains(info, "\narch = "+systemsArch+"\n") {
		t.Errorf("%s", info)
	}
	if _, brief, _ := strings.Cut(string(files[".PKGINFO"]), "pkgdesc = "); strings.HasPrefix(brief[strings.Index(brief, "\n")+1:], " ") {
		t.Error("the description is more than a line, which apk doesn't read")
	}
	runs(t, executable(t, files["usr/bin/regfsck"]))
}
