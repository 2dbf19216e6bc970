package report

import "io"

// WriteVerdict writes how much there is.
func (l *RepositoryList) WriteVerdict(w io.Writer, o TextOptions) error {
	t := newLister(&l.List, w, o)
	t.line(0, Plural(l.All, "repository", "repositories")+" in "+Clean(l.Target))
	return t.flush()
}

// WriteVerdict writes how much there is.
func (l *TagList) WriteVerdict(w io.Writer, o TextOptions) error {
	t := newLister(&l.List, w, o)
	t.line(0, Plural(l.All, "tag", "tags")+" in "+Clean(l.Repository.Name))
	return t.flush()
}

// WriteVerdict writes how many tags can't be pulled.
func (l *BrokenList) WriteVerdict(w io.Writer, o TextOptions) error {
	t := newLister(&l.List, w, o)
	t.line(0, Plural(l.All, "tag", "tags")+" can't be pulled")
	return t.flush()
}

// WriteVerdict writes what the tag means.
func (l *TagTree) WriteVerdict(w io.Writer, o TextOptions) error {
	t := newLister(&l.List, w, o)
	t.line(0, Clean(l.Repository+":"+l.Tag.Name)+"  "+Clean(l.Tag.Digest))
	return t.flush()
}
