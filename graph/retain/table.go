package retain

import (
	"errors"
	"regexp"
	"strconv"
)

// Row is one rule or selection in the table of rules. It is a flag of the command line, a key
// of a policy file and a property of that file's schema, with the same meaning. To add a
// rule, write its function and its Row.
type Row struct {
	Name     string
	Value    string // name of its value in help, such as "N"
	Usage    string // the flag's help, with the value in `backquotes`
	Describe string // the key's meaning, a sentence
	Form     Form   // of its value

	// Selects reports whether the row selects the repositories of a Rule, and keeps nothing.
	Selects bool

	// Set parses a value into a Rule. It is called once for each value.
	Set func(r *Rule, value string) error

	keep  func(*evaluation)   // applies a rule about tags
	count func(*Rules) *Count // the number of slots of such a rule
}

// Form is the syntax of a Row's values.
type Form int

// The forms. FormNames has any number of values; the others have one.
const (
	FormCount    Form = iota // see ParseCount
	FormDuration             // see ParseDuration
	FormNames
	FormTime   // see ParseTime
	FormLevels // see ParseLevels
	FormSwitch // true or false
)

// Many reports whether the row accepts several values.
func (r Row) Many() bool { return r.Form == FormNames }

// Rows returns the table, in the order in which rules are applied and described.
func Rows() []Row { return append([]Row(nil), table...) }

var table = []Row{
	count("keep-last", "the tags of the newest `N` digests", "the tags of the newest digests", period{},
		func(r *Rules) *Count { return &r.Last }),
	count("keep-hourly", newestOf+"`N` hours that have one", newestOf+"hours that have one", hour,
		func(r *Rules) *Count { return &r.Hourly }),
	count("keep-daily", newestOf+"`N` days that have one", newestOf+"days that have one", day,
		func(r *Rules) *Count { return &r.Daily }),
	count("keep-weekly", newestOf+"`N` weeks that have one", newestOf+"weeks, from Monday on, that have one", week,
		func(r *Rules) *Count { return &r.Weekly }),
	count("keep-monthly", newestOf+"`N` months that have one", newestOf+"months that have one", month,
		func(r *Rules) *Count { return &r.Monthly }),
	count("keep-yearly", newestOf+"`N` years that have one", newestOf+"years that have one", year,
		func(r *Rules) *Count { return &r.Yearly }),
	{
		Name: "keep-within", Value: "DURATION", Form: FormDuration,
		Usage:    "keep tags that are less than `DURATION` older than the newest tag of their repository (h d w mo y)",
		Describe: "Keep the tags that are less than so much older than the newest tag of their repository.",
		Set:      one(func(r *Rule) *Duration { return &r.Within }, ParseDuration),
		keep:     (*evaluation).keepWithin,
	},
	{
		Name: "keep-newer-than", Value: "DURATION", Form: FormDuration,
		Usage:    "keep tags that are less than `DURATION` old, counted from today (h d w mo y)",
		Describe: "Keep the tags that are less than so long old, counted from the moment of the run.",
		Set:      one(func(r *Rule) *Duration { return &r.NewerThan }, ParseDuration),
		keep:     (*evaluation).keepNewerThan,
	},
	{
		Name: "keep-tags", Value: "RE", Form: FormNames,
		Usage:    "keep tags in whose names `RE` is found (repeatable)",
		Describe: "Keep the tags in whose names this regular expression (RE2) is found; ^ and $ make it the whole name.",
		Set:      many(func(r *Rule) *[]*regexp.Regexp { return &r.Tags }, regexp.Compile),
		keep:     (*evaluation).keepTags,
	},
	{
		Name: "keep-semver", Value: "LEVELS", Form: FormLevels,
		Usage:    "keep the newest versions by `LEVELS`, as major:3,minor:2,patch:1, pre-releases and variants (-alpine) apart, and all tags that are no version",
		Describe: "Keep the newest versions by levels, as major:3,minor:2,patch:1: so many majors, minors of each of these, patches of each of those. Pre-releases and variants (-alpine) are counted apart, and all tags that are no version are kept.",
		Set:      one(func(r *Rule) *Levels { return &r.Semver }, ParseLevels),
		keep:     (*evaluation).keepSemver,
	},
	{
		Name: "keep-list", Value: "FILE", Form: FormNames,
		Usage:    "keep the images in use that `FILE` names, in any form that a cluster or a host (docker ps --no-trunc) prints; - is stdin (repeatable)",
		Describe: "Keep the images in use that this file names, in any form that a cluster or a host (docker ps --no-trunc) prints; - is stdin.",
		Set:      many(func(r *Rule) *[]string { return &r.Lists }, parseFile),
		keep:     (*evaluation).keepListed,
	},
	{
		Name: "keep-list-age", Value: "DURATION", Form: FormDuration,
		Usage:    "refuse a list of images in use that is more than `DURATION` old (default: 1d)",
		Describe: "How old a list of images in use may be; a day without it.",
		Set:      one(func(r *Rule) *Duration { return &r.ListAge }, ParseDuration),
	},
	{
		Name: "keep-pulled-within", Value: "DURATION", Form: FormDuration,
		Usage:    "keep what was pulled, or pushed, less than `DURATION` ago, according to --pulled-log",
		Describe: "Keep what was pulled, or pushed, less than so long ago, according to the logs in pulled-log.",
		Set:      one(func(r *Rule) *Duration { return &r.PulledWithin }, ParseDuration),
		keep:     (*evaluation).keepPulled,
	},
	{
		Name: "pulled-log", Value: "FILE", Form: FormNames,
		Usage:    "an access log of the registry, or of nginx before it, gzipped or not: `FILE` or a pattern (repeatable)",
		Describe: "Access logs of the registry, or of nginx before it, gzipped or not, each a file or a pattern.",
		Set:      many(func(r *Rule) *[]string { return &r.PulledLogs }, parseFile),
	},
	{
		Name: "pulled-log-gap", Value: "DURATION", Form: FormDuration,
		Usage:    "refuse logs that hold nothing at all for more than `DURATION` (default: 1d)",
		Describe: "For how long the logs may hold nothing at all, where the registry was idle; a day without it.",
		Set:      one(func(r *Rule) *Duration { return &r.PulledGap }, ParseDuration),
	},
	{
		Name: "keep-untagged-within", Value: "DURATION", Form: FormDuration,
		Usage:    "keep manifests without a tag that were pushed less than `DURATION` ago, and remove older ones",
		Describe: "Keep manifests without a tag that were pushed less than so long ago, and remove older ones.",
		Set:      one(func(r *Rule) *Duration { return &r.UntaggedWithin }, ParseDuration),
	},
	{
		Name: "honour-expiry", Form: FormSwitch,
		Usage:    "remove tags after the time since their push that their image sets (label or annotation quay.expires-after)",
		Describe: "Remove tags after the time since their push that their image sets in the label or annotation quay.expires-after.",
		Set: func(r *Rule, v string) (err error) {
			if r.Expiry, err = strconv.ParseBool(v); err != nil {
				return errors.New("it is true or false")
			}
			return nil
		},
	},
	{
		Name: "time", Value: "WHICH", Form: FormTime,
		Usage:    "use the time when a tag was `WHICH`: pushed (default), or created according to the image's config",
		Describe: "The date that the rules use: when the tag was pushed, or when the image was created.",
		Set:      one(func(r *Rule) *Time { return &r.By }, ParseTime),
	},
	{
		Name: "may-remove", Value: "TAG", Form: FormNames,
		Usage:    "don't keep tags named `TAG`, a pattern, for being latest or the newest (repeatable)",
		Describe: "Tags, by pattern, that aren't kept for being latest or the newest.",
		Set:      many(func(r *Rule) *[]Glob { return &r.MayRemove }, ParseGlob),
	},
	{
		Name: "repo", Value: "GLOB", Form: FormNames, Selects: true,
		Usage:    "only in repositories named `GLOB`: * in one part of a name, ** over several (repeatable)",
		Describe: "The repositories that the rule is for; all of them without it. A * matches anything within one part of a name, ** any number of parts.",
		Set:      many(func(r *Rule) *[]Glob { return &r.Repositories }, ParseGlob),
	},
	{
		Name: "exclude-repo", Value: "GLOB", Form: FormNames, Selects: true,
		Usage:    "not in repositories named `GLOB` (repeatable)",
		Describe: "Repositories that the rule is not for: they fall through to the next rule.",
		Set:      many(func(r *Rule) *[]Glob { return &r.Exclude }, ParseGlob),
	},
}

