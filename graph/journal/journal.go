// Package journal records runs in the state directory of a store, so that a run that ended
// early, even by a crash, can be resumed, finished or undone.
//
// Each run has a directory, runs/<id>, with its plan and its journal of JSON lines. The first
// line describes the run. Before a change its intent is written and synced: the key, its
// present content, its new content. After the change the receipt is written: the store's
// result, and what an undo needs. The last line is the end of the run. Marks of an undo or a
// purge follow.
//
// Each line ends with its number and a checksum, and the first line after a sync has the
// number up to which all lines were synced. So lines that a power failure lost, on which
// nothing depended, differ from damage, which is reported. A damaged line doesn't make others
// unreadable.
//
// An open journal is locked. Before each batch it is checked that the journal and the store's
// lock still belong to this run.
//
// Read replays one journal, ReadAll those of all runs. The package accesses no store: package
// apply determines the results of changes without receipts.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"regfsck/backend/statedir"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
)

// Record is a line of a journal; one field is set.
type Record struct {
	Begin   *Begin   `json:"begin,omitempty"`
	Intent  *Intent  `json:"intent,omitempty"`
	Receipt *Receipt `json:"receipt,omitempty"`
	End     *End     `json:"end,omitempty"`
	Undo    *Mark    `json:"undo,omitempty"`    // an undo begins or continues
	Undone  *Mark    `json:"undone,omitempty"`  // and has ended
	Purging *Mark    `json:"purging,omitempty"` // a purge begins: from here on, quarantined objects may be deleted
	Purge   *Mark    `json:"purge,omitempty"`   // and has ended
	Lost    *Lines   `json:"lost,omitempty"`    // lines that a crash lost, on which nothing depended
}

// Begin is the first line of a journal.
type Begin struct {
	Plan    string    `json:"plan"`
	Command string    `json:"command,omitempty"`
	Target  string    `json:"target,omitempty"` // as given
	Store   string    `json:"store,omitempty"`  // the store's identity; earlier versions have none
	Keep    bool      `json:"keep,omitempty"`
	Time    time.Time `json:"time"`
}

// Intent is a change that is about to be made to one key.
type Intent struct {
	Op      plan.Op   `json:"op"`
	Kind    plan.Kind `json:"kind"`
	Key     string    `json:"key"`
	Step    string    `json:"step,omitempty"` // the step's key, if it differs
	Finding string    `json:"finding,omitempty"`
	Digest  string    `json:"digest,omitempty"`
	Bytes   int64     `json:"bytes,omitempty"`

	Stood   bool      `json:"stood,omitempty"`   // of a write: a file is replaced, and quarantined
	Content plan.Text `json:"content,omitempty"` // of a link, or of the file to be replaced: its content
	Body    plan.Text `json:"body,omitempty"`    // of a write: the new content
	From    int64     `json:"from,omitempty"`    // of a write: the time of its origin, seconds since 1970
	Made    string    `json:"made,omitempty"`    // of a write: the topmost directory to create, or ""
	Upload  string    `json:"upload,omitempty"`  // of an abort: the id of the multipart upload at Key
	Was     int64     `json:"was,omitempty"`     // of a copy with Stood: the bytes of the file to be replaced
	Past    bool      `json:"past,omitempty"`    // of a copy: from what the store itself kept
}

// Reason returns the kind of finding of the change; None for a kind of another version, whose
// runs can still be undone.
func (i *Intent) Reason() finding.Kind {
	k, _ := finding.Parse(i.Finding)
	return k
}

// FullKey returns the full key of the change.
func (i *Intent) FullKey() string { return plan.FullKey(i.Key, i.Upload) }

// Receipt is the store's result for one key.
type Receipt struct {
	Key    string `json:"key"`
	Upload string `json:"upload,omitempty"` // of an abort
	Freed  int64  `json:"freed,omitempty"`
	Kept   int64  `json:"kept,omitempty"`
	Undo   string `json:"undo,omitempty"`
	Err    string `json:"error,omitempty"`
	Time   int64  `json:"time,omitempty"` // of a write: the file's time, nanoseconds since 1970; 0 if unknown
}

// FullKey returns the full key of the change.
func (r *Receipt) FullKey() string { return plan.FullKey(r.Key, r.Upload) }

// End is the end of a run.
type End struct {
	Time        time.Time `json:"time"`
	Interrupted bool      `json:"interrupted,omitempty"`
	Directories bool      `json:"folders,omitempty"` // the store could not remove some directories that may be empty
	By          string    `json:"by,omitempty"`      // the later run that finished this one
}

// Mark is the time of an event.
type Mark struct {
	Time time.Time `json:"time"`
}

