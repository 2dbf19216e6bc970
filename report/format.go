package report

import "io"

// Format is a form in which documents are written to files. To add one, write its
// renderer, over Document's View perhaps, and its line in Formats.
type Format struct {
	Name string
	Ext  string // the ending of its files, ".json"; "" where no file is written in it

	// Writer returns what writes the document in this form, nil where it has no such form.
	Writer func(Document) func(io.Writer) error
}

// Formats are all there are.
func Formats() []Format {
	return []Format{
		{"json", ".json", func(d Document) func(io.Writer) error { return d.WriteJSON }},
		{"csv", ".csv", csvWriter},
		{"dot", "", dotWriter},
	}
}

// Renderer returns what writes the document in the form that has this name or this
// ending, nil where there is none.
func Renderer(form string, d Document) func(io.Writer) error {
	for _, f := range Formats() {
		if form == f.Name || form == f.Ext && f.Ext != "" {
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
