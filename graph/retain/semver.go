package retain

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Levels are how many versions to keep at each level: the newest majors, the newest minors of
// each, and the newest patches of each of those. A zero Count keeps all of its level; the
// zero Levels is no rule.
type Levels struct{ Major, Minor, Patch Count }

// ParseLevels parses "major:3,minor:2,patch:1" with any of the parts, in any order: numbers
// from 1, or "all".
func ParseLevels(s string) (l Levels, err error) {
	for part := range strings.SplitSeq(s, ",") {
		name, number, ok := strings.Cut(part, ":")
		at := map[string]*Count{"major": &l.Major, "minor": &l.Minor, "patch": &l.Patch}[name]
		if !ok || at == nil {
			return Levels{}, fmt.Errorf("%q is none of major:N, minor:N and patch:N, with commas between them", part)
		}
		if *at != 0 {
			return Levels{}, fmt.Errorf("%s is given twice", name)
		}
		if *at, err = ParseCount(number); err != nil {
			return Levels{}, fmt.Errorf("%s: %w", name, err)
		}
		if *at == None {
			return Levels{}, fmt.Errorf("%s:0 would keep no version at all: it is 1 at least", name)
		}
	}
	return l, nil
}

// String prints levels as ParseLevels parses them.
func (l Levels) String() string {
	var parts []string
	for i, c := range l.all() {
		if c != 0 {
			parts = append(parts, levelNames[i]+":"+c.String())
		}
	}
	return strings.Join(parts, ",")
}

var levelNames = [...]string{"major", "minor", "patch"}

func (l Levels) all() [3]Count { return [...]Count{l.Major, l.Minor, l.Patch} }

// version is a tag's name parsed as a version.
type version struct {
	*semver.Version
	parts int    // the number of components: 1.2 has two
	group string // only versions of one group are compared: it is the variant and whether it is a pre-release
}

// early matches a suffix of a pre-release or of a build between releases; other suffixes name
// variants.
var early = regexp.MustCompile(`(?i)^([0-9]+(\.[0-9]+)*|g[0-9a-f]{6,40}|(alpha|beta|rc|cr|pre|preview|dev|snapshot|nightly|canary|next|ea|milestone|m|a|b)[.]?[0-9]*(\.[0-9a-z]+)*)$`)

// letters matches a letter before a digit, so that rc10 sorts after rc9.
var letters = regexp.MustCompile(`([A-Za-z])([0-9])`)

// parseVersion parses a tag's name: an optional v, one to three numbers separated by dots,
// and suffixes after dashes. ok is false for other names.
func parseVersion(name string) (v version, ok bool) {
	core, words, _ := strings.Cut(name, "-")
	if v.parts = strings.Count(core, ".") + 1; strings.ContainsAny(core, "+") {
		return v, false
	}
	rest := strings.Split(words, "-")
	n := 0
	for n < len(rest) && early.MatchString(rest[n]) {
		n++
	}
	v.group = strings.Join(rest[n:], "-")
	var err error
	if n == 0 {
		v.Version, err = semver.NewVersion(core)
		v.apart()
		return v, err == nil
	}
	v.group += " pre-release"
	before := strings.Join(rest[:n], ".")
	if v.Version, err = semver.NewVersion(core + "-" + letters.ReplaceAllString(before, "$1.$2")); err != nil {
		v.Version, err = semver.NewVersion(core + "-" + before)
	}
	v.apart()
	return v, err == nil
}

// byDate is the end of the names of groups whose majors are dates.
const byDate = " dated"

// apart moves a version whose major is a date, such as 20260101.1, to a group of its own,
// since it doesn't compare with releases.
func (v *version) apart() {
	const date = 100_000 // the least of six digits, such as 260101
	if v.Version != nil && v.parts > 1 && v.Major() >= date {
		v.group += byDate
	}
}

// at returns the version up to a level, from 0: major, major and minor, or the whole.
func (v version) at(level int) string {
	numbers := strconv.FormatUint(v.Major(), 10)
	if level > 0 {
		numbers += "." + strconv.FormatUint(v.Minor(), 10)
	}
	if level > 1 {
		numbers += "." + strconv.FormatUint(v.Patch(), 10) + "-" + v.Prerelease()
	}
	return numbers
}

// keepSemver keeps the newest versions by name, separately for variants and pre-releases.
// Names that aren't versions are kept. A tag that names less than a patch, like 1 or 1.2, is
// kept if its newest version is.
func (e *evaluation) keepSemver() {
	if e.rules.Semver == (Levels{}) {
		return
	}
	rule := "keep-semver " + e.rules.Semver.String()
	groups := map[string][]version{}
	of := map[int]version{}
	for _, d := range e.order {
		if v, ok := parseVersion(e.tags[d.tag].Name); ok {
			of[d.tag] = v
			groups[v.group] = append(groups[v.group], v)
		}
	}
	ranks := map[string]map[string]int{}
	for name, all := range groups {
		ranks[name] = ranked(all, len(groups[name+byDate]) == 0)
	}
	for _, d := range e.order {
		v, ok := of[d.tag]
		if !ok {
			e.keep(d.tag, rule+" (no version)")
			continue
		}
		places, kept := e.rules.Semver.place(v, ranks[v.group])
		if text := rule + " (" + places + ")"; kept {
			e.keep(d.tag, text)
		} else {
			e.miss(d.tag, text)
		}
	}
}

// place describes the rank of a version at each level, and whether it is kept; it ends at the
// level that removes it.
func (l Levels) place(v version, ranks map[string]int) (text string, kept bool) {
	var places []string
	for level, count := range l.all() {
		rank := ranks[v.at(level)]
		if rank == 0 || level == v.parts {
			break
		}
		places = append(places, ordinal(rank)+" "+levelNames[level])
		if count.given() && rank > count.slots() {
			return strings.Join(places, ", "), false
		}
	}
	if places == nil {
		return "no version of it", true
	}
	return strings.Join(places, ", "), true
}

// ranked returns the rank of each version of a group at each level: among the majors, among
// the minors of its major, and among the patches of its minor, from 1, newest first. A bare
// number may be a build number: it is a major only if all versions are bare numbers; likewise
// for dates.
func ranked(all []version, bare bool) map[string]int {
	slices.SortFunc(all, func(a, b version) int { return cmp.Or(b.Compare(a.Version), cmp.Compare(b.parts, a.parts)) })
	bare = bare && !slices.ContainsFunc(all, func(v version) bool { return v.parts > 1 })
	ranks, below := map[string]int{}, map[string]int{}
	for _, v := range all {
		above := ""
		for level := range v.parts {
			name := v.at(level)
			if v.parts == 1 && !bare {
				break
			}
			if ranks[name] == 0 {
				below[above]++
				ranks[name] = below[above]
			}
			above = name
		}
	}
	return ranks
}
