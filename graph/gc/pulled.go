package gc

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"regfsck/graph/inuse"
	"regfsck/graph/retain"
	"regfsck/walker/layout"
)

// usualGap is the default of PulledGap.
var usualGap = retain.Duration{Days: 1}

// LogGap returns the longest period without a line that the access logs of rules may have,
// also before now.
func LogGap(rules retain.Rules) retain.Duration { return cmp.Or(rules.PulledGap, usualGap) }

var errNothingPulled = errors.New("no pull of anything that the store holds is in it: it may be another registry's")

// pulled is when objects of a store were last pulled, by access logs.
type pulled struct {
	tags    map[string]map[string]int64 // by repository and tag
	digests map[string][]string         // by repository, last pulled first
	at      map[inuse.Pull]int64
}

// logsOf names the logs of a rule.
func logsOf(rules retain.Rules) string { return strings.Join(rules.PulledLogs, ", ") }

// findPulled sets what the logs of each rule show, after checking that they cover the period
// of the rule.
func (s *selection) findPulled() error {
	s.pulled = map[string]*pulled{}
	for _, rule := range s.Policy {
		if rule.PulledWithin == (retain.Duration{}) {
			continue
		}
		name := logsOf(rule.Rules)
		log := inuse.NewLog(s.scan.Now)
		for _, file := range rule.PulledLogs {
			log.Add(s.Logs[file])
		}
		if err := s.covers(log, rule.Rules); err != nil {
			return &InputError{"pulled-log", name, err}
		}
		if s.pulled[name] != nil {
			continue
		}
		p := s.pulledOf(log)
		if len(p.tags)+len(p.digests) == 0 {
			return &InputError{"pulled-log", name, errNothingPulled}
		}
		s.pulled[name] = p
		s.Notes = append(s.Notes, fmt.Sprintf("%s has pulls of %s and of %s of the store", name, counted(inAll(p.tags), "tag"), counted(inAll(p.digests), "digest")))
	}
	return nil
}

// covers returns an error if a log doesn't cover the period of a rule.
func (s *selection) covers(log *inuse.Log, rules retain.Rules) error {
	now := s.scan.Now
	gap := LogGap(rules)
	begin, end, found := log.Gap(rules.PulledWithin.Before(now), now, now.Sub(gap.Before(now)))
	if !found {
		return nil
	}
	const form = "2006-01-02 15:04"
	return fmt.Errorf("from %s to %s it has no request that succeeded, so what was pulled then is unknown: give the logs of that time too, or, if there were no requests, a longer --pulled-log-gap", begin.UTC().Format(form), end.UTC().Format(form))
}

// pulledOf returns what a log shows of the store.
func (s *selection) pulledOf(log *inuse.Log) *pulled {
	p := &pulled{map[string]map[string]int64{}, map[string][]string{}, log.Pulls}
	asked := map[string][]string{}
	for pull := range log.Pulls {
		asked[pull.Repository] = append(asked[pull.Repository], pull.Reference)
	}
	for _, repository := range s.scan.Repositories() {
		if asked[repository] == nil {
			continue
		}
		for t := range s.scan.Tags(repository) {
			at := log.Pulls[inuse.Pull{Repository: repository, Reference: t.Name}]
			if at == 0 {
				continue
			}
			if p.tags[repository] == nil {
				p.tags[repository] = map[string]int64{}
			}
			p.tags[repository][t.Name] = at
			if subject, is := layout.SubjectOf(t.Name); is { // a pull of a signature is a use of its subject
				of := inuse.Pull{Repository: repository, Reference: subject.String()}
				if log.Pulls[of] == 0 {
					asked[repository] = append(asked[repository], of.Reference)
				}
				log.Pulls[of] = max(log.Pulls[of], at)
			}
		}
		for _, reference := range asked[repository] {
			if s.scan.Knows(reference) {
				p.digests[repository] = append(p.digests[repository], reference)
			}
		}
		slices.SortFunc(p.digests[repository], func(a, b string) int {
			return cmp.Or(cmp.Compare(log.Pulls[inuse.Pull{Repository: repository, Reference: b}], log.Pulls[inuse.Pull{Repository: repository, Reference: a}]), strings.Compare(a, b))
		})
	}
	return p
}

// inAll returns the number of elements in all maps or lists.
func inAll[T ~map[string]int64 | ~[]string](all map[string]T) (n int) {
	for _, part := range all {
		n += len(part)
	}
	return n
}

// pulledIn returns a function that returns when a tag or manifest of a repository was last
// pulled; 0 for never. A pull of a digest counts for every related tag.
func (s *selection) pulledIn(repository string, rules retain.Rules) func(tag string, digest layout.Digest) int64 {
	p := s.pulled[logsOf(rules)]
	if p == nil || rules.PulledWithin == (retain.Duration{}) {
		return func(string, layout.Digest) int64 { return 0 }
	}
	related := s.scan.Related(repository, p.digests[repository])
	return func(tag string, digest layout.Digest) int64 {
		return max(p.tags[repository][tag], p.at[inuse.Pull{Repository: repository, Reference: related[digest]}])
	}
}
