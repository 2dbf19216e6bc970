package report

import (
	"slices"
	"strings"
	"testing"

	"regfsck/graph"
)

func TestExitOf(t *testing.T) {
	one := func(ids ...graph.ID) *graph.Result {
		r := &graph.Result{Complete: true}
		for _, id := range ids {
			r.Counts[id].Count = 1
		}
		return r
	}
	incomplete := func(ids ...graph.ID) *graph.Result {
		r := one(ids...)
		r.Complete = false
		return r
	}
	young := &graph.Result{Complete: true}
	young.Counts[graph.BlobOrphan].Young = 9
	const never = graph.Fatal
	for _, c := range []struct {
		name   string
		result *graph.Result
		failOn graph.Severity
		want   Exit
	}{
		{"nothing", one(), graph.Garbage, 0},
		{"error", one(graph.BlobMissing), graph.Error, 4},
		{"error, never", one(graph.BlobMissing), never, 0},
		{"error, warning", one(graph.TagDangling), graph.Warning, 4},
		{"warning", one(graph.ForeignFile), graph.Error, 0},
		{"warning, warning", one(graph.ForeignFile), graph.Warning, 4},
		{"warning, garbage", one(graph.ForeignFile), graph.Garbage, 4},
		{"warning, never", one(graph.ForeignFile), never, 0},
		{"garbage", one(graph.BlobOrphan), graph.Error, 0},
		{"garbage, warning", one(graph.BlobOrphan), graph.Warning, 0},
		{"garbage, garbage", one(graph.SignatureLegacy), graph.Garbage, 4},
		{"young garbage, garbage", young, graph.Garbage, 0},
		{"unreadable", incomplete(graph.StoreUnreadable), graph.Error, 8},
		{"unreadable, never", incomplete(graph.StoreUnreadable), never, 8},
		{"unreadable and error", incomplete(graph.StoreUnreadable, graph.BlobCorrupt), graph.Error, 12},
		{"unreadable and error, never", incomplete(graph.StoreUnreadable, graph.BlobCorrupt), never, 8},
	} {
		if got := ExitOf(c.result, c.failOn); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestExitNames(t *testing.T) {
	for e, want := range map[Exit][]string{
		0: {}, 1: {"repaired"}, 4: {"damage-left"}, 8: {"incomplete"}, 16: {"usage"}, 32: {"cancelled"}, 64: {"refused"},
		12: {"damage-left", "incomplete"}, 5: {"repaired", "damage-left"},
	} {
		if got := e.Names(); !slices.Equal(got, want) || got == nil {
			t.Errorf("%d: %q, want %q", e, got, want)
		}
		if e.Meaning() == "" {
			t.Errorf("%d means nothing", e)
		}
	}
	for _, b := range ExitBits() {
		if b.Bit == 2 {
			t.Error("2 is what Go dies with")
		}
	}
}

func TestExitLineTellsWhatFailOnDid(t *testing.T) {
	c := damagedCheck()
	c.FailOn, c.Exit = graph.Fatal, ExitOf(c.Result, graph.Fatal)
	if text := textOf(t, c, TextOptions{}); !strings.Contains(text, "Exit code 8: ") || !strings.Contains(text, "damage doesn't raise it (--fail-on never)") {
		t.Errorf("--fail-on never is not told:\n%s", text)
	}
	c = checkOf([]graph.Finding{{ID: graph.ForeignFile}}, nil)
	c.FailOn, c.Exit = graph.Warning, ExitOf(c.Result, graph.Warning)
	if text := textOf(t, c, TextOptions{}); !strings.Contains(text, "Exit code 4: ") || !strings.Contains(text, "--fail-on warning") {
		t.Errorf("--fail-on warning is not told:\n%s", text)
	}
}
