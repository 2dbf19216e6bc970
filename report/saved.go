package report

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/graph"
	"regfsck/graph/apply"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/plan"
	"regfsck/graph/usage"
	"regfsck/report/accept"
	"regfsck/report/changes"
	"regfsck/report/document"
	"regfsck/report/exitcode"
	"regfsck/report/view"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// ReadSaved reads a JSON document of check, a plan, apply, undo or ls, to show it as the
// command did. What the document lacks, such as the usage, the answer lacks too. If it is
// another document, the error names that document, or what is wrong.
func ReadSaved(r io.Reader) (Document, error) {
	bounded := &io.LimitedReader{R: r, N: maxPast + 1}
	in := bufio.NewReaderSize(bounded, maxHead)
	head, _ := in.Peek(maxHead) // an error recurs when it is read
	d, err := savedAs(head, in)
	if bounded.N <= 0 {
		return nil, fmt.Errorf("it is bigger than %s", words.Size(maxPast))
	}
	return d, err
}

// maxHead is how many bytes of a document are read to find its schema.
const maxHead = 1 << 16

// savedAs reads a document that begins with head.
func savedAs(head []byte, all io.Reader) (Document, error) {
	name, list := FormOf(head)
	if name == "" || name == ListSchema { // the members may be in another order
		text, err := io.ReadAll(all)
		if err != nil {
			return nil, err
		}
		name, list = FormOf(text)
		all = bytes.NewReader(text)
	}
	switch name {
	case Schema:
		return savedOf(all, (*checkFields).saved)
	case PlanSchema:
		return savedOf(all, (*planFields).saved)
	case RunSchema:
		return savedOf(all, (*runFields).saved)
	case ListSchema:
		switch list {
		case "repositories":
			return savedOf(all, (*repositoriesFields).saved)
		case "tags":
			return savedOf(all, (*tagsFields).saved)
		case "broken_tags":
			return savedOf(all, (*brokenTagsFields).saved)
		}
		return savedOf(all, (*treeFields).saved)
	case "":
		return nil, errors.New("no report of regfsck: it is no JSON that begins with a schema")
	}
	form, _, _ := strings.Cut(name, "/")
	for _, known := range append(words.All(documents, func(d documentType) string { return d.schema }), plan.Schema) {
		switch {
		case known == name:
			return nil, fmt.Errorf("it is a document of the form %s, but show needs a report of check, fix, rm, prune, apply, undo or ls", name)
		case strings.HasPrefix(known, form+"/"):
			return nil, fmt.Errorf("it has the form %s, which another version of regfsck wrote; this one knows %s", name, known)
		}
	}
	return nil, fmt.Errorf("no report of regfsck: its schema is %q", name)
}

// savedOf reads a document and converts it to an answer.
func savedOf[F any](all io.Reader, of func(*F) (Document, error)) (Document, error) {
	var fields F
	if err := document.Read(all, &fields); err != nil {
		if errors.Is(err, finding.ErrUnknown) {
			return nil, fmt.Errorf("another version of regfsck wrote it: %w", err)
		}
		return nil, fmt.Errorf("the report is damaged: %w", err)
	}
	return of(&fields)
}

// FormOf returns the schema of a document, "" for none. list is the kind of list of ls, by a
// member that only it has.
func FormOf(doc []byte) (schema, list string) {
	d := json.NewDecoder(bytes.NewReader(doc))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", ""
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			break
		}
		switch name, _ := t.(string); name {
		case "schema":
			if d.Decode(&schema) != nil {
				return "", ""
			}
			if schema != ListSchema {
				return schema, ""
			}
			continue
		case "repositories", "tags", "broken_tags", "tree":
			list = name
		}
		var passed json.RawMessage
		if d.Decode(&passed) != nil {
			break
		}
	}
	return schema, list
}

// saved parses the time of a document; zero for none.
func saved(stamp string) time.Time {
	at, _ := time.Parse(time.RFC3339, stamp)
	return at
}

