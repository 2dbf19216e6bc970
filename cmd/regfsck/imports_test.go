package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rooms are the top directories in the order of imports: each may import itself and those
// after it.
var rooms = []string{"cmd", "report", "graph", "walker", "backend"}

// anyDriver stands for all drivers in homes.
const anyDriver = "backend/*"

// onlyRegistry is the package of registries as sources. Only cmd/regfsck/sources imports it.
const onlyRegistry = "backend/source/remote"

// homes are the packages that may import a third-party module. Modules without an entry are
// for drivers.
var homes = map[string][]string{
	"github.com/urfave/cli/v2":                {"cmd"},
	"go.yaml.in/yaml/v3":                      {"cmd"},
	"github.com/yuin/goldmark":                {"cmd/regfsck/help"},
	"github.com/Masterminds/semver/v3":        {"graph/retain"},
	"github.com/redis/go-redis/v9":            {"cmd/regfsck/rediscache"},
	"golang.org/x/term":                       {"cmd"},
	"github.com/distribution/distribution/v3": {"cmd/regfsck/location"},
	"github.com/schollz/progressbar/v3":       {"report/progress"},
	"github.com/santhosh-tekuri/jsonschema":   {"fixtures/schematest"},
	"github.com/parquet-go/parquet-go":        {"report/tables", "backend/inventory"},
	"github.com/prometheus/client_golang":     {"report/formats"}, // its linter, in tests
	"github.com/google/go-containerregistry":  {onlyRegistry},
	"golang.org/x/sync":                       {"backend", "walker", "graph/apply"},
	"golang.org/x/time":                       {"backend/source"},
	"golang.org/x/sys":                        {"backend/disk", "backend/file", "backend/statedir", "fixtures/s3test"},
	"github.com/aws/aws-sdk-go-v2":            {anyDriver, "fixtures/s3test"},
	"github.com/aws/smithy-go":                {anyDriver},
}

// pure are packages that import only walker/layout.
var pure = []string{"walker/layout", "walker/manifest", "walker/cache", "walker/ledger", "graph/retain", "graph/inuse"}

// inGraph are the packages of graph that packages of graph may import.
var inGraph = map[string][]string{
	"graph/finding": {},
	"graph":         {"graph/finding"},
	"graph/gc":      {"graph", "graph/finding", "graph/inuse", "graph/retain"},
	"graph/replica": {"graph"},
	"graph/check":   {"graph", "graph/finding", "graph/gc"},
	"graph/usage":   {"graph", "graph/finding", "graph/gc"},
	"graph/plan":    {"graph/finding", "graph/gc", "graph/check"},
	"graph/journal": {"graph/finding", "graph/plan"},
	"graph/apply":   {"graph", "graph/finding", "graph/gc", "graph/check", "graph/plan", "graph/journal"},
}

type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

// TestImportOrder: imports go in one direction, fixtures are for tests, and each third-party
// module has one home.
func TestImportOrder(t *testing.T) {
	packages := list(t)
	if len(packages) < 8 {
		t.Fatalf("go list names only %d packages", len(packages))
	}
	for _, p := range packages {
		from := strings.TrimPrefix(p.ImportPath, "regfsck/")
		for _, imported := range p.Imports {
			if to, ok := strings.CutPrefix(imported, "regfsck/"); ok && !mayImport(from, to) {
				t.Errorf("%s may not import %s", from, to)
			}
		}
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if !atHome(from, imported) {
				t.Errorf("%s is no home of %s", from, imported)
			}
		}
	}
}

func list(t *testing.T) (all []listed) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", "regfsck/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// mayImport reports whether a package may import another one, tests aside.
func mayImport(from, to string) bool {
	if may, listed := inGraph[from]; listed && room(to) == "graph" {
		return slices.Contains(may, to)
	}
	at, goal := slices.Index(rooms, room(from)), slices.Index(rooms, room(to))
	switch {
	case slices.Contains(pure, from):
		return to == "walker/layout"
	case from == "fixtures/reports": // answers for the tests of report
		return room(to) != "cmd" && !isDriver(to)
	case room(from) == "fixtures":
		return room(to) == "fixtures" || room(to) == "backend" || to == "walker/layout"
	case from == "backend/source", from == "backend/inventory", from == "backend/batch": // they use names of the layout
		return room(to) == "backend" && !isDriver(to) && to != "backend/drivers" || to == "walker/layout"
	case to == onlyRegistry:
		return from == "cmd/regfsck/sources"
	case from == onlyRegistry:
		return to == "backend/source" || to == "walker/layout"
	case slices.Contains(shared, from):
		return to == "backend"
	case slices.Contains(shared, to):
		return isDriver(from)
	case isDriver(to): // drivers have no other importers
		return from == "backend/drivers"
	case isDriver(from):
		return room(to) == "backend" && to != "backend/drivers" || to == "walker/layout"
	case to == "backend/drivers":
		return room(from) == "cmd"
	case at < 0 || goal < 0: // fixtures, and unknown directories
		return false
	}
	return at <= goal
}

// besides are the packages below backend that aren't drivers.
var besides = []string{"backend/batch", "backend/disk", "backend/drivers", "backend/inventory", "backend/source", onlyRegistry, "backend/statedir", "backend/words"}

// shared are packages for drivers of object stores. They import no driver.
var shared = []string{"backend/history", "backend/lease", "backend/lister", "backend/pace"}

// isDriver reports whether a package is a driver. New drivers need no rule.
func isDriver(path string) bool {
	return strings.HasPrefix(path, "backend/") && !slices.Contains(besides, path) && !slices.Contains(shared, path)
}

func room(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}

// atHome reports whether a package may import a third-party package, tests included.
func atHome(from, imported string) bool {
	if !strings.Contains(room(imported), ".") { // standard library or own
		return true
	}
	for module, places := range homes {
		if imported == module || strings.HasPrefix(imported, module+"/") {
			return slices.ContainsFunc(places, func(place string) bool {
				return from == place || strings.HasPrefix(from, place+"/") || place == anyDriver && isDriver(from)
			})
		}
	}
	return isDriver(from)
}

func TestImportRulesCanFail(t *testing.T) {
	for _, bad := range [][2]string{
		{"walker", "graph"}, {"backend", "walker/layout"}, {"report", "fixtures"}, {"graph", "report"}, {"graph/plan", "report/accept"},
		{"fixtures", "graph"}, {"walker/layout", "backend"}, {"graph/journal", "graph"}, {"graph/plan", "graph/journal"}, {"util", "backend"}, {"graph", "util"},
		{"cmd/regfsck/location", "backend/s3"}, {"backend/s3", "backend/file"}, {"backend/s3", "walker"}, {"report", "backend/drivers"},
		{"backend/lease", "backend/s3"}, {"backend/lister", "walker/layout"}, {"graph", "backend/history"},
	} {
		if mayImport(bad[0], bad[1]) {
			t.Errorf("%s may import %s", bad[0], bad[1])
		}
	}
	for _, bad := range [][2]string{
		{"graph", "golang.org/x/sync/errgroup"}, {"report", "github.com/urfave/cli/v2"}, {"walker", "example.com/new"},
		{"cmd/regfsck", "github.com/aws/aws-sdk-go-v2/service/s3"}, {"backend/drivers", "github.com/aws/smithy-go"}, {"backend/s3", "github.com/urfave/cli/v2"}, {"backend/pace", "github.com/aws/smithy-go"},
	} {
		if atHome(bad[0], bad[1]) {
			t.Errorf("%s is a home of %s", bad[0], bad[1])
		}
	}
}
