//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/check"
)

// TestSignalsCancel: each of the signals cancels a run; under nohup SIGHUP isn't one.
func TestSignalsCancel(t *testing.T) {
	for _, sig := range stopSignals() {
		f := newFake(t)
		f.check = func(ctx context.Context, _ backend.Reader, _ check.Options) (*check.Result, []graph.Phase, error) {
			if err := syscall.Kill(os.Getpid(), sig.(syscall.Signal)); err != nil {
				return nil, nil, err
			}
			<-ctx.Done()
			return nil, nil, errors.New("the listing ended early")
		}
		got := f.run("check", "STORE", "--json", "--report", "DIR/r.json")
		if got != 32 || !f.refuses("--json") || f.errs.String() != "regfsck: cancelled; nothing was changed\n" {
			t.Errorf("%v: exit %d, stdout %q, stderr %q", sig, got, f.out.String(), f.errs.String())
		}
		if files, _ := os.ReadDir(f.dir); len(files) > 0 {
			t.Errorf("%v: %v is left", sig, files)
		}
	}
}

// TestInterruptedCheck: while blobs are hashed, an interrupted check reports what it has
// found; before that, what it has read. It never reports a store as clean, and it reports
// corrupt blobs that it found.
func TestInterruptedCheck(t *testing.T) {
	b := fixtures.New(11)
	m := b.Image("app", "v1", fixtures.Image{Layers: []int{5000, 4000, 3000, 2000}})
	b.Edit(m.Blobs[1].Key(), func(x []byte) []byte { x[0] ^= 1; return x }) // the largest is hashed first
	f := newWhole(t, b)
	interrupt := func(at fixtures.Op, key string) {
		f.check = func(ctx context.Context, r backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
			return check.Store(ctx, fixtures.NewFaulty(r, func(_ int, op fixtures.Op, k string) fixtures.Wrong {
				if op == at && k == key {
					if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
						t.Error(err)
					}
					<-ctx.Done()
				}
				return fixtures.Right
			}), o)
		}
	}
	interrupt(fixtures.OpOpen, m.Blobs[3].Key())
	var doc struct {
		Complete bool
		Verdict  string
		Findings []struct{ ID, Path string }
		Notes    []string
	}
	if exit := f.document(t, &doc, "check", "STORE", "--verify", "all", "--workers", "1"); exit != 32|8|4 || doc.Complete || len(doc.Findings) != 1 || doc.Findings[0].Path != m.Blobs[1].Key() || !strings.Contains(doc.Notes[0], "blobs were not hashed") || f.errs.String() != judging+"\n" {
		t.Errorf("exit %d, %+v, %s", exit, doc, f.errs.String())
	}
	exit := f.run("check", "STORE", "--verify", "all", "--workers", "1")
	for _, want := range []string{"DAMAGED and INCOMPLETE", "The check was interrupted while it hashed blobs", "hashes all of them, from the beginning", "cancelled"} {
		if !strings.Contains(f.out.String(), want) {
			t.Errorf("exit %d, no %q in\n%s%s", exit, want, f.out.String(), f.errs.String())
		}
	}
	saved := filepath.Join(f.dir, "stopped.json")
	f.run("check", "STORE", "--verify", "all", "--workers", "1", "--no-progress", "--state", "DIR/state", "--report", saved)
	f.showsAgain(t, []string{"a check that was interrupted"}, saved)
	if said, exit := f.status(t, "--state", "DIR/state"); exit != 0 || said.Last == nil || !said.Last.Interrupted || said.Last.Complete {
		t.Errorf("status of a check that was interrupted: exit %d, %+v", exit, said)
	}
	if f.run("status", "STORE", "--state", "DIR/state"); !strings.Contains(f.out.String(), "INCOMPLETE: it was interrupted") {
		t.Errorf("%s", f.out.String())
	}
	b = fixtures.New(11)
	m = b.Image("app", "v1", fixtures.Image{Layers: []int{5000, 4000}})
	f.rewrite(t, b)
	interrupt(fixtures.OpOpen, m.Blobs[2].Key())
	if exit := f.run("check", "STORE", "--verify", "all", "--workers", "1"); exit != 32|8 || strings.Contains(f.out.String(), "CLEAN") || !strings.Contains(f.out.String(), "INCOMPLETE") {
		t.Errorf("of a sound store: exit %d\n%s%s", exit, f.out.String(), f.errs.String())
	}
	opened := 0
	f.check = func(ctx context.Context, r backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
		return check.Store(ctx, fixtures.NewFaulty(r, func(_ int, op fixtures.Op, k string) fixtures.Wrong {
			if op != fixtures.OpRead || k != m.Blobs[2].Key() {
				return fixtures.Right
			}
			if opened++; opened == 1 {
				return fixtures.Cut
			}
			if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
				t.Error(err)
			}
			<-ctx.Done()
			return fixtures.Right
		}), o)
	}
	if exit := f.document(t, &doc, "check", "STORE", "--verify", "all", "--workers", "1"); exit != 32|8 || doc.Complete || len(doc.Findings) > 0 {
		t.Errorf("while a blob is hashed once more: exit %d, %+v, %s", exit, doc, f.errs.String())
	}
	interrupt(fixtures.OpOpen, m.Key())
	if exit := f.run("check", "STORE"); exit != 32 || f.out.Len() > 0 || !strings.Contains(f.errs.String(), "cancelled after 4 blobs and 6 links, which is too little for any result; nothing was changed") {
		t.Errorf("before that: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
}

// TestProgressOnRequest: SIGUSR1 prints the progress on stderr, also with --quiet, and ends
// nothing.
func TestProgressOnRequest(t *testing.T) {
	for _, flag := range []string{"--quiet", "--json", "--no-progress"} {
		f := newWhole(t, fixtures.Standard())
		told := make(chan struct{})
		f.stderr = writerFunc(func(p []byte) (int, error) {
			if strings.Contains(string(p), "; this phase began ") {
				close(told)
			}
			return f.errs.Write(p)
		})
		f.check = func(ctx context.Context, r backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
			o.Progress.Phase("links")
			if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
				return nil, nil, err
			}
			<-told
			o.Progress = nil
			return check.Store(ctx, r, o)
		}
		if exit := f.run("check", "STORE", flag); exit != 0 || !strings.HasPrefix(f.errs.String(), "regfsck: 2 of 5, links: 0; this phase began ") {
			t.Errorf("%s: exit %d, %s", flag, exit, f.errs.String())
		}
	}
}
