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

// Levels are how many versions are kept of each level: the newest majors, the newest minors
// of each of these, and the newest patches of each of those. A zero Count at a level
// keeps all of it; the zero Levels is a rule that wasn't given.
type Levels struct{ Major, Minor, Patch Count }

// ParseLevels reads "major:3,minor:2,patch:1", of which any part may be missing, in any
// order: numbers from 1 on, or "all".
func ParseLevels(s string) (l Levels, err error) {
	for part := range strings.SplitSeq(s, ",") {
		name, number, ok := strings.Cut(part, ":")
		at := map[string]*Count{"major": &l.Major, "minor": &l.Minor, "patch": &l.Patch}[name]
		if !ok || at == nil {
			return Levels{}, fmt.Errorf("%q is none of major:N, minor:N and patch:N, with commas between them", part)
		}
		if *at != 0 {
			return Levels{}, fmt.Errorf("%s stands there twice", name)
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

// String writes levels as ParseLevels reads them.
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

// version is what a tag's name says as a version.
type version struct {
	*semver.Version
	parts int    // of major, minor and patch, those that are named: 1.2 has two
	group string // versions are compared within it: what they are a variant of, and whether they are pre-releases
}

// early matches a word behind a version that makes it a pre-release, or a build between
// two releases; any other word names a variant.
var early = regexp.MustCompile(`(?i)^([0-9]+(\.[0-9]+)*|g[0-9a-f]{6,40}|(alpha|beta|rc|cr|pre|preview|dev|snapshot|nightly|canary|next|ea|milestone|m|a|b)[.]?[0-9]*(\.[0-9a-z]+)*)$`)

// letters are followed by digits: rc10 is to be newer than rc9.
var letters = regexp.MustCompile(`([A-Za-z])([0-9])`)

// parseVersion reads a tag's name: a v or none, one to three numbers with dots between
// them, and words behind dashes. False is no version.
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

// byDate ends the names of groups of versions whose majors are dates.
const byDate = " dated"

// apart puts a version whose major is a date, as in 20260101.1, into a group of its own:
// it says nothing of what is newer among releases.
func (v *version) apart() {
	const date = 100_000 // of six digits, as in 260101
	if v.Version != nil && v.parts > 1 && v.Major() >= date {
		v.group += byDate
	}
}

// at names the version at a level, counted from 0: its major, with its minor, and all
// that it says of the patch.
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

// keepSemver keeps the newest versions by their names, each variant and pre-releases for
// themselves. What is no version is kept. A tag that names less than a patch, like 1 or
// 1.2, moves along with what it names, and stays as long as that does.
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
		places, stays := e.rules.Semver.place(v, ranks[v.group])
		if text := rule + " (" + places + ")"; stays {
			e.keep(d.tag, text)
		} else {
			e.miss(d.tag, text)
		}
	}
}

// place says where a version of a group stands on each level, and whether it is kept
// there; the level on which it doesn't is the last.
func (l Levels) place(v version, ranks map[string]int) (text string, stays bool) {
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

// ranked returns, for versions of one group, the place of each that there is on each
// level: among the majors, among the minors of its major, and among the patches of its
// minor, from 1, the newest first. A bare number may be that of a build: it is a major
// only where all of them are bare, and so are those that are apart by their dates.
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
