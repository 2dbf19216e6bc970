package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/graph/plan"
)

// now is the time of the tests' runs.
var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// TestALineOfTheJournalIsWrittenAsJSONIs: any line is written as encoding/json does.
func TestALineOfTheJournalIsWrittenAsJSONIs(t *testing.T) {
	for _, text := range []string{"", "a", `quote " and <&>`, "bytes \xff\n", "base64:x", "ünïcode"} {
		for _, r := range []Record{
			{Begin: &Begin{Plan: text, Keep: true}},
			{Intent: &Intent{}},
			{Intent: &Intent{plan.Write, plan.Rebuilt, text, text, text, text, 7, true, plan.Text(text), plan.Text(text), 9, text, text, 8, true}},
			{Receipt: &Receipt{}},
			{Receipt: &Receipt{Key: text, Upload: text, Freed: -1, Kept: 3, Undo: text, Err: text, Time: 5}},
			{End: &End{By: text}},
		} {
			want, err := json.Marshal(&r)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.append(nil); err != nil || string(got) != string(want) {
				t.Errorf("%s, %v\nencoding/json: %s", got, err, want)
			}
		}
	}
}

// TestTheEndsOfAJournal: the ends of any journal have the same status as the whole, and none of
// its intents remains in memory.
func TestTheEndsOfAJournal(t *testing.T) {
	state := t.TempDir()
	dir := Dir(state, "r")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	many := func(n int) (all []Record) {
		for i := range n {
			all = append(all, Record{Intent: &Intent{Op: plan.Remove, Kind: plan.Blob, Key: strings.Repeat("k", i%200)}})
		}
		return all
	}
	ended, over := Record{End: &End{Time: now}}, Record{End: &End{Time: now, Interrupted: true}}
	undo, undone, purge := Record{Undo: &Mark{now}}, Record{Undone: &Mark{now}}, Record{Purge: &Mark{now}}
	for name, last := range map[string][]Record{
		"unfinished": nil, "done": {ended}, "interrupted": {over}, "taken up": append([]Record{over}, many(300)...),
		"undoing": {ended, undo}, "undone": {ended, undo, undone}, "purged": {ended, purge}, "purged in the middle": {ended, undo, purge},
		"folders": {{End: &End{Time: now, Directories: true}}},
	} {
		for _, n := range []int{0, 5, 3000} {
			var all []byte
			for _, r := range slices.Concat([]Record{{Begin: &Begin{Plan: "p", Keep: true, Time: now}}}, many(n), last) {
				line, err := r.append(nil)
				if err != nil {
					t.Fatal(err)
				}
				all = append(append(all, line...), '\n')
			}
			for _, cut := range []int{0, 1, 2, 17, 60, 119} {
				if err := os.WriteFile(filepath.Join(dir, FileName), all[:max(0, len(all)-cut)], 0o600); err != nil {
					t.Fatal(err)
				}
				whole, err := Read(state, "r", Whole)
				if err != nil {
					t.Fatal(err)
				}
				p, err := Read(state, "r", Ends)
				if err != nil || p.Status() != whole.Status() || p.isUnfinished(nil) != whole.isUnfinished(nil) || p.Begin != whole.Begin {
					t.Fatalf("%s, %d lines, %d bytes short: %v, %v, read whole %v", name, n, cut, p.Status(), err, whole.Status())
				}
				if all, err := ReadAll(state); err != nil || len(all) != 1 || all[0].Intents != nil || all[0].Status() != whole.Status() {
					t.Fatalf("%s, %d lines, %d bytes short: %v, %+v", name, n, cut, err, all)
				}
			}
		}
	}
}

