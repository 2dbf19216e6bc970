package report

import (
	"io"
	"iter"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/report/accept"
	"regfsck/report/document"
	"regfsck/report/exitcode"
)

// forMachines is an answer with a JSON document.
type forMachines interface{ Fields() any }

// WriteJSON writes an answer as one JSON document. Required fields are always present, a list
// is never null, a time is RFC 3339 in UTC or "". Lists are streamed, an element a line. The
// same answer gives the same bytes.
func WriteJSON(w io.Writer, d forMachines) error { return document.Write(w, d.Fields()) }

// A document has its name in the member "schema": "regfsck.check/1". The schema is generated
// from the type that Fields returns.

// documentType is a type of documents, with its short name. ls has a form for each kind of
// list.
type documentType struct {
	name, schema, about string
	forms               []any
}

// documents are the types of all documents.
var documents = []documentType{
	{"check", Schema, "what regfsck check found", []any{checkFields{}}},
	{"shard", ShardSchema, "what regfsck check --shard hashed", []any{shardFields{}}},
	{"dry-run", PlanSchema, "a plan of regfsck fix, rm or prune", []any{planFields{}}},
	{"saved-plan", SavedPlanSchema, "what a plan file holds, as regfsck show names it", []any{savedPlanFields{}}},
	{"apply", RunSchema, "what became of a plan, or of an undo", []any{runFields{}}},
	{"runs", RunsSchema, "the runs that regfsck undo --list names", []any{runsFields{}}},
	{"status", StatusSchema, "what is known about a store without reading it", []any{statusFields{}}},
	{"last-check", LastCheckSchema, "what a state directory keeps of the last check, before a line with its digest", []any{lastCheckFields{}}},
	{"run", PastRunSchema, "what an earlier run did, according to its journal", []any{pastRunFields{}}},
	{"purge", PurgeSchema, "what regfsck purge gave up", []any{purgeFields{}}},
	{"ls", ListSchema, "a list of regfsck ls: repositories, tags, broken tags, or one tag", []any{repositoriesFields{}, tagsFields{}, brokenTagsFields{}, treeFields{}}},
	{"diff", DiffSchema, "what two reports of regfsck check differ in", []any{diffFields{}}},
	{"export", ExportSchema, "which files regfsck export wrote", []any{exportFields{}}},
	{"error", FailureSchema, "why a command has no answer", []any{failureFields{}}},
	{"why", WhySchema, "what keeps a blob or a manifest", []any{whyFields{}}},
	{"version", VersionSchema, "the program itself", []any{programFields{}}},
	{"accept", accept.Schema, "the accepted findings of regfsck check --accept", []any{accept.File{}}},
}

// SchemaNames returns the names of the documents, each with a description.
func SchemaNames() (all [][2]string) {
	for _, d := range documents {
		all = append(all, [2]string{d.name, d.about})
	}
	return all
}

// SchemaOf returns the JSON Schema of a document; ok reports whether there is one.
func SchemaOf(name string) (text []byte, ok bool) {
	for _, d := range documents {
		if d.name == name {
			whole := document.New(d.schema, d.about, d.forms)
			if d.schema == accept.Schema {
				ofPeople(whole)
			}
			return whole.Text(), true
		}
	}
	return nil, false
}

// ofPeople makes the schema strict, for files that people write: unknown members are refused.
func ofPeople(s *document.Schema) {
	entry := s.Defs["acceptEntry"]
	s.Description = "A YAML file of " + strings.TrimPrefix(s.Description[:strings.Index(s.Description, ". ")], "The document is ") + ": regfsck help accepted."
	nothing := &document.Schema{Not: &document.Schema{}}
	s.Others, entry.Others = nothing, nothing
	for id := range finding.Kinds {
		if id.Severity() != finding.Fatal {
			entry.Properties["id"].Enum = append(entry.Properties["id"].Enum, id.String())
		}
	}
	entry.Properties["reason"].Pattern, entry.Properties["until"].Pattern = `\S`, `^\d{4}-\d{2}-\d{2}$`
	entry.OneOf = []*document.Schema{{Required: []string{"key"}}, {Required: []string{"glob"}}}
}

// Common parts of documents.

// headFields are the first members of every document.
type headFields struct {
	Schema string     `json:"schema"`
	Tool   toolFields `json:"tool"`
	Target string     `json:"target"`
}

// timedFields are those of an answer with a duration.
type timedFields struct {
	headFields
	Started  string `json:"started"`
	Finished string `json:"finished"`
}

func timed(schema, version, target string, started, finished time.Time) timedFields {
	return timedFields{headFields{schema, toolOf(version), target}, document.Time(started), document.Time(finished)}
}

