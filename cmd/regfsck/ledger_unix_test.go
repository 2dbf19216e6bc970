//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// heavy returns a store whose blobs take some time to hash.
func heavy() *fixtures.Builder {
	b := fixtures.New(7)
	for i := range 60 {
		body := bytes.Repeat([]byte(strconv.Itoa(i)), 1<<20+i)
		b.Put(layout.AnyDigest{Digest: layout.Sum(body)}.BlobKey(), body)
	}
	return b
}

// killedAfter starts a check and kills it after the first record of its ledger.
func killedAfter(t *testing.T, path string, args ...string) {
	t.Helper()
	header := int64(len(path)) // the header has the store's path
	if info, err := os.Stat(path); err == nil {
		header = info.Size() - 200
	}
	cmd, said := start(t, append(args, "--workers", "1", "--no-progress")...)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if info, err := os.Stat(path); err == nil && info.Size() > header+200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing was written down: %s", said)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatalf("it ended before it was killed: %s", said)
	}
}

// TestLedgerAfterAKill: a check that was killed continues at the end of its ledger, and so do
// concurrent shards, of which one is killed twice and another runs twice.
func TestLedgerAfterAKill(t *testing.T) {
	f := newWhole(t, heavy())
	f.now = time.Now
	path := filepath.Join(f.dir, "ledger")
	killedAfter(t, path, "check", f.store, "--verify", "all", "--ledger", path)
	p := f.proves(t, "--verify", "all", "--ledger", "DIR/ledger")
	if p.Proofs.Known.Blobs == 0 || p.Proofs.Hashed.Blobs == 0 || p.Proofs.Known.Blobs+p.Proofs.Hashed.Blobs != 60 || len(p.corrupt()) > 0 {
		t.Errorf("after the kill: %+v", p)
	}

	shard := func(i int, part string) []string {
		return []string{"check", f.store, "--shard", strconv.Itoa(i) + "/3", "--ledger", filepath.Join(f.dir, part)}
	}
	var wait []func()
	begin := func(args []string) {
		cmd, said := start(t, args...)
		wait = append(wait, func() {
			if err := cmd.Wait(); err != nil {
				t.Errorf("%q: %v, %s", args, err, said)
			}
		})
	}
	begin(shard(1, "part-1"))
	begin(shard(1, "part-1-twice"))
	begin(shard(3, "part-3"))
	for range 2 {
		killedAfter(t, filepath.Join(f.dir, "part-2"), shard(2, "part-2")...)
	}
	if p := f.proves(t, "--verified", "DIR/part-2"); p.Exit.Code != 8 || p.Proofs.Unproven.Blobs < 40 || p.Proofs.Known.Blobs == 0 {
		t.Errorf("of a killed shard: %+v", p)
	}
	begin(shard(2, "part-2"))
	for _, end := range wait {
		end()
	}
	if p := f.proves(t, "--verified", "DIR/part-*"); p.Exit.Code != 0 || p.Proofs.Known.Blobs != 60 || p.Proofs.Unproven.Blobs > 0 {
		t.Errorf("all shards: %+v", p)
	}
}
