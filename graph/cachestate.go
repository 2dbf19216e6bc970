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

// CacheState is a pull-through cache's scheduler-state.json with which no registry starts.
type CacheState struct {
	Item backend.Item
	Why  string // a clause: what is wrong with it
}

// readCacheState reads the file in which a pull-through cache stores when its content
// expires, and returns what is wrong with it; nil for nothing. A registry reads it at its
// start; 2.8 and 3.1 panic if it isn't JSON. A running registry overwrites it, so a bad file
// is read twice and must not have changed for a while. An error is one of reading.
func readCacheState(ctx context.Context, r backend.Reader, now time.Time) (bad *CacheState, err error) {
	for range 2 {
		item, err := r.Stat(ctx, layout.SchedulerKey)
		var why error
		if err == nil {
			why, err = parseCacheState(ctx, r)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // it was removed since the listing
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

// parseCacheState returns why a registry can't parse the file; nil if it can. err is an error
// of reading.
func parseCacheState(ctx context.Context, r backend.Reader) (why, err error) {
	f, err := r.Open(ctx, layout.SchedulerKey)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	read := &backend.Recorder{Reader: f}
	why = CacheStateError(read)
	return why, read.Err
}

// CacheStateError returns how a registry's scheduler fails to parse the file: it must be an
// object with an entry for each thing that expires (registry/proxy/scheduler of 2.8 and 3.1).
// It is parsed entry by entry, since it can be large.
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

// ended returns an error if more follows.
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
