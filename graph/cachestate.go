package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"regfsck/backend"
	"regfsck/walker/layout"
)

// CacheState is a pull-through cache's scheduler-state.json that keeps the
// registry from starting.
type CacheState struct {
	Item backend.Item
	Why  string // a clause: what is wrong with it
}

// readCacheState reads the file in which a pull-through cache keeps when its
// content expires, and returns what is bad about it; nil for nothing. A registry reads it
// when it starts, and 2.8 and 3.1 end in a panic where it is no JSON. A registry at work
// writes it anew now and then: what is bad is read twice, and believed only once it has not
// changed for a while. An error is one of reading it.
func readCacheState(ctx context.Context, r backend.Reader, now time.Time) (bad *CacheState, err error) {
	for range 2 {
		item, err := r.Stat(ctx, layout.SchedulerKey)
		var why error
		if err == nil {
			why, err = parseCacheState(ctx, r)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // it was there just now
			bad = &CacheState{Item: backend.Item{Modified: now.UnixNano()}}
		case err != nil:
			return bad, err
		case why == nil:
			return nil, nil
		default:
			bad = &CacheState{item, why.Error()}
		}
	}
	return bad, nil
}

// parseCacheState says why a registry could not take the file's content; nil if
// it could. An error is one of reading it.
func parseCacheState(ctx context.Context, r backend.Reader) (why, err error) {
	f, err := r.Open(ctx, layout.SchedulerKey)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	read := &remembering{r: f}
	why = CacheStateError(read)
	return why, read.err
}

// remembering is a reader that remembers an error.
type remembering struct {
	r   io.Reader
	err error
}

// Read is io.Reader's.
func (f *remembering) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// CacheStateError is what a registry's scheduler says of its file, which is an
// object with an entry for each thing that expires (registry/proxy/scheduler of
// 2.8 and 3.1). It is read entry by entry: a large cache has a large file.
func CacheStateError(r io.Reader) error {
	d := json.NewDecoder(r)
	start, err := d.Token()
	switch {
	case err == io.EOF:
		return errors.New("it is empty")
	case err != nil:
		return cutOr(err)
	case start == nil: // null is no entries
		return ended(d)
	case start != json.Delim('{'):
		return errors.New("it is no JSON object")
	}
	for d.More() {
		if _, err := d.Token(); err != nil {
			return cutOr(err)
		}
		var entry *struct {
			Key       string
			Expiry    time.Time `json:"ExpiryData"`
			EntryType int
		}
		if err := d.Decode(&entry); err != nil {
			return cutOr(err)
		}
		if entry == nil {
			return errors.New("one of its entries is null")
		}
	}
	if _, err := d.Token(); err != nil {
		return cutOr(err)
	}
	return ended(d)
}

// ended says whether nothing follows.
func ended(d *json.Decoder) error {
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON in it")
	}
	return nil
}

func cutOr(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errors.New("it is cut off")
	}
	return fmt.Errorf("it is no valid JSON: %w", err)
}
