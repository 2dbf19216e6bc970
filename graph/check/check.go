// Package check finds what is wrong with a registry's storage.
//
// Store reads and checks a store; Run checks one that was read. Package gc marks what is
// kept, one repository after the other. This package compares the marks with the model in the
// same order: it reports what blocks tags, what can be rebuilt or healed, and garbage. It
// never decides what is kept.
//
// A finding is a problem until it is reported: ids without strings, since there can be
// millions. Every key that seems absent or bad is rechecked first; if it changed, the store
// is judged again.
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

// Options say how a store is read and checked.
type Options struct {
	graph.Options
	gc.Policy

	// Choose is called after the scan and returns the Policy's Removal. Its error is returned
	// unchanged. nil: use the Policy as it is.
	Choose func(*graph.Scan) (*gc.Removal, error)
}

// Store reads and checks a store. It changes nothing. An error means that there is no result:
// the listing can't be trusted, or ctx has ended (but see Options.Partial). The phases that
// were completed are returned in any case.
func Store(ctx context.Context, r backend.Reader, o Options) (*Result, []graph.Phase, error) {
	s, err := graph.Read(ctx, r, o.Options)
	if s.Stopped { // judge what was read, without waiting
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

// Run checks a store that was read, and rechecks every key that seems absent or broken. It
// can be called more than once.
func Run(ctx context.Context, s *graph.Scan, p gc.Policy) (*Result, error) {
	r, _, err := run(ctx, s, p)
	return r, err
}

func run(ctx context.Context, s *graph.Scan, p gc.Policy) (*Result, *lostImages, error) {
	var j *checker
	err := s.Phase(ctx, "judge", "problems", func(ctx context.Context) (err error) {
		j, err = confirmed(ctx, s, p)
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
	result.Complete, result.Interrupted = result.Complete && !s.Stopped, s.Stopped
	result.Scan, result.Policy, result.Cache, result.Doubts.Database = s, p, s.Cache, s.InDatabase
	return result, j.lost, nil
}

// termsOf adds to a policy what the store requires.
func termsOf(s *graph.Scan, p gc.Policy) terms {
	return terms{
		gc.TermsOf(s, p),
		options{sourceLinks: s.Copied, uploadsAfter: s.Now.Add(-s.UploadsOlderThan).UnixNano(), allAffects: s.AllAffects},
	}
}

// asksSources reports whether sources are asked for missing or corrupt blobs.
func (p *terms) asksSources(s *graph.Scan) bool {
	return len(s.Sources()) > 0 && !p.Cache && p.Removal == nil
}

// confirmed judges the graph and rechecks all that seems absent or broken, and judges again
// while the store changes, up to maxRounds times.
func confirmed(ctx context.Context, s *graph.Scan, asked gc.Policy) (*checker, error) {
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

// maxRounds is the most rechecks of keys that changed.
const maxRounds = 3

// readOn reads what only a judgement shows to be needed: lost blobs, from the manifests that
// contain them and from sources, and lost images. It reports whether the store must be judged
// again.
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

// suspected returns the keys to recheck, each once, and whether their problems block tags.
func (j *checker) suspected() (places []graph.Ref, harmful map[graph.Ref]bool) {
	harmful = map[graph.Ref]bool{}
	for _, j := range (removalRules{j}).judged() {
		for i := range j.problems {
			p := &j.problems[i]
			for _, s := range j.refsOf(p) {
				if _, known := harmful[s]; !known {
					places = append(places, s)
				}
				harmful[s] = harmful[s] || p.id.Harms()
			}
		}
	}
	return places, harmful
}

// notes returns sentences about the store as a whole.
func notes(c *graph.Scan, j *checker) []string {
	var notes []string
	if c.InDatabase != "" {
		notes = append(notes, "This registry keeps its links in a database (according to "+c.InDatabase+"), so no blob is reported as garbage.")
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
		notes = append(notes, "Files next to the store's directories could not be listed: "+c.AboveUnlisted.Error())
	}
	if c.RulesUnread != nil {
		notes = append(notes, "The storage's lifecycle rules could not be read, so they were not checked: "+c.RulesUnread.Error())
	}
	if c.PastUnread != nil {
		notes = append(notes, "Removed and replaced files that are kept could not be read, so more may be healed than this report shows: "+c.PastUnread.Error())
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

// Rejections returns what can't be removed of a removal, by reference. If there is any, there
// is no plan: exclude it from the removal and judge again.
func Rejections(ctx context.Context, s *graph.Scan, p gc.Policy) ([]gc.Rejection, error) {
	j, err := confirmed(ctx, s, p)
	if err != nil {
		return nil, err
	}
	return j.Rejected, nil
}

// weighUntagged adds up what a fix with Policy.Untagged would remove in addition. It is a
// second judgement, made only if there are untagged manifests and the policy doesn't remove
// them.
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
