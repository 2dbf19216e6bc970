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

// forMachines is an answer that has Document's form for machines, and perhaps no other.
type forMachines interface{ Fields() any }

// WriteJSON writes the answer for machines as one JSON document. Every field is there
// that its schema requires, a list is never null, a time is RFC 3339 in UTC or "".
// Lists stream: an element a line, in the order of the answer. The same answer gives
// the same bytes.
func WriteJSON(w io.Writer, d forMachines) error { return document.Write(w, d.Fields()) }

// A document is named in its member "schema": "regfsck.check/1". Its form is the type
// of what Fields returns, and a schema is made from that type, so that it can't say
// anything else.

// documents are the forms of all documents, by the part of their name that people
// type. ls has one for each kind of list.
var documents = []struct {
	name, schema, about string
	forms               []any
}{
	{"check", Schema, "what regfsck check found", []any{checkFields{}}},
	{"shard", ShardSchema, "what regfsck check --shard hashed", []any{shardFields{}}},
	{"dry-run", PlanSchema, "a plan of regfsck fix, rm or prune", []any{planFields{}}},
	{"saved-plan", SavedPlanSchema, "what a plan file holds, as regfsck show names it", []any{savedPlanFields{}}},
	{"apply", RunSchema, "what became of a plan, or of an undo", []any{runFields{}}},
	{"runs", RunsSchema, "the runs that regfsck undo --list names", []any{runsFields{}}},
	{"status", StatusSchema, "what is known of a store without reading it", []any{statusFields{}}},
	{"last-check", LastCheckSchema, "what a state directory keeps of the last check, before a line with its digest", []any{lastCheckFields{}}},
	{"run", PastRunSchema, "what a run of the past did, as its journal says", []any{pastRunFields{}}},
	{"purge", PurgeSchema, "what regfsck purge gave up", []any{purgeFields{}}},
	{"ls", ListSchema, "a list of regfsck ls: repositories, tags, broken tags, or one tag", []any{repositoriesFields{}, tagsFields{}, brokenTagsFields{}, treeFields{}}},
	{"diff", DiffSchema, "what two reports of regfsck check differ in", []any{diffFields{}}},
	{"export", ExportSchema, "which files regfsck export wrote", []any{exportFields{}}},
	{"error", FailureSchema, "why a command has no answer", []any{failureFields{}}},
	{"why", WhySchema, "what keeps a blob or a manifest", []any{whyFields{}}},
	{"version", VersionSchema, "the program itself", []any{programFields{}}},
	{"accept", accept.Schema, "the accepted findings of regfsck check --accept", []any{accept.File{}}},
}

// SchemaNames are the names of the documents that have a schema, each with what it is.
func SchemaNames() (all [][2]string) {
	for _, d := range documents {
		all = append(all, [2]string{d.name, d.about})
	}
	return all
}

// SchemaOf returns the JSON Schema of a document. ok is false where there is none of
// that name.
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

// ofPeople makes the schema one of the accepted findings, which people write: members that it
// doesn't have are refused.
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

// The parts that documents have in common.

// headFields are those with which every document begins.
type headFields struct {
	Schema string     `json:"schema"`
	Tool   toolFields `json:"tool"`
	Target string     `json:"target"`
}

// timedFields are those of an answer to something that took its time.
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
	Charged     bool          `json:"requests_cost,omitempty"` // the store is one whose requests cost
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

// askedFields is what a change asked of a store where that costs.
type askedFields struct {
	Requests backend.Cost `json:"requests"`
}

func askedOf(requests bool, c backend.Cost) *askedFields {
	if !requests {
		return nil
	}
	return &askedFields{c}
}

// countsOf are the kinds that were found, in their order.
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
	Ask      finding.Kind    `json:"decision,omitempty"` // the finding whose cure waits for a decision and keeps it from being pulled
	Accepted bool            `json:"accepted,omitempty"` // so is each finding that breaks it
}

// reasonFields are why a tag can't be pulled, or could not be judged.
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
	From         string   `json:"from,omitempty"` // of a cure that copies a blob: the source
	Young        bool     `json:"young,omitempty"`
	Withdrawn    bool     `json:"withdrawn,omitempty"` // every image that needs it is withdrawn, as was asked for

	Accepted *acceptedFields `json:"accepted,omitempty"` // by an entry of --accept
}

// acceptedFields are the entry by which a finding is accepted.
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
