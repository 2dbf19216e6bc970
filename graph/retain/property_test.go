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

const rounds = 1000

// world makes a repository with few digests and few dates, so that there are
// ties, and all kinds of tags and dates that rules have to step around.
func world(r *rand.Rand) []Tag {
	tags := make([]Tag, r.IntN(25))
	for i := range tags {
		tags[i] = Tag{Name: fmt.Sprintf("t%d", i), Digest: digest(fmt.Sprint(r.IntN(12))), Pushed: date(r), Created: date(r)}
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

func date(r *rand.Rand) int64 {
	if r.IntN(20) == 0 {
		return []int64{0, 1, -1, Nanoseconds(now.AddDate(1, 0, 0))}[r.IntN(4)]
	}
	hours := []int{r.IntN(4), 24 * r.IntN(6), 24 * 30 * r.IntN(30)}[r.IntN(3)]
	return Nanoseconds(now.Add(-time.Duration(hours) * time.Hour))
}

// someRules returns rules of which each is given or not.
func someRules(r *rand.Rand) Rules {
	count := func() Count { return []Count{0, 0, 0, None, 1, 2, 3, 5, All}[r.IntN(9)] }
	rules := Rules{Last: count(), Hourly: count(), Daily: count(), Weekly: count(), Monthly: count(), Yearly: count(), By: Time(r.IntN(2))}
	if r.IntN(3) == 0 {
		rules.Within = Duration{Months: r.IntN(3), Days: r.IntN(3), Hours: r.IntN(3)}
	}
	if r.IntN(3) == 0 || rules.Check() != nil {
		rules.Tags = []*regexp.Regexp{regexp.MustCompile(fmt.Sprint(r.IntN(5)))}
	}
	return rules
}

func judge(t *testing.T, tags []Tag, rules Rules) []Verdict {
	t.Helper()
	verdicts, err := Judge(tags, rules, Setting{Now: now})
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
		switch r.IntN(4) {
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

func TestEveryTagSaysWhy(t *testing.T) {
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

func TestNewestAndLatestStay(t *testing.T) {
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
