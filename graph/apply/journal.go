package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strconv"
	"time"

	"regfsck/backend"
	"regfsck/backend/statedir"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
)

// record is a line of a journal: one of its fields.
type record struct {
	Begin   *begin   `json:"begin,omitempty"`
	Intent  *intent  `json:"intent,omitempty"`
	Receipt *receipt `json:"receipt,omitempty"`
	End     *end     `json:"end,omitempty"`
	Undo    *mark    `json:"undo,omitempty"`    // an undo begins, or goes on
	Undone  *mark    `json:"undone,omitempty"`  // and has come to its end
	Purging *mark    `json:"purging,omitempty"` // what is kept is given up from here on
	Purge   *mark    `json:"purge,omitempty"`   // and nothing is kept any more
	Lost    *lines   `json:"lost,omitempty"`    // a crash took lines that nothing relied on
}

// begin is a journal's first line.
type begin struct {
	Plan    string    `json:"plan"`
	Command string    `json:"command,omitempty"`
	Target  string    `json:"target,omitempty"` // as it was given
	Store   string    `json:"store,omitempty"`  // the store's own name; a run of an earlier version has none
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
	Content plan.Text `json:"content,omitempty"` // of a link, or of what is written over: what it holds now
	Body    plan.Text `json:"body,omitempty"`    // of a write: what it is to hold
	From    int64     `json:"from,omitempty"`    // of a write: the time of what that was made from, seconds since 1970
	Made    string    `json:"made,omitempty"`    // of a write: the topmost directory that has to be made, or ""
	Upload  string    `json:"upload,omitempty"`  // of an abort: which of the multipart uploads at Key
}

// reason returns the kind of finding that it is done for. It is None for a kind of
// another version, whose run is undone all the same: so a journal holds the text.
func (i *intent) reason() finding.Kind {
	k, _ := finding.Parse(i.Finding)
	return k
}

// target names what is changed.
func (i *intent) target() string { return plan.FullKey(i.Key, i.Upload) }

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
func (r *receipt) target() string { return plan.FullKey(r.Key, r.Upload) }

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

// lines are lines of a journal, by their numbers.
type lines struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// journal is the file to which a run's records go. It is locked while it is open,
// and nothing is written to it once it may be another's.
type journal struct {
	dir  *statedir.Dir
	f    *os.File
	held func() error // why the store may be another run's by now, or nil
	buf  []byte
	seal
	broken error // why nothing is written any more
}

const (
	runsName    = "runs"
	journalName = "journal.jsonl"
	planName    = "plan.jsonl"
	keptName    = "kept" // where a store that keeps things beside the journal does so
)

// buffered is how many bytes of a journal are written at once.
const buffered = 1 << 16

// carryOn opens the run's journal behind its last line. The store has been locked
// before, and says whether it still is.
func (p *past) carryOn(ctx context.Context, s backend.Store) (*journal, error) {
	if err := p.of(s); err != nil {
		return nil, err
	}
	dir, err := statedir.OpenBelow(p.state, runsName, p.id)
	if err != nil {
		return nil, fmt.Errorf("the journal: %w", err)
	}
	j := &journal{dir: dir, held: held(ctx, s), seal: p.seal}
	if err = j.open(p.size, p.length); err == nil {
		err = j.addLost(p.holes)
	}
	if err != nil {
		j.abandon()
		return nil, err
	}
	return j, nil
}

// of returns why a run isn't one of the store's.
func (p *past) of(s backend.Store) error {
	c, ok := s.(backend.Claimer)
	if !ok {
		return nil
	}
	err := c.Recorded(p.begin.Store)
	if errors.Is(err, backend.ErrOther) {
		return &Refused{[]Refusal{claimRefusal("run " + p.id + ": " + err.Error())}}
	}
	return err
}

// identity is the name by which a journal tells which store it is about.
func identity(s backend.Store) string {
	if c, ok := s.(backend.Claimer); ok {
		return c.Identity()
	}
	return ""
}

