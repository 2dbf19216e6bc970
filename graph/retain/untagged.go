package retain

// JudgeUntagged returns a verdict for each manifest of a repository that
// nothing keeps, neither a tag nor an index nor a subject, in their order. One
// stays if it was pushed less than UntaggedWithin before now; not before the newest
// tag, since nobody asks for these by name. A manifest is a Tag without a name. Its
// Pushed is the newest of its revision link's time and of the times of all entries
// for it in the histories of tags: it may have lost its tag long after it was
// pushed, but not before it was last tagged. What can't be judged stays, and all
// stay if the rule isn't given. The errors are those of Judge.
func JudgeUntagged(manifests []Tag, rules Rules, s Setting) ([]Verdict, error) {
	if err := rules.Check(); err != nil {
		return nil, err
	}
	given := rules.UntaggedWithin != Duration{}
	s, err := s.with(manifests, rules.By, given)
	if err != nil {
		return nil, err
	}
	verdicts := make([]Verdict, len(manifests))
	border := Nanoseconds(rules.UntaggedWithin.Before(s.Now.In(s.Zone)))
	rule := "keep-untagged-within " + rules.UntaggedWithin.String()
	for i := range manifests {
		m, v := &manifests[i], &verdicts[i]
		d, stays := s.on(m, rules.By, v)
		switch {
		case !given:
			v.Why = "no rule is about manifests without a tag"
		case stays != "":
			v.Rules = []string{stays}
		case d.date > border:
			v.Rules = []string{rule}
		default:
			v.Why = "not kept by " + rule
		}
		v.Keep = !given || len(v.Rules) > 0
	}
	return verdicts, nil
}
