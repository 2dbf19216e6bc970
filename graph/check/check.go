// Package check says what is wrong with a registry's storage.
//
// Store reads one and checks it; Run checks one that has been read. Package gc marks
// what is kept, repository by repository, and this package goes over what was marked, in
// the order in which it was followed, and reports what keeps a tag from being pulled,
// what of that can be rebuilt or healed, and what nothing needs. It decides of nothing
// whether it is kept.
//
// A finding is a problem while it is made, by ids and without strings: there can be
// millions. Everything that is said to be absent or bad is looked at once more before it
// is reported; where the store says otherwise then, it is read on and judged again.
package check

import (
	"context"
	"fmt"
	"strings"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
)

// Options say how a store is read and judged.
type Options struct {
	graph.Options
	gc.Policy

	// Choose is called once the store is read, and says what is to be removed: the Policy's
	// Removal. An error of it is the check's, as it is. nil leaves the Policy alone.
	Choose func(*graph.Scan) (*gc.Removal, error)
}

// Store reads a store and judges it. It changes nothing. An error means that
// nothing can be said: the listing can't be trusted, or ctx has ended, but for what
// Options.Partial says. The phases that have ended are returned in any case.
func Store(ctx context.Context, r backend.Reader, o Options) (*Result, []graph.Phase, error) {
	s, err := graph.Read(ctx, r, o.Options)
	if s.Stopped { // what was read is judged all the same, and nothing is waited for
		ctx, s.Wait = context.WithoutCancel(ctx), nil
	}
	if err == nil {
		err = s.ReadRules(ctx)
	}
	if err == nil && o.Choose != nil {
		o.Removal, err = o.Choose(s)
	}
	if err != nil {
		return nil, s.Phases(), err
	}
	result, lost, err := run(ctx, s, o.Policy)
	if err == nil {
		weighUntagged(s, o.Policy, lost, result)
	}
	return result, s.Phases(), err
}

// Run judges a store that has been read, and looks again at every key that seems
// to be absent or broken. It can be called more than once.
func Run(ctx context.Context, s *graph.Scan, p gc.Policy) (*Result, error) {
	r, _, err := run(ctx, s, p)
	return r, err
}

