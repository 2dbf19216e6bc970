package s3

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/backend/history"
	"regfsck/backend/lister"
)

// nullVersion is the version of an object that was written without versioning.
const nullVersion = "null"

// versions lists the versions of keys. It changes nothing.
type versions struct{ *Reader }

// histories returns the history of each key, or an error. A key without versions has an empty
// history.
func (s versions) histories(ctx context.Context, keys []string) ([]history.History, []error) {
	all, errs := make([]history.History, len(keys)), make([]error, len(keys))
	var work errgroup.Group
	work.SetLimit(s.workers)
	for _, g := range lister.Groups(keys, historiesGroup) {
		work.Go(func() error {
			s.historiesIn(ctx, g, keys, all, errs)
			return nil
		})
	}
	work.Wait()
	return all, errs
}

const (
	historiesGroup = 64 // maximal keys of a group
	versionsOfKey  = 16 // requested versions for each of them
)

// history returns the history of one key.
func (s versions) history(ctx context.Context, key string) (history.History, error) {
	l := versionListing{s: s, q: versionRequest{prefix: s.root + key, max: versionsOfKey}}
	for l.next(ctx) && l.key <= s.root+key {
	}
	h := l.take(s.root + key)
	if l.err == nil && !h.Complete() {
		return nil, lister.Distrust("none of the versions of the key %q is the latest: the list is incomplete, so the current version is unknown", s.root+key)
	}
	return h, l.err
}

// historiesIn fills in the histories of a group's keys from pages of their prefix. It skips
// pages between keys that are far apart.
func (s versions) historiesIn(ctx context.Context, g lister.Group, keys []string, all []history.History, errs []error) {
	l := versionListing{s: s, q: versionRequest{prefix: s.root + g.Prefix, max: s.pageSize}, wanted: map[string]bool{}}
	if l.q.max == 0 {
		l.q.max = int32(min(1000, versionsOfKey*len(g.At)))
	}
	for _, at := range g.At {
		l.wanted[s.root+keys[at]] = true
	}
	for n, at := range g.At {
		key := s.root + keys[at]
		if n == 0 || !l.done && l.key < key && l.pages > 0 && l.behind(lister.Before(key)) {
			l.jump(lister.Before(key))
		}
		for !l.done && l.key <= key && l.next(ctx) {
		}
		all[at], errs[at] = l.take(key), l.err
		if errs[at] == nil && !all[at].Complete() {
			all[at], errs[at] = s.history(ctx, keys[at])
		}
	}
}

// versionListing lists the versions below a prefix, page by page.
type versionListing struct {
	s      versions
	q      versionRequest
	wanted map[string]bool       // the keys whose versions are recorded; nil for all
	each   func(history.Version) // called with each version instead; may be nil
	found  map[string]history.History
	key    string // the last key of the last page: all keys below it are complete
	pages  int
	done   bool
	err    error
}

// next reads a page. It returns false at the end and after an error.
func (l *versionListing) next(ctx context.Context) bool {
	if l.done || l.err != nil {
		return false
	}
	p, err := l.s.page(ctx, l.q)
	if err != nil {
		l.err, l.done = err, true
		return false
	}
	l.pages++
	if l.found == nil {
		l.found = map[string]history.History{}
	}
	for i := range p.Entries {
		e := &p.Entries[i]
		l.key = max(l.key, e.Key)
		if l.each == nil && l.wanted != nil && !l.wanted[e.Key] {
			continue
		}
		v, err := e.version()
		if err != nil {
			l.err, l.done = err, true
			return false
		}
		if l.each != nil {
			l.each(v)
			continue
		}
		if l.found[e.Key].Find(v.ID) < 0 { // versitygw repeats the last version of a page
			l.found[e.Key] = append(l.found[e.Key], v)
		}
	}
	l.done = !*p.IsTruncated
	l.q.key, l.q.after = p.NextKeyMarker, p.NextVersionIdMarker
	return !l.done
}

// behind reports whether key is above the listed keys.
func (l *versionListing) behind(key string) bool { return l.q.key < key }

// jump continues the listing after a key.
func (l *versionListing) jump(key string) { l.q.key, l.q.after, l.key = key, "", key }

// take returns the history of a listed key.
func (l *versionListing) take(key string) history.History {
	h := l.found[key]
	h.Sort()
	return h
}

// versionPage is a response to ListObjectVersions. The SDK's type doesn't preserve the order
// of markers and versions.
type versionPage struct {
	XMLName             xml.Name
	IsTruncated         *bool
	EncodingType        types.EncodingType
	NextKeyMarker       string
	NextVersionIdMarker string
	Entries             []versionEntry `xml:",any"`
}

type versionEntry struct {
	XMLName      xml.Name
	Key          string
	VersionID    string `xml:"VersionId"`
	IsLatest     bool
	LastModified string
	ETag         string
	Size         int64
}

