// Package formats writes the answers of the program in all forms but text: each form has
// one file here, and one line in All.
package formats

import (
	"io"
	"strings"

	"regfsck/report"
)

// Format is a form in which documents are written to files. To add one, write its
// renderer, over the View perhaps, and its line in All.
type Format struct {
	Name string
	Ext  string // the ending of its files, ".json"; "" where no file is written in it

	// Writer returns what writes the document in this form, nil where it has no such form.
	// It looks at the document's type alone.
	Writer func(report.Document) func(io.Writer) error

	Usage bool // it shows which repository uses how much, where the document knows that
}

// All returns all formats.
func All() []Format {
	return []Format{
		{"json", ".json", jsonWriterOf, false},
		{"csv", ".csv", csvWriter, false},
		{"markdown", ".md", markdownWriter, false},
		{"html", ".html", htmlWriter, true},
		{"prometheus", ".prom", promWriter, true},
		{"junit", ".junit.xml", junitWriter, false},
		{"dot", "", dotWriter, false},
	}
}

// OfFile returns the format that the ending of a file's name means; ok is false for none.
func OfFile(path string) (f Format, ok bool) {
	for _, f := range All() {
		if f.Ext != "" && strings.HasSuffix(path, f.Ext) {
			return f, true
		}
	}
	return Format{}, false
}

// Renderer returns what writes the document in the form that has this name, nil where
// there is none.
func Renderer(name string, d report.Document) func(io.Writer) error {
	for _, f := range All() {
		if name == f.Name {
			return f.Writer(d)
		}
	}
	return nil
}

// OfDocument returns the formats in which files of such a document can be written.
func OfDocument(d report.Document) (all []Format) {
	for _, f := range All() {
		if f.Ext != "" && f.Writer(d) != nil {
			all = append(all, f)
		}
	}
	return all
}

func jsonWriterOf(d report.Document) func(io.Writer) error {
	return func(w io.Writer) error { return report.WriteJSON(w, d) }
}
