package apply

import (
	"context"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// checked returns a step's result after the check of its precondition.
func checked(s backend.Store, step plan.Step) *stepResult {
	w := &stepResult{step: &step}
	checkStep(context.Background(), s, w)
	return w
}

// TestPreconditions: a step is carried out only if its object is as planned.
func TestPreconditions(t *testing.T) {
	right := []byte("the right bytes")
	d := layout.Sum(right)
	blob, link := layout.BlobKey(d), layout.LayerKey("a", d)
	long := strings.Repeat("x", walker.MaxLink)
	at := fixtures.Epoch
	rebuild := plan.Step{Op: plan.Write, Kind: plan.Rebuilt, Key: link, Finding: finding.LinkInvalid, Content: "old", Body: plan.Text(d.String())}
	renew := plan.Step{Op: plan.Write, Kind: plan.RebuiltBlob, Key: blob, Finding: finding.BlobCorrupt, Body: plan.Text(right), Size: 5}
	missing, renewMissing := rebuild, renew
	missing.Absent, missing.Content, renewMissing.Absent, renewMissing.Size = true, "", true, 0
	lies := renew
	lies.Body = "other bytes"
	unlink := plan.Step{Op: plan.Remove, Kind: plan.LayerLink, Key: link, Finding: finding.LayerLinkUnreferenced, Content: "old"}
	unlinkLong := unlink
	unlinkLong.Content = plan.Text(long)
	remove := plan.Step{Op: plan.Remove, Kind: plan.Blob, Key: blob, Finding: finding.BlobOrphan, Size: 5, Modified: at.Unix()}
	corrupt := remove
	corrupt.Corrupt, corrupt.Size = true, int64(len(right))
	heal := plan.Step{Op: plan.Write, Kind: plan.HealedBlob, Key: blob, Finding: finding.BlobCorrupt, Bytes: int64(len(right)), Size: 5, Modified: at.Unix()}
	healMissing, healInPlace := heal, heal
	healMissing.Absent, healMissing.Size, healInPlace.Size = true, 0, int64(len(right))
	for name, c := range map[string]struct {
		step  plan.Step
		holds string // the content at the step's key; "-" for none
		why   string // in the reason; "" if the step is carried out
	}{
		"a link that is rebuilt":            {rebuild, "old", ""},
		"a link that was rebuilt":           {rebuild, d.String(), "has another content"},
		"a link that goes on":               {rebuild, "older", "has another content"},
		"a link that is gone":               {rebuild, "-", "it no longer exists"},
		"a link that is missing":            {missing, "-", ""},
		"a link that came back":             {missing, d.String(), "a file by now"},
		"a blob that is written anew":       {renew, "12345", ""},
		"a blob of another size":            {renew, "123456", "written again"},
		"a blob that was written anew":      {renew, string(right), "written again"},
		"a blob that is gone":               {renew, "-", "it no longer exists"},
		"a blob that is missing":            {renewMissing, "-", ""},
		"a blob that came back":             {renewMissing, string(right), "a file by now"},
		"bytes that aren't the blob's":      {lies, "12345", "don't hash to its digest"},
		"a link that is removed":            {unlink, "old", ""},
		"a link that is another":            {unlink, "older", "has another content"},
		"a link that was removed":           {unlink, "-", "it no longer exists"},
		"a long link":                       {unlinkLong, long + "more", ""},
		"a long link that is another":       {unlinkLong, "x" + long[1:] + "", ""},
		"a long link that begins otherwise": {unlinkLong, "y" + long + "more", "has another content"},
		"a blob that is removed":            {remove, "12345", ""},
		"a blob that grew":                  {remove, "123456", "6 bytes now"},
		"a blob that was removed":           {remove, "-", "it no longer exists"},
		"a corrupt blob":                    {corrupt, "the wrong bytes", ""},
		"a blob that was healed":            {corrupt, string(right), "hash right now"},
		"a blob to copy":                    {heal, "12345", ""},
		"a blob to copy that grew":          {heal, "123456", "written again"},
		"a blob to copy that is gone":       {heal, "-", "it no longer exists"},
		"a blob to copy that was healed":    {healInPlace, string(right), "hash right now"},
		"a missing blob to copy":            {healMissing, "-", ""},
		"a blob to copy that came back":     {healMissing, string(right), "a file by now"},
	} {
		t.Run(name, func(t *testing.T) {
			m := fixtures.New(1).Memory()
			if c.holds != "-" {
				m.Put(c.step.Key, []byte(c.holds), at)
			}
			w := checked(m.Store(), c.step)
			if !strings.Contains(w.reason, c.why) || (c.why == "") != (w.reason == "") {
				t.Fatalf("%q, want %q", w.reason, c.why)
			}
			if c.why != "" {
				return
			}
			if len(w.intents) != 1 || w.intents[0].Key != c.step.Key {
				t.Fatalf("intents: %+v", w.intents)
			}
			in := w.intents[0]
			if kept := c.step.Op == plan.Write && c.step.Kind != plan.HealedBlob || c.step.IsLink(); kept && c.holds != "-" && string(in.Content) != c.holds {
				t.Errorf("the journal is told that %d bytes stand there, of %d", len(in.Content), len(c.holds))
			}
			if in.Stood != (c.step.Op == plan.Write && c.holds != "-") {
				t.Errorf("it stood there: %v", in.Stood)
			}
		})
	}
	m := fixtures.New(1).Memory()
	m.Put(blob, []byte("12345"), at.Add(time.Second))
	for _, step := range []plan.Step{remove, heal} {
		if w := checked(m.Store(), step); !strings.Contains(w.reason, "written again") {
			t.Errorf("%s of a blob of another time: %q", step.Kind, w.reason)
		}
	}
}

// TestWhatCannotBeReadIsNotWritten: a link that can't be read isn't missing. It is neither
// written, which would replace what an undo can't restore, nor removed.
func TestWhatCannotBeReadIsNotWritten(t *testing.T) {
	d := layout.Sum([]byte("x"))
	step := plan.Step{Op: plan.Write, Kind: plan.Rebuilt, Key: layout.LayerKey("a", d), Finding: finding.LayerLinkMissing, Absent: true, Body: plan.Text(d.String())}
	replace, remove := step, step
	replace.Absent, replace.Content = false, "old"
	remove.Op, remove.Kind, remove.Absent, remove.Content = plan.Remove, plan.LayerLink, false, "old"
	m := fixtures.New(1).Memory()
	m.Put(step.Key, []byte("old"), fixtures.Epoch)
	f := fixtures.NewFaultyStore(m.Store(), func(_ int, op fixtures.Op, _ string) fixtures.Wrong {
		if op == fixtures.OpRead {
			return fixtures.Fail
		}
		return fixtures.Right
	})
	for _, s := range []plan.Step{step, replace, remove} {
		if w := checked(f, s); !w.failed || len(w.intents) > 0 {
			t.Errorf("%s, absent %v: %q, %+v", s.Op, s.Absent, w.reason, w.intents)
		}
	}
}

// TestTheDirectoriesMadeForAWriteAreKnown: an undo removes exactly the directories that were
// created for a write; missing ones are asked for twice.
func TestTheDirectoriesMadeForAWriteAreKnown(t *testing.T) {
	d := layout.Sum([]byte("x"))
	step := plan.Step{Op: plan.Write, Kind: plan.Rebuilt, Key: layout.LayerKey("a/b", d), Finding: finding.LayerLinkMissing, Absent: true, Body: plan.Text(d.String())}
	made := func(rule fixtures.Rule, keys ...string) journal.Intent {
		t.Helper()
		m := fixtures.New(1).Memory()
		for _, key := range keys {
			m.Put(key, nil, fixtures.Epoch)
		}
		w := checked(fixtures.NewFaultyStore(m.Store(), rule), step)
		if w.reason != "" || len(w.intents) != 1 {
			t.Fatalf("%q, %+v", w.reason, w.intents)
		}
		return w.intents[0]
	}
	root := layout.Repositories
	for _, c := range []struct{ there, made string }{
		{root + "/other/x", root + "/a"},
		{root + "/a/x", root + "/a/b"},
		{root + "/a/b/_layers/sha256/x/link", root + "/a/b/_layers/sha256/" + d.Hex()},
	} {
		if in := made(nil, c.there); in.Made != c.made {
			t.Errorf("with %s: %q, want %q", c.there, in.Made, c.made)
		}
	}
	lied := false
	once := func(_ int, op fixtures.Op, _ string) fixtures.Wrong {
		if op == fixtures.OpStat && !lied {
			lied = true
			return fixtures.Lie
		}
		return fixtures.Right
	}
	if in := made(once, root+"/a/b/_layers/sha256/"+d.Hex()+"/other"); !lied || in.Made != "" {
		t.Errorf("by a lie: %q", in.Made)
	}
}

// TestAnUploadWithANameThatIsNotUTF8: an upload with such a file or directory is kept.
func TestAnUploadWithANameThatIsNotUTF8(t *testing.T) {
	key := layout.UploadKey("a", "6fe6cbb0-1111-4222-8333-444444444444")
	step := plan.Step{Op: plan.Remove, Kind: plan.Upload, Key: key + "/", Finding: finding.UploadStale, Size: 3, Modified: fixtures.Epoch.Unix()}
	for name, spoil := range map[string]func(*fixtures.Memory){
		"a file":      func(m *fixtures.Memory) { m.Put(key+"/\xff", nil, fixtures.Epoch) },
		"a directory": func(m *fixtures.Memory) { m.Mkdir(key + "/\xff") },
		"neither":     func(*fixtures.Memory) {},
	} {
		m := fixtures.New(1).Memory()
		m.Put(key+"/data", []byte("abc"), fixtures.Epoch)
		spoil(m)
		if w := checked(m.Store(), step); strings.Contains(w.reason, "no UTF-8") != (name != "neither") {
			t.Errorf("%s: %q", name, w.reason)
		}
	}
}
