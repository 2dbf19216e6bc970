package report

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"sync"

	"regfsck/report/exitcode"
	"regfsck/report/view"
)

// VersionSchema names the form of the document about the program itself.
const VersionSchema = "regfsck.version/1"

// Program is the program itself: its version, and what is known of its build.
type Program struct {
	Version string
}

// View is the program for people.
func (b *Program) View(o view.Options) view.View {
	return view.Of(o, func(p *view.Printer) {
		p.Title("regfsck ", b.Version)
		p.BareTable(1, view.Column{Name: "what", Width: 10}, view.Column{Name: "is"})
		p.Row("commit", cmp.Or(commit(), "unknown: the build doesn't tell"))
		p.Row("Go", runtime.Version())
		p.Row("platform", platform)
	})
}

// Short is its version.
func (b *Program) Short(o view.Options) view.View {
	return view.Of(o, func(p *view.Printer) { p.Line(0, "regfsck ", b.Version) })
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
	Commit  string `json:"commit"` // it was built from; "" where that is unknown
}

func toolOf(version string) toolFields { return toolFields{version, commit()} }

// linkedCommit is the commit that cmd/dist passes to the linker: the go command records
// it only where it can run git in the directory of the source.
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

// FailureSchema names the document of a Failure and its form.
const FailureSchema = "regfsck.error/1"

// Failure is the answer of a command that failed: what went wrong, as stderr says it.
type Failure struct {
	Version string
	Error   string
	Hint    string       // what to do, in lines; "" where there is nothing to say
	After   *HookFailure // of --after; nil where that didn't run or ended well
	Exit    exitcode.Code
}

type failureFields struct {
	Schema string       `json:"schema"`
	Tool   toolFields   `json:"tool"`
	Error  string       `json:"error"`
	Hint   string       `json:"hint"`            // what to do; "" where there is nothing to say
	After  *HookFailure `json:"after,omitempty"` // where --after failed
	Exit   exitFields   `json:"exit"`
}

// Fields is the document.
func (f *Failure) Fields() any {
	return failureFields{FailureSchema, toolOf(f.Version), f.Error, f.Hint, f.After, exitOf(f.Exit)}
}
