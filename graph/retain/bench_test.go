package retain

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkJudge shows how a judgement grows with the tags of a repository: by
// no more than sorting them does. Each digest has two tags.
func BenchmarkJudge(b *testing.B) {
	rules := Rules{
		Last: 10, Hourly: 24, Daily: 30, Weekly: 8, Monthly: 12, Yearly: 10,
		Within: Duration{Months: 2}, Tags: expressions(`^v\d+$`, `^release-`),
	}
	for _, n := range []int{10_000, 30_000, 100_000} {
		r := rand.New(rand.NewPCG(5, 5))
		tags := make([]Tag, n)
		for i := range tags {
			age := time.Duration(r.Int64N(int64(10 * 365 * 24 * time.Hour)))
			tags[i] = Tag{Name: fmt.Sprintf("build-%d", i), Digest: digest(fmt.Sprint(i / 2)), Pushed: Nanoseconds(now.Add(-age))}
		}
		b.Run(fmt.Sprintf("tags=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Judge(tags, rules, Setting{Now: now}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/tag")
		})
	}
}
