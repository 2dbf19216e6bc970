package report

import (
	"fmt"
	"time"

	"regfsck/backend/words"
	"regfsck/report/document"
	"regfsck/report/exitcode"
	"regfsck/report/view"
)

// ExportSchema is the name and version of the document of an export.
const ExportSchema = "regfsck.export/1"

// Export is the files that were written of a store.
type Export struct {
	Version  string
	Target   string
	Started  time.Time
	Finished time.Time
	Tables   string // the directory of the tables; "" for none
	Files    []Exported
	Notes    []string
	Exit     exitcode.Code
}

// Exported is a file that was written.
type Exported struct {
	Name  string `json:"name"` // of the table, or batch-manifest
	Path  string `json:"path"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
}

// BatchManifest is the name of the list of blobs for a batch job.
const BatchManifest = "batch-manifest"

// View returns a line a file.
func (e *Export) View(o view.Options) view.View {
	return view.Of(o, func(p *view.Printer) {
		p.Title(e.sum())
		p.Gap()
		p.BareTable(1, view.Column{Name: "file", Width: 20}, view.Column{Name: "rows", Width: 14, Right: true}, view.Column{Name: "bytes", Width: 10, Right: true})
		var steps [][2]string
		for _, f := range e.Files {
			name := f.Name + ".parquet"
			if f.Name == BatchManifest {
				name = words.Clean(f.Path)
				steps = append(steps, [2]string{"regfsck help scale", "the job that hashes these, and what to do with its report"})
			}
			p.Row(name, words.Plural(f.Rows, "row ", "rows"), words.Size(f.Bytes))
		}
		p.Notes(e.Notes)
		if e.Tables != "" {
			steps = append(steps, [2]string{"regfsck help tables", "what the tables hold, and questions in SQL"})
		}
		p.Commands(steps)
		if e.Exit != 0 {
			exitLine(p, e.Exit, e.Exit.Meaning())
		}
	})
}

// Short returns how many files were written, and where.
func (e *Export) Short(o view.Options) view.View { return line(o, e.sum()) }

func (e *Export) sum() string {
	if e.Tables == "" {
		return words.Plural(e.Files[0].Rows, "blob", "blobs") + " of " + words.Clean(e.Target)
	}
	n := 0
	for _, f := range e.Files {
		if f.Name != BatchManifest {
			n++
		}
	}
	return fmt.Sprintf("%d tables in %s", n, words.Clean(e.Tables))
}

type exportFields struct {
	timedFields
	Tables string     `json:"tables"` // the directory of the tables, or ""
	Files  []Exported `json:"files"`
	Notes  []string   `json:"notes"`
	Exit   exitFields `json:"exit"`
}

// Fields returns the document.
func (e *Export) Fields() any {
	return exportFields{timed(ExportSchema, e.Version, e.Target, e.Started, e.Finished), e.Tables, document.List(e.Files), document.List(e.Notes), exitOf(e.Exit)}
}