// open opens the file behind the offset size, and keeps all others out of it. read
// is how long it was when it was read.
func (j *journal) open(size, read int64) (err error) {
	if j.f, err = j.dir.Edit(journalName); err != nil {
		return fmt.Errorf("the journal: %w", err)
	}
	if err = statedir.Lock(j.f); errors.Is(err, statedir.ErrHeld) {
		return &Refused{[]Refusal{{
			Why: "another process on this machine has the journal open, " + j.f.Name(),
			How: "That run is at work, or was stopped (Ctrl-Z) and isn't over: let it go on, or end it.",
		}}}
	}
	if err != nil {
		return fmt.Errorf("the journal: %w", err)
	}
	if err = j.ours(); err != nil {
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

// errGrown is a journal that another run has written to in this moment.
var errGrown = errors.New("another run has written to it since it was read, so that nothing is changed")

// held returns what says why a store that was locked may be another run's by now.
func held(ctx context.Context, s backend.Store) func() error {
	h, ok := s.(backend.Holder)
	if !ok {
		return func() error { return nil }
	}
	ctx = context.WithoutCancel(ctx)
	return func() error { return h.Held(ctx) }
}

// ours returns why nothing may be changed any more: the store or the journal may
// belong to another run, since this one was stopped for a while, or its lock was
// taken away.
func (j *journal) ours() error {
	switch {
	case j.broken != nil:
	case !j.dir.Is(journalName, j.f):
		j.broken = fmt.Errorf("the journal %s isn't this run's any more, so that nothing more is changed", j.f.Name())
	default:
		j.broken = j.held()
	}
	return j.broken
}

// add writes records. They are safe only after sync.
func (j *journal) add(records ...record) error {
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

// addLost notes which lines a crash took, so that they aren't missed later on.
func (j *journal) addLost(holes []lines) error {
	for i := range holes {
		if err := j.add(record{Lost: &holes[i]}); err != nil {
			return err
		}
	}
	return nil
}

// flush writes what was added.
func (j *journal) flush() error {
	if len(j.buf) == 0 {
		return j.broken
	}
	if err := j.ours(); err != nil {
		return err
	}
	if _, err := j.f.Write(j.buf); err != nil {
		j.broken = fmt.Errorf("the journal: %w", err)
	}
	j.buf = j.buf[:0]
	return j.broken
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
		b = plan.AppendText(b, `,"body":`, i.Body.Coded())
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

// finish adds the record that ends something, once all before it is on the disk.
func (j *journal) finish(r record) error {
	if err := j.sync(); err != nil {
		return err
	}
	return j.add(r)
}

// close ends the journal; what was added is on the disk then.
func (j *journal) close() error {
	err := j.sync()
	if again := j.abandon(); err == nil && again != nil {
		err = fmt.Errorf("the journal: %w", again)
	}
	return err
}

// abandon closes the journal and writes nothing more to it.
func (j *journal) abandon() (err error) {
	if j.f != nil {
		err = j.f.Close()
	}
	j.dir.Close()
	return err
}

// seal is what makes a damaged or missing line of a journal known: each ends in
// its number and its checksum, and the first one after a sync says up to which
// number all were on the disk by then. Lines of earlier versions have none.
type seal struct {
	last   int64 // the number of the last line
	synced int64 // the last line that is known to be on the disk
	told   int64 // synced, as the lines say
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	numberField   = `,"n":`
	syncedField   = `,"synced":`
	checksumField = `,"crc":`
)

// append appends a record as the next line.
func (s *seal) append(b []byte, r *record) ([]byte, error) {
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

// sealed is a line of a journal, with its seal.
type sealed struct {
	record
	Number int64 `json:"n"` // 0 where it has none
	Synced int64 `json:"synced"`
}

// read reads a line; ok is false for one that isn't what was written.
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
	return json.Unmarshal(line, s) == nil && (s.Number > 0) == (at >= 0)
}
