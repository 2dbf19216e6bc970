package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"time"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
)

// exit writes the member with which every document ends.
func (d *document) exit(e Exit) {
	d.field("exit", struct {
		Code int      `json:"code"`
		Bits []string `json:"bits"`
	}{int(e), e.Names()})
}

// document writes the members of one JSON object, in order. The first error is
// kept and ends the writing.
type document struct {
	out   *bufio.Writer
	buf   bytes.Buffer
	enc   *json.Encoder
	comma string
	err   error
}

func newDocument(w io.Writer) *document {
	d := &document{out: bufio.NewWriterSize(w, 64<<10), comma: "{"}
	d.enc = json.NewEncoder(&d.buf)
	d.enc.SetEscapeHTML(false)
	return d
}

// value writes v on the line that has been begun.
func (d *document) value(v any) {
	if d.err != nil {
		return
	}
	d.buf.Reset()
	if d.err = d.enc.Encode(v); d.err == nil {
		_, d.err = d.out.Write(bytes.TrimSuffix(d.buf.Bytes(), []byte("\n")))
	}
}

func (d *document) begin(name string) {
	d.out.WriteString(d.comma + `"` + name + `":`)
	d.comma = ",\n "
}

func (d *document) field(name string, v any) {
	d.begin(name)
	d.value(v)
}

// open begins a list, element adds to it and reports whether to go on, shut ends
// it.
func (d *document) open(name string) {
	d.begin(name)
	d.comma = "[\n  "
}

func (d *document) element(v any) bool {
	d.out.WriteString(d.comma)
	d.value(v)
	d.comma = ",\n  "
	return d.err == nil
}

func (d *document) shut() {
	if d.comma[0] == '[' {
		d.out.WriteByte('[')
	}
	d.out.WriteByte(']')
	d.comma = ",\n "
}

// counts writes the ids that were found, in their order.
func (d *document) counts(counts *[finding.NumKinds]finding.Count) {
	d.begin("counts")
	d.comma = "{"
	for id := range finding.Kinds {
		if n := counts[id]; n.Count > 0 || n.Young > 0 {
			d.begin(id.String())
			d.value(jsonCount{n.Count, n.Bytes, n.Young})
		}
	}
	if d.comma == "{" {
		d.out.WriteByte('{')
	}
	d.out.WriteByte('}')
	d.comma = ",\n "
}

func (d *document) close() error {
	d.out.WriteString("}\n")
	if d.err != nil {
		return d.err
	}
	return d.out.Flush()
}

