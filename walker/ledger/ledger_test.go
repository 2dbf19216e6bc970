package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/walker/layout"
)

// blob returns the n-th blob, as a listing shows it.
func blob(n int) Record {
	return Record{
		Digest: layout.Sum(fmt.Append(nil, n)), Size: int64(n), Modified: int64(1000+n) * 1e9,
		Stamp: StampOf("", uint64(n)+1, int64(n)+1),
	}
}

func blobs(n int) (all []Record) {
	for i := range n {
		all = append(all, blob(i))
	}
	return all
}

const store = "/a/store"

var day = time.Date(2026, time.January, 2, 0, 0, 0, 0, time.UTC)

// written returns a closed ledger of the first n blobs, in as many blocks.
func written(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger")
	for i := range n {
		l := &Ledger{}
		if err := l.Open(path, store); err != nil {
			t.Fatal(err)
		}
		l.AddListed(blobs(n))
		l.Match()
		l.Put(blob(i).Digest, Right, day)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if len(l.Notes) > 0 {
			t.Fatalf("%q", l.Notes)
		}
	}
	return path
}

// knows returns how many of the first n blobs a file proves; they must be the first ones.
func knows(t *testing.T, path string, n int) (known int, notes []string) {
	t.Helper()
	l := &Ledger{}
	if err := l.Read(path, store); err != nil {
		t.Fatal(err)
	}
	l.AddListed(blobs(n))
	l.Match()
	for i := range n {
		v, _ := l.Lookup(blob(i).Digest)
		if v == Right && known < i {
			t.Fatalf("blob %d is known, and %d isn't", i, known)
		}
		if v == Right {
			known++
		}
	}
	return known, l.Notes
}

// TestEveryCut: a file that was truncated anywhere is used up to the cut, with a note, and
// continued there.
func TestEveryCut(t *testing.T) {
	const n = 3
	path := written(t, n)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if known, notes := knows(t, path, n); known != n || len(notes) > 0 {
		t.Fatalf("%d of %d, %q", known, n, notes)
	}
	best := 0
	for cut := range whole {
		part := filepath.Join(t.TempDir(), "part")
		for name, body := range map[string][]byte{
			"cut": whole[:cut], "zeros": append(slices.Clone(whole[:cut]), make([]byte, len(whole)-cut)...),
		} {
			if name == "zeros" && cut < 4 {
				continue // it isn't a ledger
			}
			if err := os.WriteFile(part, body, 0o600); err != nil {
				t.Fatal(err)
			}
			l := &Ledger{}
			switch err := l.Open(part, store); {
			case errors.Is(err, ErrFormat) && name == "zeros" && len(whole)-cut > 0:
				continue // its header is broken
			case err != nil:
				t.Fatalf("%s at %d: %v", name, cut, err)
			}
			if name == "cut" && cut > 0 && len(l.Notes) == 0 && !boundary(whole, cut) {
				t.Errorf("cut at %d: nothing is said", cut)
			}
			l.AddListed(blobs(n))
			l.Match()
			known := 0
			for i := range n {
				if v, _ := l.Lookup(blob(i).Digest); v == Right {
					known++
				}
				l.Put(blob(i).Digest, Right, day)
			}
			if name == "cut" && known < best {
				t.Errorf("cut at %d: %d are known, and %d were at less", cut, known, best)
			}
			best = max(best, known)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if again, notes := knows(t, part, n); again != n || len(notes) > 0 {
				t.Errorf("%s at %d: continued, it has %d of %d, %q", name, cut, again, n, notes)
			}
		}
	}
	if best != n-1 {
		t.Errorf("%d of %d are known at best before the end", best, n)
	}
}

// boundary reports whether a cut is between blocks.
func boundary(whole []byte, cut int) bool {
	return cut < len(whole) && string(whole[cut:cut+min(4, len(whole)-cut)]) == magic
}