// TestOneJournalIsInMemory: runs come newest first with what Read returns, memory has one
// journal at a time, and a journal of a run that isn't asked for or is too old isn't read.
func TestOneJournalIsInMemory(t *testing.T) {
	state := t.TempDir()
	const runs, lines = 8, 20_000
	for n := range runs {
		id := fmt.Sprint("run", n)
		if err := os.MkdirAll(Dir(state, id), 0o700); err != nil {
			t.Fatal(err)
		}
		var all []byte
		var s seal
		for i := range lines {
			r := Record{Intent: &Intent{Op: plan.Remove, Kind: plan.Blob, Key: fmt.Sprint(id, "/", i)}}
			if i == 0 {
				r = Record{Begin: &Begin{Plan: "p", Time: now.Add(time.Duration(n*3%runs) * time.Hour)}} // in another order than their names
			}
			var err error
			if all, err = s.append(all, &r); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(Dir(state, id), FileName), all, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	memory := func() (live, sum uint64) {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, m.TotalAlloc
	}
	base, start := memory()
	var first, most, sums uint64
	before := now.Add(runs * time.Hour)
	for p, err := range Newest(state, Whole) {
		if err != nil || len(p.Intents) != lines-1 || p.Intents[7].Key != p.ID+"/8" || !p.Begin.Time.Before(before) {
			t.Fatalf("%v, %s with %d intents, after a run of %v", err, p.ID, len(p.Intents), before)
		}
		before = p.Begin.Time
		live, sum := memory()
		live -= base
		if first == 0 {
			first, sums = live, sum-start
		}
		most = max(most, live)
		runtime.KeepAlive(p)
	}
	if _, sum := memory(); before != now || most > 2*first || sum-start < runs/2*sums {
		t.Errorf("the oldest run is of %v; one journal takes %d bytes, and at most %d are live; reading one allocates %d, and all %d", before, first, most, sums, sum-start)
	}
	_, start = memory()
	is := RemovedKeys(state, now.Add(runs*time.Hour))
	if _, sum := memory(); is != nil || sum-start > sums/2 {
		t.Errorf("a run before the time counts, or its journal is read: %d bytes are allocated", sum-start)
	}
}

// TestAJournalIsContinued: a journal that was cut anywhere continues after its last complete
// line.
func TestAJournalIsContinued(t *testing.T) {
	state := t.TempDir()
	dir := Dir(state, "r")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var all []byte
	var s seal
	for _, r := range []Record{
		{Begin: &Begin{Plan: "p", Keep: true, Time: now}},
		{Intent: &Intent{Op: plan.Remove, Kind: plan.Blob, Key: "a"}}, {Receipt: &Receipt{Key: "a"}}, {End: &End{Time: now}},
	} {
		var err error
		if all, err = s.append(all, &r); err != nil {
			t.Fatal(err)
		}
	}
	for n := range len(all) + 1 {
		if err := os.WriteFile(filepath.Join(dir, FileName), all[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := Read(state, "r", Whole)
		if want := int64(bytes.LastIndexByte(all[:n], '\n') + 1); err != nil || p.size != want {
			t.Errorf("cut at %d: %v, goes on at %d, not %d", n, err, p.size, want)
		}
	}
}

// TestASyncedLineIsInNoHole: zeros in place of the last line that is known to be synced are
// damage; in place of the line after it they may be from a power failure.
func TestASyncedLineIsInNoHole(t *testing.T) {
	state := t.TempDir()
	if err := os.MkdirAll(Dir(state, "r"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, synced := range []int64{1, 2} {
		var s seal
		var all []byte
		ends := []int{0}
		for n, r := range []Record{{Begin: &Begin{Plan: "p", Time: now}}, {Intent: &Intent{Key: strings.Repeat("k", 2*sector)}}, {Intent: &Intent{Key: "a"}}} {
			if n == 2 {
				s.synced = synced
			}
			var err error
			if all, err = s.append(all, &r); err != nil {
				t.Fatal(err)
			}
			ends = append(ends, len(all))
		}
		clear(all[ends[1] : ends[2]-1])
		if err := os.WriteFile(filepath.Join(Dir(state, "r"), FileName), all, 0o600); err != nil {
			t.Fatal(err)
		}
		if p, err := Read(state, "r", Whole); err != nil || (p.Damage != "") != (synced == 2) || len(p.Intents) != 1 {
			t.Errorf("%d lines were synced: %v, damage %q, %d intents", synced, err, p.Damage, len(p.Intents))
		}
	}
}

// TestLinesAreReadAsJSONIs: the parser of lines returns what encoding/json does, or leaves
// lines to it.
func TestLinesAreReadAsJSONIs(t *testing.T) {
	texts := []string{"", "a", "sha256:0", "base64:", "base64:YQ==", `a"b`, `a\b`, "<&>", "\xff", "é", "a\nb", "\x00", "}", `,"n":5`, "true"}
	numbers := []int64{0, 1, -1, math.MaxInt64, math.MinInt64}
	random := rand.New(rand.NewPCG(1, 1))
	text := func() string { return texts[random.IntN(len(texts))] }
	number := func() int64 { return numbers[random.IntN(len(numbers))] }
	read := 0
	for range 20_000 {
		r := Record{Intent: &Intent{
			Op: plan.Op(text()), Kind: plan.Kind(text()), Key: text(), Step: text(), Finding: text(), Digest: text(), Bytes: number(),
			Stood: random.IntN(2) == 0, Content: plan.Text(text()), Body: plan.Text(text()), From: number(), Made: text(), Upload: text(),
			Was: number(), Past: random.IntN(2) == 0,
		}}
		switch random.IntN(8) {
		case 0:
			r = Record{End: &End{Time: now, By: text()}}
		case 1, 2, 3:
			r = Record{Receipt: &Receipt{Key: text(), Upload: text(), Freed: number(), Kept: number(), Undo: text(), Err: text(), Time: number()}}
		}
		s := seal{last: int64(random.IntN(3)), synced: int64(random.IntN(3))}
		line, err := s.append(nil, &r)
		if err != nil {
			t.Fatal(err)
		}
		line = line[:len(line)-1]
		var got, want sealed
		if err := json.Unmarshal(line, &want); err != nil || !got.read(line) || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\n%v; read as\n%+v, want\n%+v", line, err, got, want)
		}
		body, _, _ := bytes.Cut(line, []byte(checksumField))
		if new(sealed).parse(string(body)) {
			read++
		}
		at := random.IntN(len(line))
		line[at] ^= 1 << random.IntN(7)
		var damaged sealed
		if damaged.read(line) && !reflect.DeepEqual(damaged, want) {
			t.Fatalf("damaged: %s is read as %+v", line, damaged)
		}
	}
	if read == 0 {
		t.Error("no line was read by hand")
	}
}

// benchRecords are an intent and its receipt.
var benchRecords = []Record{
	{Intent: &Intent{Op: plan.Remove, Kind: plan.Blob, Key: "docker/registry/v2/blobs/sha256/ab/" + strings.Repeat("ab", 32) + "/data", Finding: "blob-orphan", Digest: "sha256:" + strings.Repeat("ab", 32), Bytes: 123456}},
	{Receipt: &Receipt{Key: "docker/registry/v2/blobs/sha256/ab/" + strings.Repeat("ab", 32) + "/data", Kept: 123456, Undo: "kept/1"}},
}

// BenchmarkRecord compares the encoder of lines with encoding/json.
func BenchmarkRecord(b *testing.B) {
	b.Run("append", func(b *testing.B) {
		var line []byte
		for b.Loop() {
			for i := range benchRecords {
				line, _ = benchRecords[i].append(line[:0])
			}
		}
	})
	b.Run("encoding_json", func(b *testing.B) {
		for b.Loop() {
			for i := range benchRecords {
				json.Marshal(&benchRecords[i])
			}
		}
	})
}

// BenchmarkRead compares reading the ends of a journal of 100,000 steps with reading all of
// it.
func BenchmarkRead(b *testing.B) {
	state := b.TempDir()
	if err := os.MkdirAll(Dir(state, "r"), 0o700); err != nil {
		b.Fatal(err)
	}
	var all []byte
	var s seal
	for n := range 200_000 {
		r := benchRecords[n%2]
		if n == 0 {
			r = Record{Begin: &Begin{Plan: "p", Time: now}}
		}
		all, _ = s.append(all, &r)
	}
	if err := os.WriteFile(filepath.Join(Dir(state, "r"), FileName), all, 0o600); err != nil {
		b.Fatal(err)
	}
	for name, of := range map[string]Extent{"ends": Ends, "whole": Whole} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Read(state, "r", of); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