// span returns when something began and ended that took so many seconds; documents have whole
// seconds only.
func (t *timedFields) span(seconds float64) (started, finished time.Time) {
	started, finished = saved(t.Started), saved(t.Finished)
	if took := duration(seconds); took > 0 {
		started = started.Add(max(0, finished.Sub(started)-took))
		finished = started.Add(took)
	}
	return started, finished
}

func duration(seconds float64) time.Duration {
	return time.Duration(math.Round(seconds * float64(time.Second)))
}

// own returns a text of the program in a document. Views print it unescaped, so it is
// checked.
func own(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return words.Clean(s)
	}
	return s
}

// phasesIn returns the phases of a document.
func phasesIn(all []phaseFields) (phases []graph.Phase) {
	for _, p := range all {
		phases = append(phases, graph.Phase{Name: own(p.Name), Count: p.Count, Unit: own(p.Unit), Duration: duration(p.Seconds)})
	}
	return phases
}

// check returns the common part of documents with a check.
func (t *timedFields) check(cost *costFields, e *examinedFields) Check {
	c := Check{Version: t.Tool.Version, Target: t.Target, Result: &check.Result{}, Repeat: []string{t.Target}, Fix: []string{t.Target}, tool: &t.Tool}
	c.Started, c.Finished = t.span(cost.Seconds)
	c.Cost = cost.Requests
	c.Cost.Calls, c.Cost.BytesRead, c.Cost.LinksProven = cost.Calls, cost.BytesRead, cost.LinksByETag
	c.Requests, c.Objects, c.LinksRead, c.LinksByETag, c.ManifestsCached = cost.Charged, cost.Objects, cost.LinksRead, cost.LinksByETag, cost.Cached
	c.Phases = phasesIn(cost.Phases)
	c.FailOn = finding.Error
	for s := finding.Fatal; s <= finding.Garbage; s++ {
		if s.String() == e.FailOn {
			c.FailOn = s
		}
	}
	e.Again.to(&c)
	c.Result.Cache, c.Result.Interrupted = e.Cache, e.Interrupted
	c.Listing, c.silent = e.Listing, e.After == nil
	if e.After != nil {
		c.Result.Totals.Prospect = *e.After
	}
	return c
}

// to sets a check's arguments of suggested commands.
func (a *againFields) to(c *Check) {
	if a != nil && len(a.Same) > 0 {
		c.Repeat, c.Reach, c.Fix = a.Same, a.Reach, a.Fix
	}
}

// found sets what was found.
func (c *Check) found(totals check.Totals, counts iter.Seq2[string, finding.Count], healing *healingFields, findings iter.Seq[findingFields], broken, unknown iter.Seq[brokenFields]) error {
	r := c.Result
	totals.Prospect = r.Totals.Prospect
	r.Totals = totals
	if healing != nil {
		r.Sources, r.Totals.SpareHeals = healing.Sources, healing.Spare
	}
	for name, n := range counts {
		kind, err := kindOf(name)
		if err != nil {
			return err
		}
		if kind < finding.NumKinds {
			r.Counts[kind] = n
		}
	}
	all := []finding.Finding{}
	for f := range findings {
		kind, err := kindOf(f.ID)
		if err != nil {
			return err
		}
		is := finding.Finding{
			Kind: kind, Path: f.Path, Repository: f.Repository, Tag: f.Tag, Digest: f.Digest, Bytes: f.Bytes, Modified: saved(f.Modified), Detail: f.Detail,
			Affects: f.Affects, AffectsCount: f.AffectsCount, Cure: finding.Cure(f.Cure), InGrace: f.Young, Withdrawn: f.Withdrawn,
		}
		if is.Cure == finding.CureHeal {
			is.Blob = &finding.Blob{From: f.From}
		}
		all = append(all, is)
	}
	r.Findings = slices.Values(all)
	r.Broken, r.Unknown = slices.Values(brokenTagsOf(broken)), slices.Values(brokenTagsOf(unknown))
	return nil
}