// TestEveryChangedByte: after a changed byte nothing is used, with a note, and the changed
// file is kept when a new one is begun.
func TestEveryChangedByte(t *testing.T) {
	const n = 3
	path := written(t, n)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(t.TempDir(), "changed")
	for at := range whole {
		body := slices.Clone(whole)
		body[at] ^= 0x41
		if err := os.WriteFile(changed, body, 0o600); err != nil {
			t.Fatal(err)
		}
		l := &Ledger{}
		err := l.Read(changed, store)
		if errors.Is(err, ErrFormat) {
			continue // the header
		}
		if err != nil {
			t.Fatalf("at %d: %v", at, err)
		}
		known, notes := knows(t, changed, n)
		blocks := strings.Count(string(whole[:at+1]), magic) - 1 // the block that contains at is the first that isn't used
		if known >= n || known > blocks || len(notes) != 1 || !strings.Contains(notes[0], "at byte ") {
			t.Errorf("at %d: %d are known, %q", at, known, notes)
		}
	}

	body := slices.Clone(whole)
	body[len(whole)-100] ^= 1
	if err := os.WriteFile(changed, body, 0o600); err != nil {
		t.Fatal(err)
	}
	l := &Ledger{}
	if err := l.Open(changed, store); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(changed + ".damaged"); err != nil || !slices.Equal(kept, body) {
		t.Errorf("the damaged file isn't kept: %v", err)
	}
	if known, notes := knows(t, changed, n); known != n-1 || len(notes) > 0 {
		t.Errorf("begun anew: %d, %q", known, notes)
	}
	if len(l.Notes) != 2 || !strings.Contains(l.Notes[1], ".damaged") {
		t.Errorf("%q", l.Notes)
	}
}