// Lines is a range of line numbers.
type Lines struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Journal is the journal of a run, open for writing. It is locked while it is open, and
// nothing is written once it may belong to another run.
type Journal struct {
	dir  *statedir.Dir
	f    *os.File
	held func() error // returns why the store's lock may be lost, or nil
	buf  []byte
	seal
	broken error // why nothing can be written any more
}

// buffered is the size of the write buffer.
const buffered = 1 << 16

// ErrBusy means that another process has the journal open.
var ErrBusy = errors.New("another process on this machine has the journal open")

// Open opens the run's journal for appending and locks it. held returns why the store's lock
// may be lost. If another process has the journal open, the error is ErrBusy.
func (p *Run) Open(held func() error) (*Journal, error) {
	dir, err := statedir.OpenBelow(p.State, RunsName, p.ID)
	if err != nil {
		return nil, fmt.Errorf("the journal: %w", err)
	}
	j := &Journal{dir: dir, held: held, seal: p.seal}
	if err = j.open(p.size, p.length); err == nil {
		err = j.addLost(p.holes)
	}
	if err != nil {
		j.Abandon()
		return nil, err
	}
	return j, nil
}

// Start writes the journal's first line and syncs it and the file's name.
func (j *Journal) Start(b Begin) error {
	err := j.Add(Record{Begin: &b})
	if err == nil {
		err = j.Sync()
	}
	if err == nil {
		err = j.dir.Sync()
	}
	return err
}

// SetOwner calls setOwner with the journal's file.
func (j *Journal) SetOwner(setOwner func(*os.File) error) error { return setOwner(j.f) }

// RemovePlan removes the plan beside the journal, when the run can't be resumed.
func (j *Journal) RemovePlan() error { return j.dir.Remove(PlanName) }

// open opens and locks the file for appending at size. read is its length when it was read.
func (j *Journal) open(size, read int64) (err error) {
	if j.f, err = j.dir.Edit(FileName); errors.Is(err, statedir.ErrHeld) {
		return fmt.Errorf("%w, %s", ErrBusy, filepath.Join(j.dir.Path(), FileName))
	}
	if err != nil {
		return fmt.Errorf("the journal: %w", err)
	}
	if err = j.CheckOwned(); err != nil {
		return err
	}
	is, err := j.f.Stat()
	if err == nil && is.Size() != read {
		err = errGrown
	}
	if err == nil {
		err = j.f.Truncate(size)
	}
	if err == nil {
		_, err = j.f.Seek(size, 0)
	}
	if err != nil {
		return fmt.Errorf("the journal %s: %w", j.f.Name(), err)
	}
	return nil
}

// errGrown means that another run has just written to the journal.
var errGrown = errors.New("another run has written to it since it was read, so that nothing is changed")

// CheckOwned returns an error if the store or the journal may belong to another run, because
// this one was stopped or lost its lock.
func (j *Journal) CheckOwned() error {
	switch {
	case j.broken != nil:
	case !j.dir.Is(FileName, j.f):
		j.broken = fmt.Errorf("the journal %s isn't this run's any more, so that nothing more is changed", j.f.Name())
	default:
		j.broken = j.held()
	}
	return j.broken
}

