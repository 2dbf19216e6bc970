package s3

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"

	"regfsck/fixtures/bucket"
)

// TestStats: pages tell what a look at each key tells, at a fraction of the
// requests; and where pages lie or are denied, looks at the keys do.
func TestStats(t *testing.T) {
	keys := make([]string, 500)
	for i := range keys {
		keys[i] = "x/" + digest(i)[:1] + "/" + digest(i) + "/data"
	}
	r := newRig(t, false, append(slices.Clone(keys), "a", "b/c")...)
	asked := append(slices.Clone(keys[:350]), "a", "b/c", "b/missing", keys[3]+"x", keys[3][:len(keys[3])-1], "../x", keys[7])
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(asked), func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
	want, wantErrs := r.s.Reader.Stats(t.Context(), asked)
	for name, do := range map[string]bucket.Action{
		"sound": nil, "denied": bucket.AccessDenied(), "from the start": bucket.IgnoreStart(), "empty": bucket.EmptyPage(),
		"no token": bucket.NoToken(), "stale": bucket.HideKeys(func(key string) bool { return key < "root/x/8" }),
		"unsorted": bucket.Unsort(), "no listing": bucket.Refuse(http.StatusBadRequest, "Trouble", "today"),
	} {
		for _, pageSize := range []int32{0, 3, 100} {
			t.Run(fmt.Sprint(name, pageSize), func(t *testing.T) {
				r.p.Heal()
				if do != nil {
					r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.ListObjectsV2), Do: do})
				}
				r.s.pageSize = pageSize
				r.p.Forget()
				items, errs := r.s.Stats(t.Context(), asked)
				if fmt.Sprint(items) != fmt.Sprint(want) {
					t.Error("items differ")
				}
				for i := range errs {
					if fmt.Sprint(errs[i]) != fmt.Sprint(wantErrs[i]) || !errors.Is(errs[i], root(wantErrs[i])) && errs[i] != nil {
						t.Errorf("%q: %v, want %v", asked[i], errs[i], wantErrs[i])
					}
				}
				if n := r.p.Total(); name == "sound" && pageSize == 0 && n > 60 {
					t.Errorf("%d requests for %d keys", n, len(asked))
				}
			})
		}
	}
}

// TestHistories: pages tell what a question for each key tells, whatever lies
// between the keys.
func TestHistories(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	r := newRig(t, true)
	var keys []string
	for i := range 40 {
		keys = append(keys, fmt.Sprintf("x/%d/%02d/data", i%2, i))
	}
	for range 220 {
		key := "root/" + keys[random.IntN(len(keys))]
		if random.IntN(3) == 0 {
			r.b.Delete(t, key, "")
		} else {
			r.b.Put(t, key, []byte(key))
		}
	}
	want := map[string]history{}
	for _, v := range r.b.Versions(t, "root/") {
		key := v.Key[len("root/"):]
		want[key] = append(want[key], version{id: v.ID, marker: v.Marker, latest: v.Latest})
	}
	for _, pageSize := range []int32{0, 2, 3, 5, 1000} {
		r.s.pageSize = pageSize
		for range 6 {
			asked := slices.Clone(keys)
			random.Shuffle(len(asked), func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
			asked = append(asked[:1+random.IntN(len(asked))], "x/0/nothing/data")
			all, errs := r.s.histories(t.Context(), asked)
			for i, key := range asked {
				sorted := slices.Clone(want[key])
				sorted.sort()
				if errs[i] != nil || !slices.EqualFunc(all[i], sorted, sameVersion) {
					t.Fatalf("page size %d, %q: %v, %+v, want %+v", pageSize, key, errs[i], all[i], sorted)
				}
				if h, err := r.s.history(t.Context(), key); err != nil || !slices.EqualFunc(h, sorted, sameVersion) {
					t.Errorf("%q: %v, %+v, want %+v", key, err, h, sorted)
				}
			}
		}
	}
}

func sameVersion(a, b version) bool {
	return a.id == b.id && a.marker == b.marker && a.latest == b.latest
}

// TestHistoriesDistrusted: a page that contradicts itself tells nothing.
func TestHistoriesDistrusted(t *testing.T) {
	for name, do := range map[string]bucket.Action{"no token": bucket.NoToken(), "unsorted": bucket.Unsort(), "cut": bucket.Cut()} {
		r := newRig(t, true, "x/1/data", "x/2/data", "x/3/data", "x/4/data")
		r.s.pageSize = 2
		r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.ListObjectVersions), Do: do})
		_, errs := r.s.histories(t.Context(), []string{"x/1/data", "x/3/data", "x/4/data"})
		if errs[2] == nil {
			t.Errorf("%s: %v", name, errs)
		}
	}
}
