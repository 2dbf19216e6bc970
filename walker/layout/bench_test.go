package layout

import "testing"

func BenchmarkParse(b *testing.B) {
	key := LayerKey("library/nested/name", Empty)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(key); err != nil {
			b.Fatal(err)
		}
	}
}