// Add appends records. They are durable only after Sync.
func (j *Journal) Add(records ...Record) error {
	for i := range records {
		var err error
		if j.buf, err = j.seal.append(j.buf, &records[i]); err != nil {
			return fmt.Errorf("the journal: %w", err)
		}
		if len(j.buf) >= buffered {
			if err := j.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// addLost records lines that a crash lost, so that they don't count as damage later.
func (j *Journal) addLost(holes []Lines) error {
	for i := range holes {
		if err := j.Add(Record{Lost: &holes[i]}); err != nil {
			return err
		}
	}
	return nil
}

// flush writes the buffer.
func (j *Journal) flush() error {
	if len(j.buf) == 0 {
		return j.broken
	}
	if err := j.CheckOwned(); err != nil {
		return err
	}
	if _, err := j.f.Write(j.buf); err != nil {
		j.broken = fmt.Errorf("the journal: %w", err)
	}
	j.buf = j.buf[:0]
	return j.broken
}

// append appends the record as encoding/json does, in half the time and without allocations
// (BenchmarkRecord): each removed blob has an intent and a receipt.
func (r *Record) append(b []byte) ([]byte, error) {
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
		b = plan.AppendText(b, `,"body":`, i.Body.Coded())
		b = plan.AppendNumber(b, `,"from":`, i.From)
		b = plan.AppendText(b, `,"made":`, i.Made)
		b = plan.AppendText(b, `,"upload":`, i.Upload)
		b = plan.AppendNumber(b, `,"was":`, i.Was)
		b = plan.AppendTrue(b, `,"past":`, i.Past)
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

// Sync syncs all records.
func (j *Journal) Sync() error {
	if err := j.flush(); err != nil {
		return err
	}
	if err := j.f.Sync(); err != nil {
		j.broken = fmt.Errorf("the journal: %w", err)
		return j.broken
	}
	j.synced = j.last
	return nil
}

// Finish syncs all records and then appends and syncs r.
func (j *Journal) Finish(r Record) error {
	if err := j.Sync(); err != nil {
		return err
	}
	return j.Add(r)
}

// Close syncs and closes the journal.
func (j *Journal) Close() error {
	err := j.Sync()
	if again := j.Abandon(); err == nil && again != nil {
		err = fmt.Errorf("the journal: %w", again)
	}
	return err
}

// Abandon closes the journal without writing.
func (j *Journal) Abandon() (err error) {
	if j.f != nil {
		err = j.f.Close()
	}
	j.dir.Close()
	return err
}

// seal detects damaged and missing lines: each line ends with its number and checksum, and
// the first one after a sync has the number up to which all were synced. Lines of earlier
// versions have none.
type seal struct {
	last   int64 // the number of the last line
	synced int64 // the last line known to be synced
	told   int64 // synced, as recorded in lines
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	numberField   = `,"n":`
	syncedField   = `,"synced":`
	checksumField = `,"crc":`
)

// append appends a record as the next line.
func (s *seal) append(b []byte, r *Record) ([]byte, error) {
	from := len(b)
	b, err := r.append(b)
	if err != nil {
		return b[:from], err
	}
	s.last++
	b = strconv.AppendInt(append(b[:len(b)-1], numberField...), s.last, 10)
	if s.told < s.synced {
		b = strconv.AppendInt(append(b, syncedField...), s.synced, 10)
		s.told = s.synced
	}
	sum := crc32.Checksum(b[from:], castagnoli)
	b = strconv.AppendUint(append(b, checksumField...), uint64(sum), 10)
	return append(b, '}', '\n'), nil
}

// sealed is a line of a journal with its seal.
type sealed struct {
	Record
	Number int64 `json:"n"` // 0 for none
	Synced int64 `json:"synced"`
}

// read parses a line; ok is false if it was damaged.
func (s *sealed) read(line []byte) (ok bool) {
	*s = sealed{}
	at := bytes.LastIndex(line, []byte(checksumField))
	if at >= 0 {
		digits, whole := bytes.CutSuffix(line[at+len(checksumField):], []byte("}"))
		sum, err := strconv.ParseUint(string(digits), 10, 32)
		if !whole || err != nil || uint32(sum) != crc32.Checksum(line[:at], castagnoli) {
			return false
		}
	}
	if at >= 0 && s.parse(string(line[:at])) {
		return s.Number > 0
	}
	*s = sealed{}
	return json.Unmarshal(line, s) == nil && (s.Number > 0) == (at >= 0)
}

// parse reads a line, without its checksum, that Record.append has written by hand. It
// reports false of others, which encoding/json must read.
func (s *sealed) parse(line string) bool {
	f := plan.Fields{Rest: line}
	switch {
	case strings.HasPrefix(line, `{"intent":`):
		i := &Intent{Op: plan.Op(f.Field(`{"intent":{"op":`)), Kind: plan.Kind(f.Field(`,"kind":`)), Key: f.Field(`,"key":`)}
		i.Step, i.Finding, i.Digest, i.Bytes = f.Text(`,"step":`), f.Text(`,"finding":`), f.Text(`,"digest":`), f.Number(`,"bytes":`)
		i.Stood = f.True(`,"stood":`)
		i.Content, i.Body = f.Content(`,"content":`), f.Content(`,"body":`)
		i.From, i.Made, i.Upload, i.Was = f.Number(`,"from":`), f.Text(`,"made":`), f.Text(`,"upload":`), f.Number(`,"was":`)
		i.Past = f.True(`,"past":`)
		s.Intent = i
	case strings.HasPrefix(line, `{"receipt":`):
		r := &Receipt{Key: f.Field(`{"receipt":{"key":`), Upload: f.Text(`,"upload":`), Freed: f.Number(`,"freed":`), Kept: f.Number(`,"kept":`)}
		r.Undo, r.Err, r.Time = f.Text(`,"undo":`), f.Text(`,"error":`), f.Number(`,"time":`)
		s.Receipt = r
	}
	ended := f.Skip("}")
	s.Number, s.Synced = f.Number(numberField), f.Number(syncedField)
	return ended && !f.Failed && f.Rest == ""
}
