package report

import (
	"math"
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

// The areas of tiles are as their bytes, they fill the map, and none covers another.
func TestTilesFillTheMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 90 {
		m := treemap{}
		sum := int64(0)
		for range n + 1 {
			bytes := 1 + int64(math.Exp(random.Float64()*30))
			m.add("own", "a-name-of-some-length", "", bytes)
			sum += bytes
		}
		m.add("own", "nothing", "", 0)
		m.lay()
		if len(m.Tiles) != n+1 {
			t.Fatalf("%d tiles of %d", len(m.Tiles), n+1)
		}
		for i, a := range m.Tiles {
			if a.X < -1e-3 || a.Y < -1e-3 || a.X+a.W > mapWidth+1e-3 || a.Y+a.H > mapHeight+1e-3 {
				t.Errorf("%+v is outside", a)
			}
			if want := mapWidth * mapHeight * float64(a.Bytes) / float64(sum); math.Abs(a.W*a.H-want) > 1e-3*want+1e-3 {
				t.Errorf("%+v has the area %g, want %g", a, a.W*a.H, want)
			}
			if room := a.W - 14; a.Label != "" && float64(utf8.RuneCountInString(a.Label))*7.6 > room {
				t.Errorf("%q is wider than %g", a.Label, room)
			}
			for _, b := range m.Tiles[:i] {
				if x, y := math.Min(a.X+a.W, b.X+b.W)-math.Max(a.X, b.X), math.Min(a.Y+a.H, b.Y+b.H)-math.Max(a.Y, b.Y); x > 1e-3 && y > 1e-3 {
					t.Errorf("%+v covers %+v", a, b)
				}
			}
		}
	}
}
