package retain

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"regfsck/walker/layout"
)

// oracle computes for one tag what the rules mean, by counting, without sorting. It supports
// valid dates and certain digests, by pushed time, in UTC.
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
	if rules.NewerThan != (Duration{}) && t.Pushed > Nanoseconds(rules.NewerThan.Before(now)) {
		return true
	}
	if rules.Semver != (Levels{}) && o.version(t, rules.Semver) {
		return true
	}
	if rules.PulledWithin != (Duration{}) && max(t.Pushed, t.Pulled) > Nanoseconds(rules.PulledWithin.Before(now)) {
		return true
	}
	if len(rules.Lists) > 0 && t.Listed != "" {
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

// last: fewer digests than slots have a tag newer than all of this digest.
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

// period: fewer periods than slots are newer than the tag's, in which its digest has the
// newest tag; or slots remain, and it is the oldest tag.
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

var versions = regexp.MustCompile(`^([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-rc([0-9]+))?(-alpine)?$`)

// version: at each of its levels, fewer versions of its kind than slots are newer.
func (o oracle) version(t Tag, levels Levels) bool {
	mine := versions.FindStringSubmatch(t.Name)
	if mine == nil {
		return true
	}
	var kin [][]string
	bare := true
	for _, u := range o {
		if m := versions.FindStringSubmatch(u.Name); m != nil && m[5] == mine[5] && (m[4] == "") == (mine[4] == "") {
			kin, bare = append(kin, m), bare && m[2] == ""
		}
	}
	number := func(s string) (n int) { fmt.Sscan(s, &n); return n }
	for level, count := range []Count{levels.Major, levels.Minor, levels.Patch} {
		if level > 0 && mine[level+1] == "" {
			break
		}
		newer, known := map[int]bool{}, false
		for _, m := range kin {
			if m[level+1] == "" || level == 0 && m[2] == "" && !bare || !slices.Equal(m[1:level+1], mine[1:level+1]) {
				continue
			}
			a, b := number(m[level+1]), number(mine[level+1])
			if level == 2 { // there is no rc above 99 here
				a, b = 100*a+number(m[4]), 100*b+number(mine[4])
			}
			known = known || a == b
			if a > b {
				newer[a] = true
			}
		}
		if known && count != 0 && count != All && len(newer) >= int(count) {
			return false
		}
	}
	return true
}

func (o oracle) newest(of func(Tag) bool) (date int64) {
	for _, u := range o {
		if of(u) {
			date = max(date, u.Pushed)
		}
	}
	return date
}

// of returns the period of a tag; later ones are greater strings.
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

const rounds = 1000

// world returns a repository with few digests and dates, so that there are ties, and with
// tags and dates that rules must exclude.
func world(r *rand.Rand) []Tag {
	tags := make([]Tag, r.IntN(25))
	for i := range tags {
		tags[i] = Tag{Name: fmt.Sprintf("t%d", i), Digest: digest(fmt.Sprint(r.IntN(12))), Pushed: date(r), Created: date(r)}
		if r.IntN(2) == 0 {
			tags[i].Name = someVersion(r)
		}
		if text := fmt.Sprint(tags[i].Digest); text[len(text)-1]%3 == 0 { // expiry is a property of the image
			tags[i].Expires = []string{[]string{"3h", "2d", "40w", "never"}[text[len(text)-2]%4]}
		}
		if r.IntN(4) == 0 {
			tags[i].Pulled = max(1, date(r))
		}
		if r.IntN(10) == 0 {
			tags[i].Listed = "prod (app:1)"
		}
		switch r.IntN(25) {
		case 0:
			tags[i].Name = "latest"
		case 1:
			tags[i].Name = fmt.Sprintf("sha256-%s.%d", digest("x").Hex(), i)
		case 2:
			tags[i].Doubt = "?"
		case 3:
			tags[i].Digest = layout.Digest{}
		}
	}
	return tags
}

func someVersion(r *rand.Rand) string {
	name := fmt.Sprint(r.IntN(3))
	for range r.IntN(3) {
		name += fmt.Sprintf(".%d", r.IntN(3))
	}
	if r.IntN(4) == 0 {
		name += fmt.Sprintf("-rc%d", 8+r.IntN(4))
	}
	if r.IntN(4) == 0 {
		name += "-alpine"
	}
	return name
}

func date(r *rand.Rand) int64 {
	if r.IntN(20) == 0 {
		return []int64{0, 1, -1, Nanoseconds(now.AddDate(1, 0, 0))}[r.IntN(4)]
	}
	hours := []int{r.IntN(4), 24 * r.IntN(6), 24 * 30 * r.IntN(30)}[r.IntN(3)]
	return Nanoseconds(now.Add(-time.Duration(hours) * time.Hour))
}

// someRules returns random rules.
func someRules(r *rand.Rand) Rules {
	count := func() Count { return []Count{0, 0, 0, None, 1, 2, 3, 5, All}[r.IntN(9)] }
	rules := Rules{Last: count(), Hourly: count(), Daily: count(), Weekly: count(), Monthly: count(), Yearly: count(), By: Time(r.IntN(2))}
	if r.IntN(3) == 0 {
		rules.Within = Duration{Months: r.IntN(3), Days: r.IntN(3), Hours: r.IntN(3)}
	}
	if r.IntN(3) == 0 {
		rules.NewerThan = Duration{Months: r.IntN(3), Days: r.IntN(3), Hours: r.IntN(3)}
	}
	if r.IntN(4) == 0 {
		level := func() Count { return []Count{0, 1, 2, All}[r.IntN(4)] }
		rules.Semver = Levels{level(), level(), level()}
	}
	if r.IntN(4) == 0 {
		rules.PulledWithin, rules.PulledLogs = Duration{Days: 1 + r.IntN(60)}, []string{"log"}
	}
	if r.IntN(4) == 0 {
		rules.Lists = []string{"prod"}
	}
	if r.IntN(3) == 0 || rules.Check() != nil {
		rules.Tags = []*regexp.Regexp{regexp.MustCompile(fmt.Sprint(r.IntN(5)))}
	}
	return rules
}

func judge(t *testing.T, tags []Tag, rules Rules) []Verdict {
	t.Helper()
	verdicts, err := Judge(tags, rules, Options{Now: now})
	if err != nil || len(verdicts) != len(tags) {
		t.Fatalf("%+v: %d verdicts on %d tags, %v", rules, len(verdicts), len(tags), err)
	}
	return verdicts
}

func TestOneRuleMoreNeverRemovesMore(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	removed := 0
	for range rounds {
		tags, rules := world(r), someRules(r)
		if !rules.Active() {
			continue
		}
		more, extra := rules, someRules(r)
		switch r.IntN(8) {
		case 0:
			more.Daily = max(rules.Daily, 0) + 1
			if rules.Daily == All {
				more.Daily = All
			}
		case 1:
			more.Tags = append(slices.Clone(rules.Tags), extra.Tags...)
		case 2:
			if rules.Last != All {
				more.Last = max(rules.Last, 0) + Count(r.IntN(3)) + 1
			}
		case 3:
			more.Within.Days++
			more.Within.Hours += r.IntN(50)
		case 5:
			more.Lists = []string{"prod"}
		case 7:
			more.PulledWithin.Days, more.PulledLogs = rules.PulledWithin.Days+1+r.IntN(30), []string{"log"}
		case 6:
			if more.Semver == (Levels{}) {
				more.Semver.Major = 1
			} else if more.Semver.Patch > 0 {
				more.Semver.Patch++
			}
		case 4:
			more.NewerThan.Days++
			more.NewerThan.Hours += r.IntN(50)
		}
		few, many := judge(t, tags, rules), judge(t, tags, more)
		for i := range tags {
			if !few[i].Keep {
				removed++
			} else if !many[i].Keep {
				t.Fatalf("%+v\nkeep %+v for %v, and with\n%+v\nit goes: %s", rules, tags[i], few[i].Rules, more, many[i].Why)
			}
		}
	}
	if removed == 0 {
		t.Error("nothing was ever removed")
	}
}

func TestOrderOfInputDoesNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range rounds {
		tags, rules := world(r), someRules(r)
		verdicts := judge(t, tags, rules)
		mixed := r.Perm(len(tags))
		other := make([]Tag, len(tags))
		for i, from := range mixed {
			other[i] = tags[from]
		}
		for i, v := range judge(t, other, rules) {
			if got, want := fmt.Sprintf("%+v", v), fmt.Sprintf("%+v", verdicts[mixed[i]]); got != want {
				t.Fatalf("%+v, %+v:\n%s\n%s", rules, other[i], got, want)
			}
		}
	}
}

