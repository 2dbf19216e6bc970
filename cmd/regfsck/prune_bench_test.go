package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
)

// BenchmarkTags shows how plans of retention and lists of tags grow with the tags
// of a repository: by no more than sorting them does. The store is one in memory,
// so that all the work is the program's own.
func BenchmarkTags(b *testing.B) {
	for _, n := range []int{10_000, 30_000, 100_000} {
		var store *fixtures.Memory
		for _, command := range []string{
			"prune STORE --keep-daily 30 --keep-last 100",
			"prune STORE --keep-monthly 12 --time created --keep-untagged-within 30d",
			"ls STORE " + fixtures.TagsRepository,
		} {
			b.Run(fmt.Sprintf("%s/tags=%d", strings.ReplaceAll(command, " ", "_"), n), func(b *testing.B) {
				if store == nil {
					store = fixtures.Tags(1, n).Memory()
				}
				f := newFake(b)
				f.check = func(ctx context.Context, _ backend.Reader, o graph.Options) (*graph.Result, []graph.Phase, error) {
					return graph.Check(ctx, store, o)
				}
				b.ReportAllocs()
				for b.Loop() {
					if exit := f.run(append(strings.Fields(command), "--json", "--no-progress")...); exit != 0 {
						b.Fatalf("exit %d, %s", exit, f.errs.String())
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/tag")
			})
		}
	}
}