// versionRequest selects a page of versions.
type versionRequest struct {
	prefix     string // of all keys, with the root
	key, after string // versions following this one of this key; without after, following all of the key's
	max        int32
}

// page requests a page, checks what one page alone can show, and decodes its keys.
func (s versions) page(ctx context.Context, q versionRequest) (*versionPage, error) {
	in := &s3.ListObjectVersionsInput{Bucket: &s.bucket, EncodingType: types.EncodingTypeUrl}
	if q.prefix != "" {
		in.Prefix = &q.prefix
	}
	if q.key != "" {
		in.KeyMarker = &q.key
	}
	if q.after != "" {
		in.VersionIdMarker = &q.after
	}
	if q.max > 0 {
		in.MaxKeys = &q.max
	}
	p := &versionPage{}
	if _, err := s.client.ListObjectVersions(ctx, in, s3.WithAPIOptions((&decoder{decode: p.decode}).swap)); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("list the versions of s3://%s/%s: %w", s.bucket, q.prefix, s.reason(mayListVersions, err))
	}
	if err := p.check(q); err != nil {
		return nil, fmt.Errorf("list the versions of s3://%s/%s: %w", s.bucket, q.prefix, err)
	}
	return p, nil
}

// check checks that a page keeps the rules of the protocol.
func (p *versionPage) check(q versionRequest) (err error) {
	if p.NextKeyMarker, err = decoded("next key", p.NextKeyMarker, p.EncodingType); err != nil {
		return err
	}
	if p.IsTruncated == nil {
		return lister.Distrust("it is no listing")
	}
	if *p.IsTruncated && (p.NextKeyMarker < q.key || p.NextKeyMarker == q.key && (p.NextVersionIdMarker == "" || p.NextVersionIdMarker == q.after)) {
		return lister.Distrust("it announces more, but without a marker to request it")
	}
	kept := p.Entries[:0]
	last := map[string]string{} // of each kind, since some servers list them apart
	for _, e := range p.Entries {
		if e.XMLName.Local != "Version" && e.XMLName.Local != "DeleteMarker" {
			continue
		}
		if e.Key, err = decoded("key", e.Key, p.EncodingType); err != nil {
			return err
		}
		if e.Key < last[e.XMLName.Local] {
			return lister.Distrust("the key %q doesn't rise above %q", e.Key, last[e.XMLName.Local])
		}
		last[e.XMLName.Local] = e.Key
		if e.VersionID == "" || !strings.HasPrefix(e.Key, q.prefix) || e.Key < q.key || e.Key == q.key && q.after == "" {
			return lister.Distrust("it names the version %q of the key %q, which wasn't requested", e.VersionID, e.Key)
		}
		kept = append(kept, e)
		if *p.IsTruncated && e.Key > p.NextKeyMarker {
			return lister.Distrust("it says that what follows begins before the key %q", e.Key)
		}
	}
	p.Entries = kept
	return nil
}

// version returns an entry as a history.Version.
func (e *versionEntry) version() (history.Version, error) {
	at, err := time.Parse(time.RFC3339, e.LastModified)
	if err != nil {
		return history.Version{}, lister.Distrust("a version of the key %q has no time", e.Key)
	}
	return history.Version{
		ID: e.VersionID, ETag: strings.Trim(e.ETag, `"`), Size: e.Size, At: backend.Nanoseconds(at.Unix(), int64(at.Nanosecond())),
		Marker: e.XMLName.Local == "DeleteMarker", Latest: e.IsLatest,
	}, nil
}

// decode fills the page.
func (p *versionPage) decode(answer *smithyhttp.Response, _ func() (any, error)) (any, error) {
	defer answer.Body.Close()
	*p = versionPage{}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxPage))
	if err == nil {
		err = xml.Unmarshal(text, p)
	}
	if err != nil {
		return nil, fmt.Errorf("read a page of versions: %w (%w)", err, io.ErrUnexpectedEOF)
	}
	return &s3.ListObjectVersionsOutput{}, nil
}

// noncurrent counts the noncurrent versions below directories, and their bytes. It lists all
// versions there, some directories in parallel.
func (s versions) noncurrent(ctx context.Context, dirs []string) (versions int, bytes int64, err error) {
	var n, size atomic.Int64
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(s.workers)
	for _, dir := range dirs {
		work.Go(func() error {
			l := versionListing{s: s, q: versionRequest{prefix: s.root + dir}}
			l.each = func(v history.Version) {
				if !v.Latest && !v.Marker {
					n.Add(1)
					size.Add(v.Size)
				}
			}
			for l.next(ctx) {
			}
			return l.err
		})
	}
	err = work.Wait()
	return int(n.Load()), size.Load(), err
}