// kindOf returns the kind of findings of that name.
func kindOf(name string) (finding.Kind, error) {
	kind, ok := finding.Parse(name)
	if !ok {
		return kind, unknownKind(name)
	}
	return kind, nil
}

func unknownKind(name string) error {
	return fmt.Errorf("another version of regfsck wrote it: it has findings %q, which this one doesn't know", name)
}

func brokenTagsOf(all iter.Seq[brokenFields]) []finding.BrokenTag {
	tags := []finding.BrokenTag{}
	for b := range all {
		repository, tag, _ := strings.Cut(b.Ref, ":")
		tags = append(tags, finding.BrokenTag{Repository: repository, Tag: tag, Because: becauseOf(b.Because), Outlook: b.Outlook, Ask: b.Ask})
	}
	return tags
}

func becauseOf(reasons []reasonFields) []string {
	return words.All(reasons, func(r reasonFields) string { return strings.TrimSuffix(r.ID+" "+r.Path, " ") })
}

func (d *checkFields) saved() (Document, error) {
	c := d.check(&d.Cost, &d.examinedFields)
	err := c.found(d.Totals, d.Counts, d.Healing, d.Findings, d.BrokenTags, d.UnknownTags)
	if err != nil {
		return nil, err
	}
	c.Exit = exitcode.Code(d.Exit.Code)
	r := c.Result
	r.Complete, r.Notes, c.Replicas = d.Complete, d.Notes, d.Replicas
	c.Looked = Looked(d.Looked)
	c.Looked.Verify = own(d.Looked.Verify)
	r.Proofs = (*graph.Proofs)(d.Proofs)
	if d.Unproven != nil {
		r.Unproven = slices.Values(slices.Collect(d.Unproven))
	}
	c.Since = d.since()
	if c.Accepted, err = d.Accepted.set(c.Started); err != nil {
		return nil, fmt.Errorf("the report is damaged: %w", err)
	}
	c.Accepted.Tally(r.Findings, r.Broken)
	return &c, nil
}

// set returns what was accepted; nil for nothing.
func (f *acceptanceFields) set(now time.Time) (*accept.Set, error) {
	if f == nil {
		return nil, nil
	}
	var rules []accept.Rule
	for _, e := range f.Entries {
		r, err := accept.NewRule(e.Entry, e.File, e.Line, now)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Where(), err)
		}
		r.Expired = e.State == string(ruleExpired)
		rules = append(rules, r)
	}
	return accept.New(rules)
}

// since returns the earlier report that a check was compared with, as far as it differs; nil
// for none.
func (d *checkFields) since() *Past {
	s := d.Since
	if s == nil {
		return nil
	}
	p := &Past{Schema: Schema, sideFields: s.Old}
	added := map[string]bool{}
	for i := range s.Added {
		added[s.Added[i].same()] = true
	}
	for f := range d.Findings {
		if !added[f.same()] {
			p.Findings = append(p.Findings, f)
		}
	}
	p.Findings = slices.Concat(p.Findings, s.Gone, s.Unsought)
	for b := range d.BrokenTags {
		if !slices.Contains(s.Broke, b.Ref) {
			p.Broken = append(p.Broken, b)
		}
	}
	for _, ref := range s.Healed {
		p.Broken = append(p.Broken, brokenFields{Ref: ref})
	}
	return p
}

