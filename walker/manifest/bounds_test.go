package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestRepeatedReferencesAreOne(t *testing.T) {
	for _, n := range []int{few, 2 * few, 1000} {
		var layers []string
		var want []Ref
		for i := range n / 2 {
			name := fmt.Sprint(i)
			layers = append(layers, fmt.Sprintf(`{"digest":%q}`, dg(name)), desc("", name, i, ""))
			want = append(want, ref(Layer, name, int64(i)))
		}
		for _, order := range []string{"size last", "size first"} {
			got, err := Parse([]byte(`{"layers":[`+strings.Join(layers, ",")+`]}`), nil)
			if err != nil || !slices.Equal(got.Refs, want) {
				t.Errorf("%d references, half of them repeated, %s, give %d: %v", n, order, len(got.Refs), err)
			}
			slices.Reverse(layers)
			slices.Reverse(want)
		}
	}
	both := `{"config":` + desc("", "x", 1, "") + `,"layers":[` + desc("", "x", 1, "") + `]}`
	if got, err := Parse([]byte(both), nil); err != nil || len(got.Refs) != 2 {
		t.Errorf("one digest in two roles gives %+v, %v", got, err)
	}
}

func TestBoundsAreExact(t *testing.T) {
	start := `{"config":` + desc("", "c", 1, "") + `,`
	nested := func(depth int) string {
		return start + `"x":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
	}
	padded := func(size int) string { return start + `"x":"` + strings.Repeat("y", size-len(start)-7) + `"}` }
	if len(padded(1000)) != 1000 {
		t.Fatalf("the test pads to %d, not 1000", len(padded(1000)))
	}
	for _, bound := range []struct {
		name string
		body func(int) string
		most int
		want error
	}{
		{"depth", nested, MaxDepth, ErrTooDeep},
		{"size", padded, MaxSize, ErrTooLarge},
	} {
		if _, err := Parse([]byte(bound.body(bound.most)), nil); err != nil {
			t.Errorf("%s at the bound: %v", bound.name, err)
		}
		if _, err := Parse([]byte(bound.body(bound.most+1)), nil); !errors.Is(err, bound.want) {
			t.Errorf("%s beyond the bound: %v", bound.name, err)
		}
	}
	if _, err := Parse([]byte(strings.Repeat(`{"x":`, MaxSize/5)), nil); !errors.Is(err, ErrTooDeep) {
		t.Errorf("an endless nest: %v", err)
	}
}