func TestEveryTagHasAReason(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range rounds {
		tags, rules := world(r), someRules(r)
		for i, v := range judge(t, tags, rules) {
			silent := len(v.Rules) == 0 && v.Why == "" || len(v.Rules) > 0 && v.Why != "" && rules.Active()
			if silent || v.Keep == (len(v.Rules) == 0) && rules.Active() && !v.Signature {
				t.Fatalf("%+v, %+v: %+v", rules, tags[i], v)
			}
		}
	}
}

func TestNewestAndLatestAreKept(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for range rounds {
		tags, rules := world(r), someRules(r)
		if r.IntN(2) == 0 {
			rules.MayRemove = globs(t, "latest", fmt.Sprintf("*%d", r.IntN(10)))
		}
		newest, stays := int64(0), true
		for i, v := range judge(t, tags, rules) {
			sure := !v.Signature && tags[i].Doubt == "" && tags[i].Digest != layout.Digest{}
			switch {
			case matchesAny(rules.MayRemove, tags[i].Name):
			case tags[i].Name == "latest" && !v.Keep:
				t.Fatalf("%+v: latest goes", rules)
			case sure && v.Date > newest:
				newest, stays = v.Date, v.Keep
			case sure && v.Date == newest:
				stays = stays || v.Keep
			}
		}
		if !stays {
			t.Fatalf("%+v: the newest of %+v goes", rules, tags)
		}
	}
}