func TestRejectedFiles(t *testing.T) {
	path := written(t, 1)
	l := &Ledger{}
	if err := l.Read(path, "/another/store"); !errors.Is(err, ErrStore) || !strings.Contains(err.Error(), store) {
		t.Error(err)
	}
	if err := l.Open(path, "/another/store"); !errors.Is(err, ErrStore) {
		t.Error(err)
	}
	for _, body := range []string{"hello", strings.Repeat("text\n", 100), "\x00\x00\x00\x00\x00"} {
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := l.Open(path, store); !errors.Is(err, ErrFormat) {
			t.Errorf("%.10q: %v", body, err)
		}
		if is, _ := os.ReadFile(path); string(is) != body {
			t.Errorf("%.10q was written to", body)
		}
	}
	if err := l.Read(path+"-nowhere", store); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestOnlyTheSameBytesCount: a record counts for the same size, time and stamp, and never
// without a stamp. A record of wrong bytes counts more than any of right ones; among these the
// newest counts that isn't later than now.
func TestOnlyTheSameBytesCount(t *testing.T) {
	at := func(r Record, v Verdict, hashed int64) Record {
		r.Verdict, r.Hashed = v, hashed
		return r
	}
	b := blob(7)
	bigger, later, anew, bare, unchanged := b, b, b, b, b
	bare.Stamp, unchanged.Stamp = StampOf("", 0, 0), StampOf("", 8, 0)
	bigger.Size++
	later.Modified++
	anew.Stamp = StampOf("", 9, 8)
	for name, c := range map[string]struct {
		records []Record
		listed  []Record
		want    Verdict
		hashed  int64
	}{
		"known":                       {[]Record{at(b, Right, 50)}, []Record{b}, Right, 50},
		"not listed":                  {[]Record{at(b, Right, 50)}, nil, Unknown, 0},
		"another size":                {[]Record{at(b, Right, 50)}, []Record{bigger}, Unknown, 0},
		"another time":                {[]Record{at(b, Right, 50)}, []Record{later}, Unknown, 0},
		"another inode":               {[]Record{at(b, Right, 50)}, []Record{anew}, Unknown, 0},
		"too old":                     {[]Record{at(b, Right, 9)}, []Record{b}, Unknown, 9},
		"wrong":                       {[]Record{at(b, Wrong, 9)}, []Record{b}, Wrong, 9},
		"the newest":                  {[]Record{at(b, Right, 40), at(b, Right, 50), at(b, Right, 30)}, []Record{b}, Right, 50},
		"wrong, and right later":      {[]Record{at(b, Wrong, 40), at(b, Right, 50), at(b, Wrong, 30)}, []Record{b}, Wrong, 40},
		"later than now":              {[]Record{at(b, Right, 101)}, []Record{b}, Unknown, 0},
		"later than now, and before":  {[]Record{at(b, Right, 101), at(b, Right, 20)}, []Record{b}, Right, 20},
		"now":                         {[]Record{at(b, Right, 100)}, []Record{b}, Right, 100},
		"wrong, later than now":       {[]Record{at(b, Right, 50), at(b, Wrong, 101)}, []Record{b}, Wrong, 101},
		"without a stamp":             {[]Record{at(bare, Right, 50)}, []Record{bare}, Unknown, 0},
		"without a change time":       {[]Record{at(unchanged, Right, 50)}, []Record{unchanged}, Unknown, 0},
		"the newest is wrong":         {[]Record{at(b, Right, 40), at(b, Wrong, 50), at(b, Right, 30)}, []Record{b}, Wrong, 50},
		"of one second":               {[]Record{at(b, Right, 50), at(b, Wrong, 50), at(b, Right, 50)}, []Record{b}, Wrong, 50},
		"of other bytes":              {[]Record{at(anew, Wrong, 60), at(b, Right, 50)}, []Record{b}, Right, 50},
		"listed twice":                {[]Record{at(b, Right, 50)}, []Record{b, b}, Right, 50},
		"listed in two ways":          {[]Record{at(b, Right, 50)}, []Record{b, anew}, Unknown, 0},
		"listed in two ways and more": {[]Record{at(b, Right, 50)}, []Record{b, anew, b, b}, Unknown, 0},
	} {
		l := &Ledger{Since: 10, Until: 100}
		l.add(c.records)
		l.AddListed(c.listed)
		l.Match()
		if v, hashed := l.Lookup(b.Digest); v != c.want || hashed != c.hashed {
			t.Errorf("%s: %v, %d", name, v, hashed)
		}
	}
}

// TestFutureRecords: records later than now don't count, with a note, until that time has
// come.
func TestFutureRecords(t *testing.T) {
	path := written(t, 2)
	for until, want := range map[int64]int{day.Unix() - 1: 0, day.Unix(): 2} {
		l := &Ledger{Until: until}
		if err := l.Read(path, store); err != nil {
			t.Fatal(err)
		}
		l.AddListed(blobs(2))
		l.Match()
		known := 0
		for i := range 2 {
			if v, _ := l.Lookup(blob(i).Digest); v == Right {
				known++
			}
		}
		if said := len(l.Notes) == 1 && strings.Contains(l.Notes[0], "2 records of a later time than now"); known != want || said != (want == 0) {
			t.Errorf("until %d: %d are known, %q", until, known, l.Notes)
		}
	}
}

// TestWithoutAStamp: a blob without a stamp isn't recorded, with a note.
func TestWithoutAStamp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	bare := blob(1)
	bare.Stamp = StampOf("", 0, 0)
	l := &Ledger{}
	if err := l.Open(path, store); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	l.AddListed([]Record{blob(0), bare})
	l.Match()
	l.Put(bare.Digest, Right, day)
	if len(l.Notes) != 1 || !strings.Contains(l.Notes[0], "of 1 blobs") {
		t.Errorf("%q", l.Notes)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || after.Size() != before.Size() {
		t.Errorf("%d bytes were written, %v", after.Size()-before.Size(), err)
	}
}

// TestNewBlobsAreNotRecorded: a blob written less than a minute before it was hashed isn't
// recorded, since it could be written again within its time's resolution.
func TestNewBlobsAreNotRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l := &Ledger{}
	if err := l.Open(path, store); err != nil {
		t.Fatal(err)
	}
	l.AddListed(blobs(2))
	l.Match()
	l.Put(blob(0).Digest, Right, time.Unix(1000+59, 0))
	l.Put(blob(1).Digest, Right, time.Unix(1001+60, 0))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = &Ledger{}
	if err := l.Read(path, store); err != nil {
		t.Fatal(err)
	}
	l.AddListed(blobs(2))
	l.Match()
	for i, want := range []Verdict{Unknown, Right} {
		if v, _ := l.Lookup(blob(i).Digest); v != want {
			t.Errorf("blob %d: %v", i, v)
		}
	}
}