const newestOf = "the newest tag of each of the last "

// count returns the row of a rule with slots; if of is zero, the slots are digests.
func count(name, usage, describe string, of period, at func(*Rules) *Count) Row {
	return Row{
		Name: name, Value: "N", Usage: "keep " + usage, Describe: "Keep " + describe + ".", Form: FormCount,
		Set:   one(func(r *Rule) *Count { return at(&r.Rules) }, ParseCount),
		count: at,
		keep: func(e *evaluation) {
			switch c := (counted{name, *at(&e.rules), of}); {
			case !c.count.given():
			case of.key == nil:
				e.keepLast(c)
			default:
				e.keepPeriods(c)
			}
		},
	}
}

// one returns a setter of a field.
func one[T any](at func(*Rule) *T, parse func(string) (T, error)) func(*Rule, string) error {
	return func(r *Rule, v string) (err error) {
		*at(r), err = parse(v)
		return err
	}
}

// many returns a setter that adds a value to a list.
func many[T any](at func(*Rule) *[]T, parse func(string) (T, error)) func(*Rule, string) error {
	return func(r *Rule, v string) error {
		value, err := parse(v)
		*at(r) = append(*at(r), value)
		return err
	}
}

// parseFile returns the name of a file, which is not empty.
func parseFile(name string) (string, error) {
	if name == "" {
		return "", errors.New("give it the name of a file")
	}
	return name, nil
}
