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

// rooms in the order of imports: each may import itself and what comes after it.
var rooms = []string{"cmd", "report", "graph", "walker", "backend"}

// anyDriver stands in homes for all drivers.
const anyDriver = "backend/*"

// onlyRegistry is the room of the source that is a registry. Only the package that opens sources imports it.
const onlyRegistry = "backend/source/remote"

// homes names, for each module of others, the packages that may import it. What no
// other room has is at home in the driver that asks its storage with it.
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

// pure names the packages that do without all others.
var pure = []string{"walker/layout", "walker/manifest", "walker/cache", "walker/ledger", "graph/retain", "graph/inuse"}

// inGraph names, for packages of that room, those of the same room that they may import.
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

// TestImportOrder keeps the house in order: imports run one way, fixtures serve
// tests alone, and what others wrote has one home each.
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

// mayImport judges the imports of one package of ours, tests aside.
func mayImport(from, to string) bool {
	if may, listed := inGraph[from]; listed && room(to) == "graph" {
		return slices.Contains(may, to)
	}
	at, goal := slices.Index(rooms, room(from)), slices.Index(rooms, room(to))
	switch {
	case slices.Contains(pure, from):
		return to == "walker/layout"
	case from == "fixtures/reports": // answers of the program, made up for the tests of report
		return room(to) != "cmd" && !isDriver(to)
	case room(from) == "fixtures":
		return room(to) == "fixtures" || room(to) == "backend" || to == "walker/layout"
	case from == "backend/source", from == "backend/inventory", from == "backend/batch": // they know how a registry names things
		return room(to) == "backend" && !isDriver(to) && to != "backend/drivers" || to == "walker/layout"
	case to == onlyRegistry:
		return from == "cmd/regfsck/sources"
	case from == onlyRegistry:
		return to == "backend/source" || to == "walker/layout"
	case slices.Contains(shared, from):
		return to == "backend"
	case slices.Contains(shared, to):
		return isDriver(from)
	case isDriver(to): // nobody else knows one by name
		return from == "backend/drivers"
	case isDriver(from):
		return room(to) == "backend" && to != "backend/drivers" || to == "walker/layout"
	case to == "backend/drivers":
		return room(from) == "cmd"
	case at < 0 || goal < 0: // nobody else imports fixtures, and there are no other rooms
		return false
	}
	return at <= goal
}

// besides are the packages below backend that are no drivers.
var besides = []string{"backend/batch", "backend/disk", "backend/drivers", "backend/inventory", "backend/source", onlyRegistry, "backend/statedir", "backend/words"}

// shared are the packages that drivers of object stores have in common. They know none.
var shared = []string{"backend/history", "backend/lease", "backend/lister", "backend/pace"}

// isDriver reports whether a package is the driver of one kind of storage. A new one
// needs no rule here.
func isDriver(path string) bool {
	return strings.HasPrefix(path, "backend/") && !slices.Contains(besides, path) && !slices.Contains(shared, path)
}

func room(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}

// atHome judges the import of a package of others, tests included.
func atHome(from, imported string) bool {
	if !strings.Contains(room(imported), ".") { // the standard library, or ours
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
