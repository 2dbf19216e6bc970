package spelling

import "testing"

func TestNearest(t *testing.T) {
	names := []string{"grace", "json", "report", "untagged"}
	for word, want := range map[string]string{"grase": "grace", "jsn": "json", "reprot": "report", "untag": "", "untaged": "untagged", "x": "", "": ""} {
		if got := nearest(word, names); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}
