package retain

import (
	"math/rand/v2"
	"testing"
	"time"

	"regfsck/walker/layout"
)

// oracle says of one tag what the rules mean, one rule at a time, by counting:
// slow, and without going through the tags in any order. It knows of tags with
// good dates and a sure digest, by pushed time, in UTC.
type oracle []Tag

func (o oracle) keeps(t Tag, rules Rules) bool {
	newest, oldest := o.newest(func(Tag) bool { return true }), t.Pushed
	for _, u := range o {
		oldest = min(oldest, u.Pushed)
	}
	if t.Name == "latest" || t.Pushed == newest || o.last(t, rules.Last) {
		return true
	}
	if rules.Within != (Duration{}) && t.Pushed > Nanoseconds(rules.Within.Before(time.Unix(0, newest).UTC())) {
		return true
	}
	for _, re := range rules.Tags {
		if re.MatchString(t.Name) {
			return true
		}
	}
	for form, count := range map[string]Count{
		"2006-01-02T15": rules.Hourly, "2006-01-02": rules.Daily, "week": rules.Weekly, "2006-01": rules.Monthly, "2006": rules.Yearly,
	} {
		if o.period(t, form, count, t.Pushed == oldest) {
			return true
		}
	}
	return false
}

// last: fewer digests than there are slots have a newer tag than its digest.
func (o oracle) last(t Tag, count Count) bool {
	mine := o.newest(func(u Tag) bool { return u.Digest == t.Digest })
	newer := map[layout.Digest]bool{}
	for _, u := range o {
		if u.Pushed > mine {
			newer[u.Digest] = true
		}
	}
	return count == All || len(newer) < int(count)
}

// period: fewer periods than there are slots are newer than its own, in which
// its digest has the newest tag; or there are fewer periods than slots, and it
// is the oldest.
func (o oracle) period(t Tag, form string, count Count, oldest bool) bool {
	all, newer := map[string]bool{}, map[string]bool{}
	for _, u := range o {
		if all[of(u, form)] = true; of(u, form) > of(t, form) {
			newer[of(u, form)] = true
		}
	}
	same := func(u Tag) bool { return of(u, form) == of(t, form) }
	newest, wins := o.newest(same), false
	for _, u := range o {
		wins = wins || same(u) && u.Pushed == newest && u.Digest == t.Digest
	}
	if count == All {
		return wins || oldest
	}
	return wins && len(newer) < int(count) || oldest && len(all) < int(count)
}

func (o oracle) newest(of func(Tag) bool) (date int64) {
	for _, u := range o {
		if of(u) {
			date = max(date, u.Pushed)
		}
	}
	return date
}

// of writes the period of a tag; a later one is a greater string.
func of(t Tag, form string) string {
	moment := time.Unix(0, t.Pushed).UTC()
	if form == "week" { // by its Monday
		return moment.AddDate(0, 0, -(int(moment.Weekday())+6)%7).Format(time.DateOnly)
	}
	return moment.Format(form)
}

func TestJudgeAgreesWithTheOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range rounds {
		var tags []Tag
		for _, tag := range world(r) {
			_, signature := layout.SubjectOf(tag.Name)
			if !signature && tag.Doubt == "" && tag.Digest != (layout.Digest{}) && believable(tag.Pushed, now) {
				tags = append(tags, tag)
			}
		}
		rules := someRules(r)
		rules.By = Pushed
		if !rules.Active() {
			continue
		}
		verdicts := judge(t, tags, rules)
		digests := map[layout.Digest]bool{}
		stay := map[layout.Digest]bool{}
		for i, v := range verdicts {
			digests[tags[i].Digest] = true
			stay[tags[i].Digest] = stay[tags[i].Digest] || v.Keep
			if want := oracle(tags).keeps(tags[i], rules); v.Keep != want {
				t.Fatalf("%+v\n%+v: %+v, want %v", rules, tags[i], v, want)
			}
		}
		left := 0
		for _, yes := range stay {
			if yes {
				left++
			}
		}
		if left < min(int(rules.Last), len(digests)) || rules.Last == All && left < len(digests) {
			t.Fatalf("%+v leave %d of %d images", rules, left, len(digests))
		}
	}
}