type exitFields struct {
	Code int      `json:"code"`
	Bits []string `json:"bits"`
}

func exitOf(e exitcode.Code) exitFields { return exitFields{int(e), e.Names()} }

type phaseFields struct {
	Name    string  `json:"name"`
	Count   int64   `json:"count"`
	Unit    string  `json:"unit"`
	Seconds float64 `json:"seconds"`
}

type costFields struct {
	Seconds     float64       `json:"seconds"`
	Objects     int64         `json:"objects_listed"`
	Requests    backend.Cost  `json:"requests"`
	Calls       int64         `json:"calls"`
	BytesRead   int64         `json:"bytes_read"`
	LinksRead   int64         `json:"links_read"`
	LinksByETag int64         `json:"links_proven_by_etag"`
	Cached      int64         `json:"manifests_cached"`
	Charged     bool          `json:"requests_cost,omitempty"` // requests to the store cost money
	Phases      []phaseFields `json:"phases"`
}

func (c *Check) costs() costFields {
	return costFields{
		Seconds: c.Finished.Sub(c.Started).Seconds(), Objects: c.Objects,
		Requests: c.Cost, Calls: c.Cost.Calls, BytesRead: c.Cost.BytesRead,
		LinksRead: c.LinksRead, LinksByETag: c.LinksByETag, Cached: c.ManifestsCached, Charged: c.Requests,
		Phases: phasesOf(c.Phases),
	}
}

func phasesOf(phases []graph.Phase) []phaseFields {
	all := []phaseFields{}
	for _, p := range phases {
		all = append(all, phaseFields{p.Name, p.Count, p.Unit, p.Duration.Seconds()})
	}
	return all
}

// askedFields are the requests to a store if these cost money.
type askedFields struct {
	Requests backend.Cost `json:"requests"`
}

func askedOf(requests bool, c backend.Cost) *askedFields {
	if !requests {
		return nil
	}
	return &askedFields{c}
}

// countsOf yields the kinds that were found, in order.
func countsOf(counts *[finding.NumKinds]finding.Count) iter.Seq2[string, finding.Count] {
	return func(yield func(string, finding.Count) bool) {
		for id := range finding.Kinds {
			if n := counts[id]; (n.Count > 0 || n.InGrace > 0) && !yield(id.String(), n) {
				return
			}
		}
	}
}

type brokenFields struct {
	Ref      string          `json:"ref"`
	Because  []reasonFields  `json:"because"`
	Outlook  finding.Outlook `json:"outlook,omitempty"`  // what it needs to be pulled again
	Ask      finding.Kind    `json:"decision,omitempty"` // the finding that blocks it and needs a decision
	Accepted bool            `json:"accepted,omitempty"` // each finding that blocks it is accepted
}

// reasonFields is a reason why a tag can't be pulled or judged.
type reasonFields struct {
	ID   string `json:"id"`   // of the finding, or "changed"
	Path string `json:"path"` // the finding's
}

func brokenOf(b finding.BrokenTag) brokenFields {
	return brokenFields{Ref: b.Ref(), Because: reasonsOf(b.Because), Outlook: b.Outlook, Ask: b.Ask}
}

func reasonsOf(because []string) []reasonFields {
	all := []reasonFields{}
	for _, why := range because {
		id, path, _ := strings.Cut(why, " ")
		all = append(all, reasonFields{id, path})
	}
	return all
}

type findingFields struct {
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
	From         string   `json:"from,omitempty"` // of a copy: the source
	Young        bool     `json:"young,omitempty"`
	Withdrawn    bool     `json:"withdrawn,omitempty"` // every image that needs it is withdrawn, as requested

	Accepted *acceptedFields `json:"accepted,omitempty"` // by an entry of --accept
}

// acceptedFields is the entry that accepts a finding.
type acceptedFields struct {
	Reason string `json:"reason"`
	Until  string `json:"until"` // the last day, or ""
	File   string `json:"file"`
	Line   int    `json:"line"`
}

func findingOf(f finding.Finding) findingFields {
	is := findingFields{
		ID: f.Kind.String(), Severity: f.Kind.Severity().String(),
		Path: f.Path, Repository: f.Repository, Tag: f.Tag, Digest: f.Digest,
		Bytes: f.Bytes, Modified: document.Time(f.Modified), Detail: f.Detail,
		Affects: document.List(f.Affects), AffectsCount: f.AffectsCount,
		Cure: string(f.Cure), Young: f.InGrace, Withdrawn: f.Withdrawn,
	}
	if f.Blob != nil {
		is.From = f.Blob.From
	}
	return is
}
