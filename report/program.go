package report

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"sync"

	"regfsck/report/exitcode"
	"regfsck/report/view"
)

// VersionSchema is the name and version of the document about the program.
const VersionSchema = "regfsck.version/1"

// Program is the program's version and build.
type Program struct {
	Version string
}

// View returns the version and build.
func (b *Program) View(o view.Options) view.View {
	return view.Of(o, func(p *view.Printer) {
		p.Title("regfsck ", b.Version)
		p.BareTable(1, view.Column{Name: "what", Width: 10}, view.Column{Name: "is"})
		p.Row("commit", cmp.Or(commit(), "unknown: not recorded in the build"))
		p.Row("Go", runtime.Version())
		p.Row("platform", platform)
	})
}

// Short returns the version.
func (b *Program) Short(o view.Options) view.View { return line(o, "regfsck "+b.Version) }

// Fields returns the document.
func (b *Program) Fields() any {
	return programFields{VersionSchema, toolOf(b.Version), runtime.Version(), platform}
}

const platform = runtime.GOOS + "/" + runtime.GOARCH

type programFields struct {
	Schema   string     `json:"schema"`
	Tool     toolFields `json:"tool"`
	Go       string     `json:"go"`       // the compiler's version
	Platform string     `json:"platform"` // "linux/amd64"
}

type toolFields struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // of the build; "" if unknown
}

func toolOf(version string) toolFields { return toolFields{version, commit()} }

// linkedCommit is set by cmd/dist: the go command records the commit only if it can run git
// in the source directory.
var linkedCommit string

// commit is the commit of the build, with "+dirty" if files differed from it.
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

// FailureSchema is the name and version of the document of a Failure.
const FailureSchema = "regfsck.error/1"

// Failure is the answer of a command that failed.
type Failure struct {
	Version string
	Error   string
	Hint    string       // what to do, in lines; "" for nothing
	After   *HookFailure // of --after; nil if it succeeded or did not run
	Exit    exitcode.Code
}

type failureFields struct {
	Schema string       `json:"schema"`
	Tool   toolFields   `json:"tool"`
	Error  string       `json:"error"`
	Hint   string       `json:"hint"`            // what to do; "" for nothing
	After  *HookFailure `json:"after,omitempty"` // if --after failed
	Exit   exitFields   `json:"exit"`
}

// Fields returns the document.
func (f *Failure) Fields() any {
	return failureFields{FailureSchema, toolOf(f.Version), f.Error, f.Hint, f.After, exitOf(f.Exit)}
}
