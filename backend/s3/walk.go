package s3

import (
	"errors"
	"sort"
)

var errNotFolder = errors.New("is a file, not a folder")

// walk takes one span to its end, page by page. All of it is done by one
// goroutine at a time.
type walk struct {
	l     *listing
	span  *span
	page  page
	group grouping
	empty int // pages in a row that held nothing
}

// maxEmpty is how many empty pages in a row are borne: servers send some where
// they have skipped what was deleted.
const maxEmpty = 100

// next takes one page and hands over what is in it. more reports whether the
// span goes on.
func (w *walk) next(p *pool) (more bool, err error) {
	l, s := w.l, w.span
	q := request{prefix: l.root + l.prefix, token: s.token, max: l.pageSize}
	if s.pos != "" {
		q.after = l.root + s.pos
	}
	err = l.Reader.page(l.ctx, q, &w.page)
	if err != nil && s.trial != nil && l.ctx.Err() == nil {
		p.refuse(s)
		return false, nil
	}
	if isDenied(err) {
		return false, &unlistable{err}
	}
	if err != nil {
		return false, err
	}
	if w.empty++; len(w.page.objects) > 0 {
		w.empty = 0
	}
	if w.empty > maxEmpty {
		return false, distrust("%d pages in a row hold nothing, and more is said to follow", w.empty)
	}
	for i := range w.page.objects {
		w.page.objects[i].key = w.page.objects[i].key[len(l.root):]
	}
	more = p.advance(s, &w.page)
	if err := w.group.page(l, s, w.page.objects); err != nil {
		return false, err
	}
	return more, nil
}

// close is to be called when the span is at its end.
func (w *walk) close() {
	w.group.putAside(w.l)
	w.group.leave(w.l, w.span, "")
}

// upTo cuts off the objects above key, and reports whether there were any.
func (p *page) upTo(key string) bool {
	n := len(p.objects)
	if key == "" || n == 0 || string(p.objects[n-1].key) <= key {
		return false
	}
	p.objects = p.objects[:sort.Search(n, func(i int) bool { return string(p.objects[i].key) > key })]
	return true
}
