package ledger

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// ErrLocked is the error for a file into which another run writes.
var ErrLocked = errors.New("another run of regfsck writes into it")

// Read adds the records of a file, which must be a ledger of the store with that identity.
// What is damaged in it becomes a note. Errors are ErrStore, ErrFormat and those of the
// system.
func (l *Ledger) Read(path, store string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	c := &chain{in: bufio.NewReaderSize(f, 1<<20)}
	_, err = l.load(c, path, store)
	return err
}

// load reads a file. why is errCut or errChanged if the chain ends before the file, else
// nil.
func (l *Ledger) load(c *chain, path, store string) (why, err error) {
	switch err := c.readHeader(store); {
	case errors.Is(err, errCut):
		l.note("%s has no record in it", path)
		return errCut, nil
	case err != nil:
		return nil, err
	}
	n, ahead := 0, 0
	why = c.records(func(records []Record) {
		n += len(records)
		ahead += l.add(records)
	})
	if why != nil && why != errCut && why != errChanged {
		return nil, why
	}
	if why != nil {
		l.note("%s %v at byte %d: what is before that is used (%d of its records), and nothing behind it", path, why, c.at, n)
	}
	if ahead > 0 {
		l.note("%s has %d records of a later time than now: a clock was wrong when they were written, or is wrong now. They don't count. Set the clock, and hash these blobs again into a new file", path, ahead)
	}
	return why, nil
}

func (l *Ledger) note(format string, args ...any) {
	l.Notes = append(l.Notes, fmt.Sprintf(format, args...)+".")
}

// Open reads a file as Read does, and has Put append to it; it makes the file if there is
// none. A truncated file is continued at the cut. A damaged file is renamed to
// NAME.damaged, and a new file gets the blocks before the damage. Errors are those of Read,
// and ErrLocked.
func (l *Ledger) Open(path, store string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			f.Close()
		}
	}()
	if err := lock(f); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	c := &chain{in: bufio.NewReaderSize(f, 1<<20)}
	if info.Size() == 0 {
		if err := begin(f, c, store); err != nil {
			return err
		}
	} else {
		why, err := l.load(c, path, store)
		if err != nil {
			return err
		}
		switch {
		case why == errCut && c.number == 0:
			if err = f.Truncate(0); err == nil {
				err = begin(f, c, store)
			}
		case why == errCut:
			err = f.Truncate(c.at)
		case why == errChanged:
			f, err = l.setAside(f, path, c.at)
		}
		if err != nil {
			return err
		}
	}
	if _, err := f.Seek(c.at, io.SeekStart); err != nil {
		return err
	}
	l.out, done = &writer{file: f, number: c.number, last: c.last, synced: time.Now()}, true
	return nil
}

// begin writes the header.
func begin(f *os.File, c *chain, store string) error {
	text, err := json.Marshal(header{format, store})
	if err != nil {
		return err
	}
	b, s := block(sum{}, 0, text)
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	c.number, c.last, c.at = 1, s, int64(len(b))
	return f.Sync()
}

// setAside renames a damaged file, and returns a new one under its name with its first
// bytes, which are sound.
func (l *Ledger) setAside(f *os.File, path string, sound int64) (*os.File, error) {
	kept := path + ".damaged"
	for n := 2; ; n++ {
		if _, err := os.Lstat(kept); errors.Is(err, os.ErrNotExist) {
			break
		}
		kept = fmt.Sprintf("%s.damaged-%d", path, n)
	}
	fresh, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return f, err
	}
	_, err = io.Copy(fresh, io.NewSectionReader(f, 0, sound))
	if err == nil {
		err = fresh.Sync()
	}
	if err == nil {
		err = lock(fresh)
	}
	if err == nil {
		err = os.Rename(path, kept)
	}
	if err == nil {
		err = os.Rename(fresh.Name(), path)
	}
	if err != nil {
		os.Remove(fresh.Name())
		fresh.Close()
		return f, err
	}
	l.note("%s is kept as %s, and begun anew with these records", path, kept)
	return fresh, f.Close()
}

// writer appends blocks to a file.
type writer struct {
	file    *os.File
	number  uint32 // of the next block
	last    sum
	rest    []byte    // records that aren't written yet
	written time.Time // when the last block was
	synced  time.Time
	err     error // of an earlier write: nothing can be appended after half a block
}

// How long records may remain in memory, and how long without a sync. A blob whose record is
// lost is hashed again.
const (
	writeEvery = time.Second
	syncEvery  = 10 * time.Second
)

func (w *writer) put(r Record) {
	if w.err != nil {
		return
	}
	w.rest = appendRecord(w.rest, &r)
	if len(w.rest) < maxBytes && time.Since(w.written) < writeEvery {
		return
	}
	w.flush()
	if w.err == nil && time.Since(w.synced) >= syncEvery {
		w.err, w.synced = w.file.Sync(), time.Now()
	}
}

func (w *writer) flush() {
	if w.err != nil || len(w.rest) == 0 {
		return
	}
	b, s := block(w.last, w.number, w.rest)
	_, w.err = w.file.Write(b)
	w.number, w.last, w.rest, w.written = w.number+1, s, w.rest[:0], time.Now()
}

func (w *writer) close() error {
	w.flush()
	if w.err == nil {
		w.err = w.file.Sync()
	}
	err := w.file.Close()
	return cmp.Or(w.err, err)
}
