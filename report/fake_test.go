package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/report/exitcode"
)

var (
	begun = time.Date(2025, 11, 3, 1, 30, 0, 0, time.FixedZone("", 3600))
	hexA  = strings.Repeat("4f", 32)
	hexB  = strings.Repeat("a0", 32)
)

// damagedCheck is the check of a store in which much is wrong.
func damagedCheck() *Check {
	blob := "docker/registry/v2/blobs/sha256/4f/" + hexA + "/data"
	findings := []finding.Finding{
		{Kind: finding.StoreUnreadable, Path: "docker/registry/v2/repositories/team/secret", Repository: "team/secret",
			Detail: "permission denied", Cure: finding.CureNone},
		{Kind: finding.TagDangling, Path: "docker/registry/v2/repositories/web/_manifests/tags/old/current/link",
			Repository: "web", Tag: "old", Digest: "sha256:" + hexB, Bytes: 71, Cure: finding.CureRemoveAsk,
			Affects: []string{"web:old"}, AffectsCount: 1},
		{Kind: finding.LayerLinkMissing, Path: "docker/registry/v2/repositories/web/_layers/sha256/" + hexB + "/link",
			Repository: "web", Digest: "sha256:" + hexB, Cure: finding.CureRebuild,
			Affects: []string{"web:1", "web:2", "web:3", "web:4"}, AffectsCount: 1204},
		{Kind: finding.BlobMissing, Path: blob, Digest: "sha256:" + hexA, Cure: finding.CureNone,
			Affects: []string{"web:1"}, AffectsCount: 1, Detail: "a layer of sha256:" + hexB + ", which web needs"},
		{Kind: finding.ForeignFile, Path: "docker/registry/v2/blobs/evil\x1b[2Jname\u202e", Bytes: 5000,
			Modified: begun, Cure: finding.CureNone},
		{Kind: finding.BlobOrphan, Path: blob, Digest: "sha256:" + hexA, Bytes: 3 << 30, Modified: begun, Cure: finding.CureRemove},
		{Kind: finding.BlobOrphan, Path: blob + "2", Bytes: 7, Modified: begun, Cure: finding.CureRemove, InGrace: true},
	}
	broken := []finding.BrokenTag{
		{Repository: "web", Tag: "1", Outlook: finding.NeedsBytes, Because: []string{"blob-missing " + blob,
			"layer-link-missing docker/registry/v2/repositories/web/_layers/sha256/" + hexB + "/link"}},
		{Repository: "web", Tag: "old", Outlook: finding.NeedsPush, Because: []string{"tag-dangling docker/registry/v2/repositories/web/_manifests/tags/old/current/link"}},
	}
	c := checkOf(findings, broken)
	c.Result.Unknown = slices.Values([]finding.BrokenTag{
		{Repository: "api", Tag: "1", Because: []string{"manifest-unparsable " + blob}},
		{Repository: "api", Tag: "2", Because: []string{"changed docker/registry/v2/repositories/api/_manifests/tags/2/current/link"}},
		{Repository: "api", Tag: "3", Because: []string{"store-unreadable " + blob}},
	})
	c.Result.Complete = false
	c.Result.Totals = check.Totals{Repositories: 12, Tags: 1404, TagsBroken: 1206, TagsUnknown: 3, Revisions: 3400,
		Untagged: 5, LayerLinks: 20000, Blobs: 100213, Bytes: 12 << 38, ReferencedBlobs: 100000,
		ReferencedBytes: 11 << 38, ReclaimableBytes: 3 << 30, Uploads: 2, CacheAbsent: 0, Prospect: check.Prospect{Mended: 1203, Push: 1, Lost: 2}}
	c.Result.Notes = []string{"What stands beside a link or a blob was not looked for (--thorough)."}
	c.Exit = exitcode.OfCheck(c.Result, finding.Error, nil)
	return c
}

// cleanCheck is the check of a store in which nothing is wrong.
func cleanCheck() *Check {
	c := checkOf(nil, nil)
	c.Result.Totals = check.Totals{Repositories: 1, Tags: 2, Revisions: 2, Blobs: 6, Bytes: 4096, ReferencedBlobs: 6, ReferencedBytes: 4096}
	return c
}

// manyCheck has n broken tags and n findings of one kind.
func manyCheck(n int) *Check {
	var findings []finding.Finding
	var broken []finding.BrokenTag
	for i := range n {
		broken = append(broken, finding.BrokenTag{Repository: "app", Tag: fmt.Sprintf("t%04d", i), Because: []string{"blob-missing x"}})
		findings = append(findings, finding.Finding{Kind: finding.BlobMissing, Path: fmt.Sprintf("p%04d", i), Cure: finding.CureNone})
	}
	c := checkOf(findings, broken)
	c.Result.Totals.Tags, c.Result.Totals.TagsBroken = n, n
	return c
}

func checkOf(findings []finding.Finding, broken []finding.BrokenTag) *Check {
	r := &check.Result{Complete: true, Broken: slices.Values(broken), Unknown: slices.Values([]finding.BrokenTag(nil)), Findings: slices.Values(findings)}
	for _, f := range findings {
		if f.InGrace {
			r.Counts[f.Kind].InGrace++
			continue
		}
		r.Counts[f.Kind].Count++
		r.Counts[f.Kind].Bytes += f.Bytes
	}
	return &Check{
		Version: "v1", Target: "/var/lib/registry", Repeat: []string{"/var/lib/registry"},
		Started: begun, Finished: begun.Add(3200 * time.Millisecond), Result: r,
		Phases: []graph.Phase{
			{Name: "blobs", Count: 100213, Unit: "blobs", Duration: 2140 * time.Millisecond},
			{Name: "links", Count: 23401, Unit: "links", Duration: 1030 * time.Millisecond},
			{Name: "judge", Duration: 30 * time.Millisecond},
		},
		Cost:    backend.Cost{List: 1, Get: 2, Head: 3, Calls: 4, BytesRead: 5},
		Objects: 123614, LinksRead: 23401, FailOn: finding.Error, Exit: exitcode.OfCheck(r, finding.Error, nil),
	}
}