// TestPartsCover: each digest is in exactly one of any number of parts of about equal size.
func TestPartsCover(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []uint64{1, 2, 3, 7, 30, 1000, 1 << 32} {
		counts := map[uint64]int{}
		for k := range 3000 {
			d := layout.Sum(fmt.Append(nil, random.Uint64()))
			switch k {
			case 0:
				d = layout.Digest{}
			case 1:
				d = layout.Digest(slices.Repeat([]byte{0xff}, 32))
			}
			in := 0
			for i := range min(n, 1000) {
				if (Part{i + 1, n}).Has(d) {
					in++
					counts[i+1]++
				}
			}
			if n <= 1000 && in != 1 {
				t.Fatalf("%v is in %d of %d parts", d, in, n)
			}
		}
		for i := uint64(1); n <= 30 && i <= n; i++ {
			if even := 3000 / int(n); counts[i] < even/2 || counts[i] > 2*even {
				t.Errorf("part %d of %d has %d", i, n, counts[i])
			}
		}
	}
}

// TestReports: a record of a report counts while the blob has its Stamp and is older than the
// report; a blob about which reports contradict each other is named, and isn't right.
func TestReports(t *testing.T) {
	listed := blob(1)
	made := time.Unix(0, listed.Modified)
	twin := func(v Verdict) Record { return Record{Digest: listed.Digest, Stamp: listed.Stamp, Verdict: v} }
	broke := errors.New("it broke off")
	for name, c := range map[string]struct {
		made    time.Time
		records []Record
		err     error
		want    Verdict
		note    string
	}{
		"right":               {made, []Record{twin(Right)}, nil, Right, ""},
		"wrong":               {made, []Record{twin(Wrong)}, nil, Wrong, ""},
		"twice":               {made, []Record{twin(Right), twin(Right)}, nil, Right, ""},
		"older than the blob": {made.Add(-1), []Record{twin(Right)}, nil, Unknown, ""},
		"of another object":   {made, []Record{{Digest: listed.Digest, Stamp: blob(2).Stamp, Verdict: Right}}, nil, Unknown, ""},
		"of no stamp":         {made, []Record{{Digest: listed.Digest, Verdict: Right}}, nil, Unknown, ""},
		"of another blob":     {made, []Record{{Digest: blob(2).Digest, Stamp: listed.Stamp, Verdict: Right}}, nil, Unknown, ""},
		"contradictory":       {made, []Record{twin(Right), twin(Wrong), twin(Right)}, nil, Wrong, "The reports disagree about blobs (1, for example " + listed.Digest.String()},
		"of the future":       {day, []Record{twin(Right)}, nil, Unknown, "1 records of a report are of a later time than now"},
		"not whole":           {made, []Record{twin(Right)}, broke, Unknown, ""},
		"of both versions":    {made, []Record{{Digest: listed.Digest, Stamp: blob(2).Stamp, Verdict: Wrong}, twin(Right)}, nil, Right, ""},
	} {
		l := &Ledger{Until: made.Add(time.Hour).Unix()}
		err := l.AddReport(c.made, func(add func(Record)) error {
			for _, r := range c.records {
				add(r)
			}
			return c.err
		})
		l.AddListed([]Record{listed})
		l.Match()
		v, hashed := l.Lookup(listed.Digest)
		if notes := strings.Join(l.Notes, "\n"); err != c.err || v != c.want || (v != Unknown) != (hashed == c.made.Unix()) || (c.note == "") != (notes == "") || !strings.Contains(notes, c.note) {
			t.Errorf("%s: %v at %d, %q, %v", name, v, hashed, notes, err)
		}
	}
	l := &Ledger{Since: made.Unix() + 1}
	if err := l.AddReport(made, func(add func(Record)) error { add(twin(Right)); return nil }); err != nil {
		t.Fatal(err)
	}
	l.AddListed([]Record{listed})
	l.Match()
	if v, hashed := l.Lookup(listed.Digest); v != Unknown || hashed != made.Unix() {
		t.Errorf("due again: %v at %d", v, hashed)
	}
}
