// Package lister lists a store that has no directories: one sorted row of keys, of
// which a server tells in pages. It knows nothing of the server but its pages.
//
// A listing is as fast as its pages can be asked for side by side, and nobody knows
// beforehand where to split the row: names are unknown, and one repository may hold
// more than all others. A listing begins as one chain of pages; whoever is idle takes
// a part of the range that has, by what its pages have shown, the largest rest
// (partition.go, split.go).
//
// A link's content follows from its path, and the ETag of a small object is the MD5 of
// its content with most servers. So a page proves a thousand links that are then never
// read (proof.go). What a page doesn't prove is read, with many requests in flight; an
// ETag alone never makes a finding.
//
// Unknown is never absent here either: a page that contradicts itself is an error.
package lister

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
)

// Lister lists one store. All fields must be set; those that are functions are called
// from several goroutines at a time.
type Lister struct {
	// Page fills in the page that a request asks for. It has checked what a page alone
	// can show: that keys rise, and begin as they should. Where nothing may be listed
	// the error is fs.ErrPermission.
	Page func(ctx context.Context, q Request, p *Page) error
	// Read returns the bytes of an object, the first n of them alone if n isn't 0, and
	// the item as that answer describes it. Errors are those of backend.Reader's Open.
	Read func(ctx context.Context, key string, n int) (io.ReadCloser, backend.Item, error)
	// Proven is told how many contents a page has proven.
	Proven func(n int)
	// Marker is told of each marker of a directory. The key is valid during the call.
	Marker func(key string)

	Name     string // the store, for people
	Workers  int    // pages asked for side by side
	Readers  int    // objects read side by side for one page
	PageSize int32  // keys of a page; 0 leaves it to the server, which takes 1,000
}

// Request says which page is wanted. Keys are those of the store.
type Request struct {
	Prefix string // of all keys
	After  string // keys above this one; "" for all
	Token  string // of the page before, instead of After
	Dirs   bool   // hide what is below the prefix's directories
	Max    int32  // keys at most; 0 leaves it to the server
}

// Page is one page of a listing. It is filled again and again; all slices but those of
// Token and Prefixes point into what the next fill overwrites.
type Page struct {
	Objects   []Object
	Prefixes  []string // the directories that Request.Dirs has hidden, with a slash
	Token     string   // asks for the next page
	Truncated bool     // there is a next page

	Body, Spare []byte // memory of whoever fills the page in
}

// Object is one key of a page.
type Object struct {
	Key, ETag []byte
	Size      int64
	Modified  int64 // nanoseconds since 1970
	Archived  bool  // as backend.Item's
}

// name returns the key as a string that lives as long as the page.
func (o *Object) name() string { return unsafe.String(unsafe.SliceData(o.Key), len(o.Key)) }

// PageError is a page that can't be trusted.
type PageError struct{ text string }

func (e *PageError) Error() string { return "the server sent a page that can't be trusted: " + e.text }

// Distrust returns a *PageError that says why.
func Distrust(format string, args ...any) error { return &PageError{fmt.Sprintf(format, args...)} }

// Names is backend.Reader's, by one page: a thousand names.
func (l *Lister) Names(ctx context.Context, dir string) ([]backend.Item, error) {
	if err := backend.CheckKey("list", dir); err != nil {
		return nil, err
	}
	prefix := dir + "/"
	var p Page
	if err := l.Page(ctx, Request{Prefix: prefix, Dirs: true}, &p); err != nil {
		return nil, err
	}
	var items []backend.Item
	for i := range p.Objects {
		o := &p.Objects[i]
		if name := strings.TrimPrefix(o.name(), prefix); name != "" { // else it is the marker of dir itself
			items = append(items, backend.Item{Name: strings.Clone(name), Size: o.Size, Modified: o.Modified})
		}
	}
	for _, name := range p.Prefixes {
		items = append(items, backend.Item{Name: strings.Clone(strings.TrimPrefix(name, prefix))})
	}
	if len(items) == 0 {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
	}
	return items, nil
}

const (
	// findGroup is how many keys are looked for in one chain of pages.
	findGroup = 256
	// fewKeys is how many of a group are not looked for in pages, and how many a page
	// has to tell of for the next one to be asked for.
	fewKeys = 4
)

// Find looks for keys in pages where many stand close together, at a fraction of the
// requests that looks at each of them would take. It calls found for those that it
// finds, from several goroutines; at is the key's index. Of the others nothing is
// known, and why a page couldn't be had is left to a look at the keys themselves.
func (l *Lister) Find(ctx context.Context, keys []string, found func(at int, item backend.Item)) {
	var work errgroup.Group
	work.SetLimit(l.Workers)
	for _, g := range Groups(keys, findGroup) {
		if len(g.At) > fewKeys {
			work.Go(func() error {
				l.findIn(ctx, g, keys, found)
				return nil
			})
		}
	}
	work.Wait()
}

// findIn asks for the pages that hold a group's keys, as long as they hold enough of
// them.
func (l *Lister) findIn(ctx context.Context, g Group, keys []string, found func(at int, item backend.Item)) {
	var p Page
	for rest := g.At; len(rest) > fewKeys; {
		q := Request{Prefix: g.Prefix, After: Before(keys[rest[0]]), Max: l.PageSize}
		if l.Page(ctx, q, &p) != nil || len(p.Objects) == 0 {
			return
		}
		n := 0
		last := p.Objects[len(p.Objects)-1].name()
		for ; n < len(rest) && keys[rest[n]] <= last; n++ {
			key := keys[rest[n]]
			at := sort.Search(len(p.Objects), func(i int) bool { return p.Objects[i].name() >= key })
			if o := &p.Objects[at]; o.name() == key {
				found(rest[n], backend.Item{Name: key, Size: o.Size, Modified: o.Modified, ETag: strings.Clone(string(o.ETag))})
			}
		}
		if n < fewKeys || !p.Truncated {
			return
		}
		rest = rest[n:]
	}
}

// Group is some keys of which a listing of one prefix tells.
type Group struct {
	Prefix string // of all of them, as a key; "" or "directory/"
	At     []int  // where they are among the keys asked for, in the order of keys
}

// Groups puts keys together whose directories stand in the same directory, as the leaves
// of blobs/sha256/<2 hex>/ do and those of one _layers/sha256/; at
// most so many of them, so that much is asked for side by side.
func Groups(keys []string, most int) []Group {
	order := make([]int, len(keys))
	for i := range keys {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(keys[a], keys[b]) })
	var all []Group
	byPrefix := map[string]int{}
	for _, i := range order {
		dir, _ := backend.SplitKey(keys[i])
		prefix, _ := backend.SplitKey(dir)
		if prefix != "" {
			prefix += "/"
		}
		n, ok := byPrefix[prefix]
		if !ok || len(all[n].At) == most {
			n = len(all)
			byPrefix[prefix] = n
			all = append(all, Group{Prefix: prefix})
		}
		all[n].At = append(all[n].At, i)
	}
	return all
}

// Before returns a key below key with hardly any between them.
func Before(key string) string {
	_, n := utf8.DecodeLastRuneInString(key)
	return key[:len(key)-n]
}
