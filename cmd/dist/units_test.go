package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestUnits checks the units with systemd, which must not report anything, and how well the
// service is isolated. The program is where the test put it.
func TestUnits(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "regfsck")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, name := range units {
		body, err := os.ReadFile(filepath.Join("systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(body), "/usr/bin/regfsck", program)), 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	verify := exec.Command(needed(t, "systemd-analyze"), append([]string{"verify", "--man=no"}, paths...)...)
	var errs bytes.Buffer
	verify.Stderr = &errs
	if err := verify.Run(); err != nil || errs.Len() > 0 {
		t.Errorf("%v\n%s", err, errs.String())
	}
	said := output(t, "systemd-analyze", "security", "--offline=true", "--no-pager", paths[0])
	found := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(said)
	if found == nil {
		t.Fatal(said)
	}
	if level, err := strconv.ParseFloat(found[1], 64); err != nil || level >= 3 {
		t.Errorf("exposure level %s\n%s", found[1], said)
	}
}