func (d *planFields) saved() (Document, error) {
	c := d.check(&d.Cost, &d.examinedFields)
	err := c.found(d.Totals, d.Counts, d.Healing, d.Findings, d.BrokenTags, d.UnknownTags)
	p := &Plan{
		Check: c, Command: own(d.Command), File: d.File, Plan: &plan.Plan{}, Unfinished: d.Unfinished, UnfinishedPlan: d.Completes, State: d.Undo.State, NoUndo: d.Undo.Why,
		Refusals: slices.Collect(d.Refusals), saved: &savedPlan{d.Going, d.Shares, d.Repairs, d.Removals},
	}
	if err == nil {
		p.Plan.Steps, err = stepsOf(d.Steps, d.Plan)
	}
	if err == nil {
		err = d.Plans.to(&p.Policy)
	}
	if err != nil {
		return nil, err
	}
	r := p.Result
	p.Exit, p.Noun = exitcode.Code(d.Exit.Code), own(d.Noun)
	r.Complete, r.Notes, r.Totals.LostImages, r.Totals.MoreLost, r.Policy = r.Counts[finding.StoreUnreadable].Count == 0, d.Notes, d.LostImages.Count, d.LostImages.AtLeast, p.Policy
	if d.Again != nil {
		p.Apply = d.Again.Apply
	}
	for _, all := range [][]changes.Named{d.Repairs, d.Removals} {
		for i := range all {
			all[i].What = own(all[i].What)
		}
	}
	for i := range d.Shares {
		d.Shares[i].Name = own(d.Shares[i].Name)
	}
	for b := range d.Bereft {
		subject, _ := layout.ParseDigest(b.Subject)
		r.OrphanedReferrers = append(r.OrphanedReferrers, check.OrphanedReferrer{Repository: b.Repository, Tag: b.Tag, Subject: subject})
	}
	p.Retention = retainedIn(d.Tags)
	if d.Described != nil {
		for _, v := range d.Described {
			is := backend.Description(v)
			is.Keeping = own(v.Keeping)
			p.Versions = &is
		}
	}
	return p, nil
}

// to sets a policy.
func (f *planPolicyFields) to(p *gc.Policy) error {
	if f.Removal {
		p.Removal = &gc.Removal{}
	}
	var also, skip string
	p.Also, also = finding.SetOf(f.Also)
	p.Skip, skip = finding.SetOf(f.Skip)
	if unknown := cmp.Or(also, skip); unknown != "" {
		return unknownKind(unknown)
	}
	return nil
}

// stepsOf returns the steps of a plan, checked against its id.
func stepsOf(all iter.Seq[*plan.Step], id string) ([]plan.Step, error) {
	p := plan.Plan{}
	for s := range all {
		if s == nil || s.Key == "" {
			return nil, errors.New("the report is damaged: it has a step without a key")
		}
		p.Steps = append(p.Steps, *s)
	}
	if p.ID() != id {
		return nil, fmt.Errorf("the report was edited, or is damaged: its steps are not those of plan %s", words.Clean(id))
	}
	return p.Steps, nil
}

// retainedIn returns the decisions of a retention policy in a document; nil for none.
func retainedIn(all iter.Seq[retainedFields]) (kept []Retained) {
	if all == nil {
		return nil
	}
	kept = []Retained{}
	for r := range all {
		kept = append(kept, Retained{
			Repository: r.Repository, Tag: r.Tag, Digest: r.Digest, Keep: r.Keep, Rules: r.Rules, Why: r.Why, Subject: r.Subject, Date: saved(r.Date), By: own(r.By), Note: r.Note,
		})
	}
	return kept
}

