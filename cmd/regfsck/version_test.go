package main

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
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
