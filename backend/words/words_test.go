package words

import "testing"

func TestPlural(t *testing.T) {
	for n, want := range map[int]string{0: "0 blobs are", 1: "1 blob is", 2: "2 blobs are", -1: "-1 blobs are", 1234567: "1,234,567 blobs are", -12345: "-12,345 blobs are"} {
		if got := Plural(n, "blob is", "blobs are"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