func (d *runFields) saved() (Document, error) {
	o := &apply.Outcome{
		Run: d.Run, Plan: d.Plan, Resumed: d.Resumed, Interrupted: d.Interrupted, Phases: phasesIn(d.Phases), Counts: map[finding.Kind]apply.Tally{}, Steps: d.Totals, Directories: d.Directories,
		Freed: d.Freed, Kept: d.Kept, Keep: d.CanUndo, RemovedLater: d.RemovedLater, RemovedElsewhere: slices.Collect(d.Elsewhere), Damage: d.Damage, Strays: d.Strays, Healed: (*apply.Healed)(d.Healing),
	}
	r := &Run{
		Version: d.Tool.Version, Command: own(d.Command), Target: d.Target, Store: d.Store, Outcome: o, State: d.State, Disk: d.Disk, KeptAs: own(d.KeptAs), Forgotten: d.Forgotten, After: d.After,
		Unread: d.Notes, Exit: exitcode.Code(d.Exit.Code), saved: &savedRun{d.Tool, words.All(d.BeforePushes, own)},
	}
	if len(r.Store) == 0 {
		r.Store = []string{d.Target}
	}
	r.Started, r.Finished = d.span(d.Seconds)
	if d.Cost != nil {
		r.Requests, r.Cost = true, d.Cost.Requests
	}
	for name, n := range d.Counts {
		kind, err := finding.None, error(nil)
		if name != KindName(finding.None) {
			kind, err = kindOf(name)
		}
		if err != nil {
			return nil, err
		}
		o.Counts[kind] = n
	}
	for l := range d.NotDone {
		kind, _ := finding.Parse(l.Finding)
		step := plan.Step{Op: plan.Op(l.Op), Kind: plan.Kind(l.Kind), Key: l.Key, Finding: kind, Repository: l.Repository, Tag: l.Tag, Digest: l.Digest, Bytes: l.Bytes}
		o.NotDone = append(o.NotDone, apply.NotDone{Step: step, Reason: l.Reason, Failed: l.Failed})
	}
	if d.Steps != nil {
		steps, err := stepsOf(d.Steps, d.Plan)
		if err != nil {
			return nil, err
		}
		r.Plan = &plan.Plan{Steps: steps}
	}
	r.Retention = retainedIn(d.Tags)
	return r, nil
}

// list returns the common part of documents of ls.
func (d *listFields) list(foot *footFields) List {
	c := d.check(&costFields{}, &examinedFields{Again: d.Again})
	c.Result.Complete, c.Result.Notes, c.Exit = d.Complete, d.Notes, exitcode.Code(foot.Exit.Code)
	if d.Database {
		c.Result.Doubts.Database = "the report"
	}
	return List{Check: c, All: foot.Rows, Cut: OnTerminal}
}

func (d *repositoriesFields) saved() (Document, error) {
	r := &RepositoryList{List: d.list(&d.footFields), Shared: d.Totals.Shared}
	r.Result.Totals = check.Totals{Repositories: d.Totals.Repositories, Bytes: d.Totals.Bytes}
	r.Result.Counts[finding.BlobOrphan] = finding.Count{Bytes: d.Totals.Garbage, InGrace: d.Totals.Young}
	for f := range d.Repositories {
		r.Rows = append(r.Rows, f.repository())
	}
	return r, nil
}

func (f *repositoryFields) repository() usage.RepositoryUsage {
	return usage.RepositoryUsage{
		Name: f.Name, Tags: f.Tags, Broken: f.Broken, Manifests: f.Manifests, Own: f.Own, Shared: f.Shared, Uploads: f.Uploads, Pushed: saved(f.Pushed),
	}
}

func (d *tagsFields) saved() (Document, error) {
	t := &TagList{List: d.list(&d.footFields), Repository: d.Repository.repository(), Pinned: d.Pinned}
	for f := range d.Tags {
		t.Rows = append(t.Rows, f.row())
	}
	return t, nil
}

func (f *tagFields) row() TagRow {
	return TagRow{
		TagUsage: usage.TagUsage{
			Name: f.Tag, Digest: f.Digest, Size: f.Size, Own: f.Own, Pushed: saved(f.Pushed), Referrers: f.Referrers, Because: becauseOf(f.Because),
		},
		Form: manifest.Form(own(f.Kind)), ArtifactType: f.ArtifactType, Platforms: f.Platforms, Created: saved(f.Created), Signatures: f.Signatures, Others: f.Others,
	}
}

func (d *brokenTagsFields) saved() (Document, error) {
	b := &BrokenList{List: d.list(&d.footFields), Rows: brokenTagsOf(d.BrokenTags), Unknown: brokenTagsOf(d.UnknownTags), Repository: d.Repository}
	return b, nil
}

func (d *treeFields) saved() (Document, error) {
	t := &TagTree{List: d.list(&d.footFields), Repository: d.Repository, Pinned: d.Pinned, Tag: d.Tag.row(), Words: map[string]string{}}
	t.Tree = d.Tree.node(t.Words)
	return t, nil
}

