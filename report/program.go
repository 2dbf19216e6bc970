package report

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"sync"
)

// VersionSchema names the form of the document about the program itself.
const VersionSchema = "regfsck.version/1"

// Program is the program itself: its version, and what the build tells of it.
type Program struct {
	Version string
}

// View is the program for people.
func (b *Program) View(o TextOptions) View {
	return func(yield func(Block) bool) {
		p := newPrinter(yield)
		p.title("regfsck ", b.Version)
		p.bareTable(1, Column{Name: "what", Width: 10}, Column{Name: "is"})
		p.row("commit", cmp.Or(commit(), "unknown: the build doesn't tell"))
		p.row("Go", runtime.Version())
		p.row("platform", platform)
	}
}

// Short is its version.
func (b *Program) Short(o TextOptions) View {
	return func(yield func(Block) bool) { newPrinter(yield).line(0, "regfsck ", b.Version) }
}

// Fields is the program for machines.
func (b *Program) Fields() any {
	return programFields{VersionSchema, toolOf(b.Version), runtime.Version(), platform}
}

const platform = runtime.GOOS + "/" + runtime.GOARCH

type programFields struct {
	Schema   string     `json:"schema"`
	Tool     toolFields `json:"tool"`
	Go       string     `json:"go"`       // the version of Go that compiled it
	Platform string     `json:"platform"` // "linux/amd64"
}

type toolFields struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // it was built from; "" where the build doesn't tell
}

func toolOf(version string) toolFields { return toolFields{version, commit()} }

// linkedCommit is the commit that cmd/dist tells the linker. It does so itself, since
// what the go command says of a repository depends on who looks at it.
var linkedCommit string

// commit is the commit that the program was built from, with "+dirty" where its tree
// had been changed.
var commit = sync.OnceValue(func() string {
	built, ok := debug.ReadBuildInfo()
	if linkedCommit != "" || !ok {
		return linkedCommit
	}
	revision, dirty := "", ""
	for _, s := range built.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + dirty
})
