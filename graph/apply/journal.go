package apply

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"regfsck/graph/plan"
)

// record is a line of a journal: one of its fields.
type record struct {
	Begin   *begin   `json:"begin,omitempty"`
	Intent  *intent  `json:"intent,omitempty"`
	Receipt *receipt `json:"receipt,omitempty"`
	End     *end     `json:"end,omitempty"`
	Undo    *mark    `json:"undo,omitempty"`   // an undo begins, or goes on
	Undone  *mark    `json:"undone,omitempty"` // and has come to its end
	Purge   *mark    `json:"purge,omitempty"`  // what is kept is given up from here on
}

// begin is a journal's first line.
type begin struct {
	Plan    string    `json:"plan"`
	Command string    `json:"command,omitempty"`
	Target  string    `json:"target,omitempty"`
	Keep    bool      `json:"keep,omitempty"`
	Time    time.Time `json:"time"`
}

// intent is what is about to be done to one key.
type intent struct {
	Op      plan.Op   `json:"op"`
	Kind    plan.Kind `json:"kind"`
	Key     string    `json:"key"`
	Step    string    `json:"step,omitempty"` // the step's key, where that is another
	Finding string    `json:"finding,omitempty"`
	Digest  string    `json:"digest,omitempty"`
	Bytes   int64     `json:"bytes,omitempty"`

	Stood   bool      `json:"stood,omitempty"`   // of a write: something is written over, and kept
	Content plan.Text `json:"content,omitempty"` // of a link: what it holds now
	Body    string    `json:"body,omitempty"`    // of a write: what it is to hold
	From    int64     `json:"from,omitempty"`    // of a write: the time of what that was made from, seconds since 1970
	Made    string    `json:"made,omitempty"`    // of a write: the topmost folder that has to be made, or ""
	Upload  string    `json:"upload,omitempty"`  // of an abort: which of the multipart uploads at Key
}

// target names what is changed.
func (i *intent) target() string { return plan.Target(i.Key, i.Upload) }

// receipt is what the store said about one key.
type receipt struct {
	Key    string `json:"key"`
	Upload string `json:"upload,omitempty"` // of an abort
	Freed  int64  `json:"freed,omitempty"`
	Kept   int64  `json:"kept,omitempty"`
	Undo   string `json:"undo,omitempty"`
	Err    string `json:"error,omitempty"`
	Time   int64  `json:"time,omitempty"` // of a write: the file's, nanoseconds since 1970; 0 if it isn't known
}

// target names what it is about.
func (r *receipt) target() string { return plan.Target(r.Key, r.Upload) }

// end says how a run ended.
type end struct {
	Time        time.Time `json:"time"`
	Interrupted bool      `json:"interrupted,omitempty"`
	Folders     bool      `json:"folders,omitempty"` // the store could not remove some that may be empty
	By          string    `json:"by,omitempty"`      // the later run that finished this one
}

// mark is a point in time.
type mark struct {
	Time time.Time `json:"time"`
}

// journal is the file to which a run's records go.
type journal struct {
	f    *os.File
	buf  *bufio.Writer
	line []byte
}

const (
	journalName = "journal.jsonl"
	planName    = "plan.jsonl"
)

// openJournal opens a run's journal behind its last whole line, at the offset
// size.
func openJournal(dir string, size int64) (*journal, error) {
	f, err := os.OpenFile(filepath.Join(dir, journalName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the journal: %w", err)
	}
	if err := f.Truncate(size); err != nil {
		f.Close()
		return nil, fmt.Errorf("the journal: %w", err)
	}
	if _, err := f.Seek(size, 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("the journal: %w", err)
	}
	return &journal{f: f, buf: bufio.NewWriterSize(f, 1<<16)}, nil
}

// add writes records. They are safe only after sync.
func (j *journal) add(records ...record) error {
	for i := range records {
		line, err := records[i].append(j.line[:0])
		if err == nil {
			j.line = append(line, '\n')
			_, err = j.buf.Write(j.line)
		}
		if err != nil {
			return fmt.Errorf("the journal: %w", err)
		}
	}
	return nil
}

// append appends the record as encoding/json writes it: in a tenth of the time,
// for there is an intent and a receipt for each blob that goes.
func (r *record) append(b []byte) ([]byte, error) {
	if i := r.Intent; i != nil {
		b = plan.AppendField(b, `{"intent":{"op":`, string(i.Op))
		b = plan.AppendField(b, `,"kind":`, string(i.Kind))
		b = plan.AppendField(b, `,"key":`, i.Key)
		b = plan.AppendText(b, `,"step":`, i.Step)
		b = plan.AppendText(b, `,"finding":`, i.Finding)
		b = plan.AppendText(b, `,"digest":`, i.Digest)
		b = plan.AppendNumber(b, `,"bytes":`, i.Bytes)
		b = plan.AppendTrue(b, `,"stood":`, i.Stood)
		b = plan.AppendText(b, `,"content":`, i.Content.Coded())
		b = plan.AppendText(b, `,"body":`, i.Body)
		b = plan.AppendNumber(b, `,"from":`, i.From)
		b = plan.AppendText(b, `,"made":`, i.Made)
		b = plan.AppendText(b, `,"upload":`, i.Upload)
		return append(b, "}}"...), nil
	}
	if t := r.Receipt; t != nil {
		b = plan.AppendField(b, `{"receipt":{"key":`, t.Key)
		b = plan.AppendText(b, `,"upload":`, t.Upload)
		b = plan.AppendNumber(b, `,"freed":`, t.Freed)
		b = plan.AppendNumber(b, `,"kept":`, t.Kept)
		b = plan.AppendText(b, `,"undo":`, t.Undo)
		b = plan.AppendText(b, `,"error":`, t.Err)
		b = plan.AppendNumber(b, `,"time":`, t.Time)
		return append(b, "}}"...), nil
	}
	line, err := json.Marshal(r)
	return append(b, line...), err
}

// sync returns once all that was added is on the disk.
func (j *journal) sync() error {
	if err := j.buf.Flush(); err != nil {
		return fmt.Errorf("the journal: %w", err)
	}
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("the journal: %w", err)
	}
	return nil
}

// close ends the journal; what was added is on the disk then.
func (j *journal) close() error {
	err := j.sync()
	if again := j.f.Close(); err == nil && again != nil {
		err = fmt.Errorf("the journal: %w", again)
	}
	return err
}

// syncDir makes the names in a folder last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
