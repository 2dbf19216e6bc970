// Package formats writes answers in all formats but text: each format has one file, and one
// line in All.
package formats

import (
	"io"
	"strings"

	"regfsck/report"
)

// Format is a format of files. To add one, write its renderer and its line in All.
type Format struct {
	Name string
	Ext  string // extension of its files, ".json"; "" if it isn't written to files

	// Writer returns the function that writes the document, nil if it can't be written in
	// this format. It depends only on the document's type.
	Writer func(report.Document) func(io.Writer) error

	Usage bool // it shows the usage of repositories
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

// OfFile returns the format for a file name's extension; ok reports whether there is one.
func OfFile(path string) (f Format, ok bool) {
	for _, f := range All() {
		if f.Ext != "" && strings.HasSuffix(path, f.Ext) {
			return f, true
		}
	}
	return Format{}, false
}

// Renderer returns the function that writes the document in the named format, nil if there is
// none.
func Renderer(name string, d report.Document) func(io.Writer) error {
	for _, f := range All() {
		if name == f.Name {
			return f.Writer(d)
		}
	}
	return nil
}

// OfDocument returns the file formats of a document.
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