// node converts a node of a tree; the kinds of manifests are added to words.
func (f *nodeFields) node(words map[string]string) usage.Node {
	n := usage.Node{Digest: f.Digest, Role: usage.Role(f.Role), Size: f.Size, Broken: own(f.Broken), Again: f.Again}
	if f.Kind != "" {
		words[f.Digest] = f.Kind
	}
	for i := range f.Children {
		n.Children = append(n.Children, f.Children[i].node(words))
	}
	return n
}

// SavedPlanSchema is the name and version of the document of a plan file.
const SavedPlanSchema = "regfsck.saved-plan/1"

// SavedPlan is a plan file, without a scan of the store.
type SavedPlan struct {
	Version string
	File    string
	Header  plan.Header
	Plan    *plan.Plan
}

// AsPlan returns the plan without a scan.
func (s *SavedPlan) AsPlan() *Plan { return planOfSteps(s.Header.Command, s.Header.Target, s.Plan) }

// planOfSteps returns a plan of which only the steps are known.
func planOfSteps(command, target string, steps *plan.Plan) *Plan {
	p := &Plan{Command: command, Plan: steps, Check: Check{Target: target, Repeat: []string{target}, Result: &check.Result{
		Findings: slices.Values([]finding.Finding(nil)), Broken: slices.Values([]finding.BrokenTag(nil)), Unknown: slices.Values([]finding.BrokenTag(nil)),
	}}}
	if command == "rm" || command == "prune" {
		p.Policy.Removal = &gc.Removal{}
	}
	return p
}

// View returns what the plan repairs and removes, and how it was made.
func (s *SavedPlan) View(o view.Options) view.View {
	p := s.AsPlan()
	return p.text(o, func(t *planText) {
		t.Rest = "regfsck show --json has all of them"
		t.title(t.Paint(view.Bold, "regfsck "+words.Clean(s.Header.Command)), "  ", words.Clean(s.Header.Target))
		t.Para(1, "A saved plan, made "+document.Time(s.Header.Made)+" by regfsck "+words.Clean(s.Header.Tool)+": "+words.Clean(commandOf(s.words()...)))
		t.changes()
		t.sums()
		t.Para(0, "The file has only the steps. regfsck apply shows what is kept, and whether the plan would be refused today.")
		t.Gap()
		t.planned()
		if len(s.Plan.Steps) > 0 {
			t.Commands([][2]string{{commandOf("apply", s.File), "applies this plan"}})
		}
	})
}

// words returns the command that the plan was made with, as far as the file has it.
func (s *SavedPlan) words() []string {
	return append([]string{s.Header.Command, s.Header.Target}, s.Header.Flags()...)
}

// Short returns the plan in one line.
func (s *SavedPlan) Short(o view.Options) view.View { return s.AsPlan().Short(o) }

// savedPlanFields is the document of a plan file.
type savedPlanFields struct {
	headFields
	File     string               `json:"file"`
	Command  string               `json:"command"`
	Made     string               `json:"made"`
	MadeBy   string               `json:"made_by"`   // the program's version
	Again    []string             `json:"arguments"` // of the command that made it, as far as the file has them
	Plan     string               `json:"plan"`
	Going    plan.Totals          `json:"going"`
	Sums     iter.Seq[sumFields]  `json:"sums"`
	Repairs  []changes.Named      `json:"repairs"`
	Removals []changes.Named      `json:"removals"`
	Steps    iter.Seq[*plan.Step] `json:"steps"`
	Exit     exitFields           `json:"exit"`
}

// Fields returns the document.
func (s *SavedPlan) Fields() any {
	p := s.AsPlan()
	return savedPlanFields{
		headFields{SavedPlanSchema, toolOf(s.Version), s.Header.Target}, s.File, s.Header.Command, document.Time(s.Header.Made), s.Header.Tool, s.words(), s.Plan.ID(), s.Plan.Totals(), p.sumFields(),
		document.List(p.repairs()), document.List(p.removals()), document.Each(s.Plan.Steps, func(s *plan.Step) *plan.Step { return s }), exitOf(0),
	}
}