// stamp writes a time; the zero time is "".
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// listed makes nil an empty list.
func listed(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

type jsonTool struct {
	Version string `json:"version"`
}

type jsonTotals struct {
	Repositories     int   `json:"repositories"`
	Tags             int   `json:"tags"`
	TagsBroken       int   `json:"tags_broken"`
	TagsUnknown      int   `json:"tags_unknown"`
	TagsSchema1      int   `json:"tags_schema1"`
	Revisions        int   `json:"revisions"`
	Untagged         int   `json:"untagged"`
	LayerLinks       int   `json:"layer_links"`
	Blobs            int   `json:"blobs"`
	Bytes            int64 `json:"bytes"`
	ReferencedBlobs  int   `json:"referenced_blobs"`
	ReferencedBytes  int64 `json:"referenced_bytes"`
	ReclaimableBytes int64 `json:"reclaimable_bytes"`
	UntaggedGoing    int   `json:"untagged_reclaimable"`
	UntaggedBytes    int64 `json:"untagged_reclaimable_bytes"`
	Uploads          int   `json:"uploads"`
	CacheAbsent      int   `json:"cache_absent"`
}

func totalsOf(t *graph.Totals) jsonTotals {
	return jsonTotals{
		Repositories: t.Repositories, Tags: t.Tags, TagsBroken: t.TagsBroken, TagsUnknown: t.TagsUnknown, TagsSchema1: t.TagsSchema1,
		Revisions: t.Revisions, Untagged: t.Untagged, LayerLinks: t.LayerLinks,
		Blobs: t.Blobs, Bytes: t.Bytes, ReferencedBlobs: t.ReferencedBlobs, ReferencedBytes: t.ReferencedBytes,
		ReclaimableBytes: t.ReclaimableBytes, UntaggedGoing: t.UntaggedGoing, UntaggedBytes: t.UntaggedBytes,
		Uploads: t.Uploads, CacheAbsent: t.CacheAbsent,
	}
}

type jsonRequests struct {
	List int64 `json:"list"`
	Get  int64 `json:"get"`
	Head int64 `json:"head"`

	Put    int64 `json:"put"`
	Delete int64 `json:"delete"`
}

func requestsOf(c *backend.Cost) jsonRequests {
	return jsonRequests{c.List, c.Get, c.Head, c.Put, c.Delete}
}

type jsonPhase struct {
	Name    string  `json:"name"`
	Count   int64   `json:"count"`
	Unit    string  `json:"unit"`
	Seconds float64 `json:"seconds"`
}

type jsonCost struct {
	Seconds     float64      `json:"seconds"`
	Objects     int64        `json:"objects_listed"`
	Requests    jsonRequests `json:"requests"`
	Calls       int64        `json:"calls"`
	BytesRead   int64        `json:"bytes_read"`
	LinksRead   int64        `json:"links_read"`
	LinksByETag int64        `json:"links_proven_by_etag"`
	Cached      int64        `json:"manifests_cached"`
	Phases      []jsonPhase  `json:"phases"`
}

func (c *Check) costs() jsonCost {
	cost := jsonCost{
		Seconds: c.Finished.Sub(c.Started).Seconds(), Objects: c.Objects,
		Requests: requestsOf(&c.Cost),
		Calls:    c.Cost.Calls, BytesRead: c.Cost.BytesRead,
		LinksRead: c.LinksRead, LinksByETag: c.LinksByETag, Cached: c.ManifestsCached,
		Phases: []jsonPhase{},
	}
	for _, p := range c.Phases {
		cost.Phases = append(cost.Phases, jsonPhase{p.Name, p.Count, p.Unit, p.Duration.Seconds()})
	}
	return cost
}

type jsonCount struct {
	Count int   `json:"count"`
	Bytes int64 `json:"bytes"`
	Young int   `json:"young"`
}

type jsonBroken struct {
	Ref     string   `json:"ref"`
	Because []string `json:"because"`
}

// brokenTags writes a member that lists tags with their reasons.
func (d *document) brokenTags(name string, tags iter.Seq[finding.BrokenTag]) {
	d.open(name)
	for b := range tags {
		if !d.element(jsonBroken{b.Ref(), listed(b.Because)}) {
			break
		}
	}
	d.shut()
}

type jsonFinding struct {
	ID           string   `json:"id"`
	Severity     string   `json:"severity"`
	Path         string   `json:"path"`
	Repository   string   `json:"repository"`
	Tag          string   `json:"tag"`
	Digest       string   `json:"digest"`
	Bytes        int64    `json:"bytes"`
	Modified     string   `json:"modified"`
	Detail       string   `json:"detail"`
	Affects      []string `json:"affects"`
	AffectsCount int      `json:"affects_count"`
	Cure         string   `json:"cure"`
	Young        bool     `json:"young,omitempty"`
}

func findingOf(f *finding.Finding) jsonFinding {
	return jsonFinding{
		ID: f.Kind.String(), Severity: f.Kind.Severity().String(),
		Path: f.Path, Repository: f.Repository, Tag: f.Tag, Digest: f.Digest,
		Bytes: f.Bytes, Modified: stamp(f.Modified), Detail: f.Detail,
		Affects: listed(f.Affects), AffectsCount: f.AffectsCount,
		Cure: string(f.Cure), Young: f.Young,
	}
}

type jsonTally struct {
	Done    int   `json:"done"`
	Skipped int   `json:"skipped"`
	Failed  int   `json:"failed"`
	Bytes   int64 `json:"bytes"`
}

func tallyOf(t apply.Tally) jsonTally { return jsonTally(t) }

type jsonLeft struct {
	Key     string `json:"key"`
	Op      string `json:"op"`
	Finding string `json:"finding"`
	Reason  string `json:"reason"`
	Failed  bool   `json:"failed"`
}
