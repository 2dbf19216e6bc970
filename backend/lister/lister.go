// Package lister lists a store without directories: one sorted list of keys, in pages.
// Lister.Page is its only connection to a server.
//
// The speed of a listing depends on how many pages are requested in parallel. Where to split
// the list isn't known beforehand: one repository may have more keys than all others. A
// listing begins as one sequence of pages; an idle worker splits the range with the largest
// estimated rest (partition.go, split.go).
//
// A link's content follows from its key, and with most servers the ETag of a small object is
// the MD5 of its content. So one page can prove a thousand links without reading them
// (proof.go). Files that a page doesn't prove are read, many in parallel; a different ETag
// alone is never a finding.
//
// A page that contradicts itself is an error, never an absent key.
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

// Lister lists one store. All functions must be set. They are called from several goroutines
// at a time.
type Lister struct {
	// Page requests a page. It checks what one page alone can show: that keys are sorted and
	// begin with the prefix. If listing isn't supported the error is fs.ErrPermission.
	Page func(ctx context.Context, q Request, p *Page) error
	// Read returns the content of an object, or only its first n bytes if n isn't 0, and the
	// item as that response describes it. Errors are those of backend.Reader's Open.
	Read func(ctx context.Context, key string, n int) (io.ReadCloser, backend.Item, error)
	// Proven is called with the number of files that a page proved.
	Proven func(n int)
	// Marker is called for each marker of a directory. The key is valid during the call.
	Marker func(key string)

	Name     string // the store, for people
	Old      bool   // Page shows an earlier time: what Read can't find was removed since
	Workers  int    // pages requested in parallel
	Readers  int    // objects read in parallel for one page
	PageSize int32  // keys of a page; 0 for the server's default, 1,000
}

// Request selects a page. Keys are those of the store.
type Request struct {
	Prefix string // of all keys
	After  string // keys above this one; "" for all
	Token  string // of the page before, instead of After
	Dirs   bool   // return directories below the prefix as Prefixes, without their keys
	Max    int32  // at most so many keys; 0 for the server's default
}

// Page is one page of a listing. It is reused: each use overwrites what its slices, except
// Token and Prefixes, point to.
type Page struct {
	Objects   []Object
	Prefixes  []string // the directories of Request.Dirs, with a slash at the end
	Token     string   // of the next page
	Truncated bool     // there is a next page

	Body, Spare []byte // buffers of Lister.Page
}

// Object is one key of a page.
type Object struct {
	Key, ETag []byte
	Size      int64
	Modified  int64 // nanoseconds since 1970
	Archived  bool  // as backend.Item's
	NoMD5     bool  // its ETag isn't the MD5 of its content, though it may look like one
}

// name returns the key as a string that is valid as long as the page.
func (o *Object) name() string { return unsafe.String(unsafe.SliceData(o.Key), len(o.Key)) }

// PageError is the error for a page that can't be trusted.
type PageError struct{ text string }

func (e *PageError) Error() string { return "the server sent a page that can't be trusted: " + e.text }

// Distrust returns a *PageError with that reason.
func Distrust(format string, args ...any) error { return &PageError{fmt.Sprintf(format, args...)} }

// Names implements backend.Reader with one page: up to a thousand names.
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
	// findGroup is the maximal number of keys of a Group in Find.
	findGroup = 256
	// fewKeys is the largest number of keys that Find leaves out, and the smallest that a page
	// must contain for Find to request the next.
	fewKeys = 4
)

// Find looks for keys in listings, where many are in one directory: with a fraction of the
// requests of one Stat each. It calls found for those that it finds, from several goroutines;
// at is the key's index. Of other keys nothing is known, and errors are ignored: the caller
// stats these keys.
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

// findIn requests the pages of a group's keys while each contains enough of them.
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

// Group is keys that one listing covers.
type Group struct {
	Prefix string // of all of them, "" or "directory/"
	At     []int  // their indexes, in the order of keys
}

// Groups groups keys by the parent of their directory, at most so many in a group: the files
// of blobs/sha256/<2 hex>/, or those of one _layers/sha256/.
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

// Before returns a key shortly before key.
func Before(key string) string {
	_, n := utf8.DecodeLastRuneInString(key)
	return key[:len(key)-n]
}
