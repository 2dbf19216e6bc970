package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v2"

	"regfsck/backend"
	"regfsck/backend/statedir"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
	"regfsck/graph/apply"
	"regfsck/graph/journal"
	"regfsck/report"
	"regfsck/report/exitcode"
)

// runStatus prints what the state directory records of a store; it doesn't scan the store.
func runStatus(s *session, c *cli.Context) error {
	if c.NArg() > 1 {
		return failure.Misuse(seeHelp("status"), "status takes one STORE, and %d were given", c.NArg())
	}
	p, err := pastOf(s, c, "status")
	if err != nil {
		return err
	}
	defer p.out.discard()
	d := &report.Status{
		Version: version, Target: p.target.String(), State: p.state, Now: s.now(), Record: filepath.Join(p.state, recordName(p.target)),
		Store: p.store(), Checks: append([]string{p.target.Source()}, p.reach...),
	}
	if _, err := os.Lstat(p.state); p.consent.state != "" || err != nil {
		d.Checks = append(d.Checks, "--state", p.state)
	}
	if err := p.weigh(c.Context, s, d); err != nil {
		return err
	}
	if d.Last, err = readRecord(p.state, p.target); err != nil {
		d.Problem, d.Exit = err.Error(), exitcode.Incomplete
	}
	return s.deliver(d, d.Exit, p.out)
}

// weigh fills in how much each run keeps for undo, from the store if requests are free, else
// from the journals. It refuses a state directory of another store.
func (p *pastRuns) weigh(ctx context.Context, s *session, d *report.Status) error {
	kept := func(id string) (int64, error) { return quarantinedBytes(p.state, id) }
	if !p.target.Traits().RequestsCost {
		w, err := p.writer(ctx)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
		case err != nil:
			return err
		default:
			defer w.Close()
			if err := w.Claimed(); errors.Is(err, backend.ErrOther) {
				return failure.Misuse("", "%w", err)
			}
			d.Asked = true
			kept = func(id string) (int64, error) { return apply.Kept(ctx, w, p.state, id) }
		}
	}
	for _, r := range p.runs {
		run := report.Weighed{Summary: r}
		if r.Keep && r.Status != journal.Purged {
			var err error
			if run.Kept, err = kept(r.ID); ctx.Err() != nil {
				return ctx.Err()
			} else if err != nil {
				s.say("it is unknown how much run " + r.ID + " keeps: " + err.Error())
				d.Exit |= exitcode.Incomplete
			}
		}
		d.Runs = append(d.Runs, run)
	}
	return nil
}

// quarantinedBytes returns how many bytes a run keeps for undo, by its journal.
func quarantinedBytes(state, id string) (bytes int64, err error) {
	run, err := journal.Find(state, id)
	if err != nil {
		return 0, err
	}
	if !run.Summary().CanUndo() {
		return 0, nil
	}
	for _, r := range run.Receipts {
		bytes += r.Kept
	}
	return bytes, nil
}

// recordName returns the file name of the record of a store's last check. It is unique to the
// store.
func recordName(t location.Location) string {
	sum := sha256.Sum256([]byte(t.Identity()))
	return "last-check-" + hex.EncodeToString(sum[:8])
}

// maxRecord is the most bytes of a record.
const maxRecord = 1 << 16

// readRecord reads the record of the last check; nil if there is none.
func readRecord(state string, t location.Location) (*report.LastCheck, error) {
	d, err := statedir.Open(state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if err := d.Private(t.Traits().Root); err != nil {
		return nil, err
	}
	text, err := d.Text(recordName(t), maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return report.ReadRecord([]byte(text), t.Identity())
}

// keepRecord records what a check found in the state directory, if --state (asked) was given
// or the directory exists and can be written. The note says why it could not; failed reports
// whether that was asked for.
func keepRecord(ctx context.Context, r *report.Check, t location.Location, state, asked string, out *output) (note string, failed bool) {
	if _, err := os.Lstat(state); asked == "" && err != nil {
		return "", false
	}
	err := writeRecord(context.WithoutCancel(ctx), r, t, state, out)
	if err == nil || asked == "" && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		return "", false
	}
	return fmt.Sprintf("What this check found is not recorded for regfsck status: %v.", err), asked != ""
}

func writeRecord(ctx context.Context, r *report.Check, t location.Location, state string, out *output) error {
	body, err := r.Record(t.Identity())
	if err != nil {
		return err
	}
	var setOwner func(*os.File) error // gives a new file to the store's owner
	if t.Traits().Root != "" {
		w, err := t.OpenStore(ctx, backend.Access{Say: out.say}, state)
		if err != nil {
			return err
		}
		defer w.Close()
		if err := w.Claimed(); err != nil {
			return err
		}
		setOwner = w.SetOwner
	}
	d, err := statedir.Make(state, setOwner)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Write(recordName(t), body, setOwner)
}
