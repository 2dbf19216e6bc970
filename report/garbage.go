package report

import (
	"regfsck/graph/finding"
)

// garbage writes the table of what takes space and hurts nobody.
func (t *text) garbage() {
	var sum finding.Count
	for id := range finding.Kinds {
		if id.Severity() == finding.Garbage {
			sum = add(sum, t.Result.Counts[id])
		}
	}
	if sum.Count == 0 && sum.Young == 0 {
		return
	}
	t.heading(cyan, "GARBAGE: takes space, hurts nobody")
	t.blank()
	t.line(1, t.paint(dim, left("", 24)+right("things", 12)+right("size", 12)+right("kept as young", 16)))
	for id := range finding.Kinds {
		if c := t.Result.Counts[id]; id.Severity() == finding.Garbage && (c.Count > 0 || c.Young > 0) {
			t.row(cyan, id.String(), c)
			t.line(2, t.paint(dim, id.Explanation().Brief))
		}
	}
	t.row(bold, "together", sum)
	if n := t.Result.Totals.ReclaimableBytes; n > 0 {
		t.blank()
		t.line(1, t.paint(bold, Size(n)), " could be freed.")
	}
}

func (t *text) row(st style, name string, c finding.Count) {
	young := "-"
	if c.Young > 0 {
		young = Number(c.Young)
	}
	t.line(1, t.paint(st, left(name, 24)), right(Number(c.Count), 12), right(Size(c.Bytes), 12), right(young, 16))
}

func add(a, b finding.Count) finding.Count {
	return finding.Count{Count: a.Count + b.Count, Bytes: a.Bytes + b.Bytes, Young: a.Young + b.Young}
}