func run(ctx context.Context, s *graph.Scan, p gc.Policy) (*Result, *lostImages, error) {
	var j *checker
	err := s.Phase(ctx, "judge", "problems", func(ctx context.Context) (err error) {
		j, err = settled(ctx, s, p)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	result := describer{j}.result(notes(s, removalRules{j}.judged()[0]))
	if s.Ledger != nil {
		result.Proofs = &s.Proofs
		if s.Prove && s.Proofs.Unproven.Blobs > 0 {
			result.Unproven = s.Unproven()
		}
	}
	j.release()
	result.Sources = j.AskedSources(&s.Options)
	result.Complete = result.Complete && !s.Stopped
	result.Scan, result.Policy, result.Cache, result.Doubts.Database = s, p, s.Cache, s.InDatabase
	return result, j.lost, nil
}

// termsOf adds to a policy what the store itself asks for.
func termsOf(s *graph.Scan, p gc.Policy) terms {
	return terms{
		gc.TermsOf(s, p),
		options{sourceLinks: s.Copied, uploadsAfter: s.Now.Add(-s.UploadsOlderThan).UnixNano(), allAffects: s.AllAffects},
	}
}

// asksSources reports whether sources are asked for what is missing or corrupt.
func (p *terms) asksSources(s *graph.Scan) bool {
	return len(s.Sources()) > 0 && !p.Cache && p.Removal == nil
}

// settled judges the graph, looks again at all that seems to be absent or
// broken, and judges once more where the store has changed, a few times.
func settled(ctx context.Context, s *graph.Scan, asked gc.Policy) (*checker, error) {
	p := termsOf(s, asked)
	p.Seeking = p.asksSources(s)
	for round := 1; ; round++ {
		if err := s.Graph.Fits(); err != nil {
			return nil, err
		}
		j := judge(s.Graph, p)
		s.Count = int64(len(j.problems))
		places, harmful := j.suspected()
		amended, err := s.Recheck(ctx, places, harmful, round > maxRounds)
		switch {
		case err != nil:
			return j, err
		case amended && round > maxRounds:
			p.lost, p.Seeking = nil, false
			return judge(s.Graph, p), nil
		case amended:
			p.lost = nil
			if err := s.ReadMore(ctx); err != nil {
				return nil, err
			}
			continue
		}
		again, err := j.readOn(ctx, s, &p)
		if err != nil {
			return j, err
		}
		if again {
			round--
			continue
		}
		waited, err := s.AwaitChanges(ctx)
		if err != nil || !waited {
			return j, err
		}
		round = 0
	}
}

// maxRounds bounds how often a check looks again at what it saw change.
const maxRounds = 3

// readOn reads what only a judgement shows to be worth reading: the bytes of lacking
// blobs in the manifests that carry them and in sources, and lost images. It reports whether the
// store has to be judged again by that.
func (j *checker) readOn(ctx context.Context, s *graph.Scan, p *terms) (again bool, err error) {
	if found, err := (cures{j}).readInline(ctx, s); err != nil || found {
		return found, err
	}
	if p.asksSources(s) {
		found, err := s.ReadFromSources(ctx, append(cures{j}.lacks(s), returner{j}.lacks()...))
		if sought := p.Seeking && len(s.Graph.Heals) > 0; err != nil || found || sought {
			p.Seeking, p.copies = found, cures{j}.copied()
			return true, err
		}
	}
	if p.lost != nil || !(lostFinder{j}).seeksLost(s) {
		return false, nil
	}
	lost, read, err := lostFinder{j}.findLost(ctx, s)
	if err != nil {
		return false, err
	}
	p.lost = lost
	if read || j.Also[finding.ManifestLost] {
		return true, nil
	}
	j.lost = lost
	lostFinder{j}.countLost(lost)
	return false, nil
}

// suspected are the places that problems are about, each once, which a second look has
// to confirm, and whether what is said of them keeps a tag from being pulled.
func (j *checker) suspected() (places []graph.Ref, harmful map[graph.Ref]bool) {
	harmful = map[graph.Ref]bool{}
	for _, j := range (removalRules{j}).judged() {
		for i := range j.problems {
			p := &j.problems[i]
			for _, s := range j.spots(p) {
				if _, known := harmful[s]; !known {
					places = append(places, s)
				}
				harmful[s] = harmful[s] || p.id.Harms()
			}
		}
	}
	return places, harmful
}

// notes are sentences about the store as a whole.
func notes(c *graph.Scan, j *checker) []string {
	var notes []string
	if c.InDatabase != "" {
		notes = append(notes, "This registry keeps its links in a database (as "+c.InDatabase+" says), so no blob is reported as garbage.")
	}
	if c.Cache {
		notes = append(notes, "This is a pull-through cache: what it has not fetched yet is not damage.")
	}
	if j.totals.Repositories == 0 && j.totals.Blobs > 0 && !j.Blind() {
		notes = append(notes, "The store has blobs but no repositories. Check that all its disks are mounted.")
	}
	if c.MultipartsUnlisted != nil {
		notes = append(notes, "Unfinished multipart uploads could not be listed, so none is reported: "+c.MultipartsUnlisted.Error())
	}
	if c.AboveUnlisted != nil {
		notes = append(notes, "Files next to the store's own directories could not be listed: "+c.AboveUnlisted.Error())
	}
	if c.RulesUnread != nil {
		notes = append(notes, "The storage's lifecycle rules could not be read, so they were not checked: "+c.RulesUnread.Error())
	}
	if c.PastUnread != nil {
		notes = append(notes, "What was removed from the store, or written over, and is kept could not be looked at, so that more may be healed than is said here: "+c.PastUnread.Error())
	}
	if n := j.totals.TagsSchema1; n > 0 {
		const named = 3
		var refs []string
		for _, ref := range j.schema1[:min(n, named)] {
			r := &j.Repos[ref.Repo]
			refs = append(refs, r.Name+":"+r.Tags[ref.Tag].Name)
		}
		what := "1 tag is"
		if n > 1 {
			what = fmt.Sprint(n) + " tags are"
		}
		if n > named {
			refs = append(refs, "…")
		}
		notes = append(notes, what+" of schema 1, Docker's first image format ("+strings.Join(refs, ", ")+"): registry 2.x serves it, 3.x does not. Push such images again with a current client before an upgrade.")
	}
	if !c.Thorough {
		notes = append(notes, "Stray files next to blobs and links were not checked (use --thorough).")
	}
	return notes
}

// Rejections is what can't be removed of a removal, by reference. Where there is any, nothing
// is planned: leave it out of the removal, and judge again.
func Rejections(ctx context.Context, s *graph.Scan, p gc.Policy) ([]gc.Rejection, error) {
	j, err := settled(ctx, s, p)
	if err != nil {
		return nil, err
	}
	return j.Rejected, nil
}

// weighUntagged sums up what a fix with Policy.Untagged would take and free besides
// what it does anyway. It is a second judgement, made only where there are manifests
// without a tag and nobody has asked about them.
func weighUntagged(s *graph.Scan, p gc.Policy, lost *lostImages, r *Result) {
	if r.Totals.Untagged == 0 || p.Untagged || p.Removal != nil || p.UsedOnly {
		return
	}
	p.Untagged, p.Usage = true, false
	as := termsOf(s, p)
	as.lost = lost
	j := judge(s.Graph, as)
	counts := describer{j}.counts()
	r.Totals.UntaggedReclaimable = counts[finding.ManifestUntagged].Count
	r.Totals.UntaggedBytes = reclaimable(&counts) - r.Totals.ReclaimableBytes
}
