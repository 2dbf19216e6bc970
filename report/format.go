package report

import (
	"io"
	"strings"
)

// Format is a form in which documents are written to files. To add one, write its
// renderer, over Document's View perhaps, and its line in Formats.
type Format struct {
	Name string
	Ext  string // the ending of its files, ".json"; "" where no file is written in it

	// Writer returns what writes the document in this form, nil where it has no such form.
	// It looks at the document's type alone.
	Writer func(Document) func(io.Writer) error

	Usage bool // it tells of who uses how much, where the document knows it
}

// Formats are all there are.
func Formats() []Format {
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

// FormatOf returns the form of a file, which its ending says.
func FormatOf(path string) (f Format, ok bool) {
	for _, f := range Formats() {
		if f.Ext != "" && strings.HasSuffix(path, f.Ext) {
			return f, true
		}
	}
	return Format{}, false
}

// Renderer returns what writes the document in the form that has this name, nil where
// there is none.
func Renderer(name string, d Document) func(io.Writer) error {
	for _, f := range Formats() {
		if name == f.Name {
			return f.Writer(d)
		}
	}
	return nil
}

// FileFormats are those in which files of such a document can be written.
func FileFormats(d Document) (all []Format) {
	for _, f := range Formats() {
		if f.Ext != "" && f.Writer(d) != nil {
			all = append(all, f)
		}
	}
	return all
}
