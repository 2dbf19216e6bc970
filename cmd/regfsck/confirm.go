package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/backend/words"
	"regfsck/cmd/regfsck/catalog"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/outside"
	"regfsck/cmd/regfsck/rediscache"
	"regfsck/cmd/regfsck/settings"
	"regfsck/cmd/regfsck/spelling"
	"regfsck/cmd/regfsck/value"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/report"
	"regfsck/report/exitcode"
)

var undos = []string{"auto", "none"}

// choiceFlags choose the findings to fix.
func choiceFlags() []cli.Flag {
	return group(catalog.AboutPlan,
		listFlag("only", "do nothing about findings other than `IDS`, or than the groups repairs, garbage, error or warning (separated by commas, repeatable)"),
		listFlag("skip", "do nothing about findings of these `IDS` or groups"),
		listFlag("also", "also cure findings of these `IDS`, which is done only on request"),
		valueFlag("verify", "manifests", "hash `WHAT`: manifests only, or all blobs"),
		textFlag("save-plan", "write the plan to `FILE`, for regfsck apply"),
	)
}

// consentFlags permit and limit a change.
func consentFlags(s *session) []cli.Flag {
	return group(catalog.AboutChange,
		switchFlag("yes", "don't ask", "y"),
		valueFlag("max-delete", "25%", "refuse to remove more than `SHARE` of the blobs, manifests, tags, links or repositories; unless it is given, kinds of which there are fewer than 1,000 are not counted"),
		switchFlag("allow-tagless", "let manifests without a tag be removed although a database may hold their tags"),
		switchFlag("registry-running-ok", "continue although a registry that may not be read-only answers at the configured address"),
		valueFlag("undo", "auto", "keep what is removed for an undo, or not: `MODE` is auto or none"),
		textFlag("state", "keep the journal and what is removed in the directory `DIR`", outside.StateName+" in the store's root"),
		textFlag("break-lease", "take over the lease of a "+s.nouns(leased, "")+" from the run `ID`, which must have ended"),
		textFlag("before", "run the shell command `CMD` before anything is changed; if it fails, nothing is changed"),
		textFlag("after", "run the shell command `CMD` after the apply, however that ended"),
		textFlag(settings.RedisName, "after the apply empty the registry's cache in the Redis at `URL`; one with a password is set by REGFSCK_REDIS or in the file of --config"),
	)
}

// consent holds the permissions and limits of a change.
type consent struct {
	limits apply.Limits
	keep   bool   // quarantine what is removed, for undo
	state  string // as given by --state
	yes    bool

	redis *rediscache.Cache // the registry's cache, emptied after the change; nil for none

	before, after string // shell commands, "" for none

	breakLease string // the run whose lease is taken over, "" for none
}

func consentOf(c *cli.Context) (a consent, err error) {
	a = consent{state: c.String("state"), yes: c.Bool("yes"), breakLease: c.String("break-lease"), before: c.String("before"), after: c.String("after")}
	undo, err := oneOf(c, "undo", undos)
	if err != nil {
		return a, err
	}
	if a.redis, err = redisOf(c); err != nil {
		return a, err
	}
	a.keep = undo != "none"
	a.limits = apply.Limits{
		MinObjects: apply.DefaultMinObjects, AllowTagless: c.Bool("allow-tagless"),
		RunningOK: c.Bool("registry-running-ok"), NoUndoOK: !a.keep,
	}
	if !has(c, "max-delete") {
		a.limits.AnyAmount, a.limits.MaxDelete = true, apply.DefaultMaxDelete
		return a, nil
	}
	if c.IsSet("max-delete") { // a limit that was given holds for small stores too
		a.limits.MinObjects = 0
	}
	if a.limits.MaxDelete, err = value.Share(c.String("max-delete")); err != nil {
		return a, failure.Misuse(seeHelp(c.Command.Name), "--max-delete %w", err)
	}
	return a, nil
}

// choice reads the flags that choose findings into p.
func choice(c *cli.Context, p *gc.Policy) error {
	var only, skip, also []finding.Kind
	for i, ids := range []*[]finding.Kind{&only, &skip, &also} {
		var err error
		if *ids, err = idsOf(c, []string{"only", "skip", "also"}[i]); err != nil {
			return err
		}
	}
	for id := range finding.Kinds {
		p.Skip[id] = slices.Contains(skip, id) || len(only) > 0 && !slices.Contains(only, id)
		p.Also[id] = slices.Contains(also, id)
		switch {
		case p.Also[id] && !id.OnRequest():
			return failure.Misuse("regfsck explain "+id.String()+" explains what can be done about it.", "--also %v: this is not done on request; on request are %s", id, strings.Join(finding.Names(finding.Kind.OnRequest), ", "))
		case p.Also[id] && p.Skip[id]:
			return failure.Misuse(seeHelp(c.Command.Name), "--also %v: --only or --skip leaves it out", id)
		}
	}
	return nil
}

// idsOf reads a flag of finding ids. Flags that restrict a plan accept groups too; --also
// needs each id.
func idsOf(c *cli.Context, flag string) (ids []finding.Kind, err error) {
	for _, value := range c.StringSlice(flag) {
		for name := range strings.SplitSeq(value, ",") {
			name = strings.TrimSpace(name)
			if group, ok := finding.ParseGroup(name); ok && flag != "also" {
				ids = append(ids, group.Kinds()...)
				continue
			}
			id, ok := finding.Parse(name)
			if !ok || id.Severity() == finding.Asked {
				return nil, failure.Misuse("regfsck explain lists all of them.", "--%s: there is no finding %q%s", flag, name, spelling.DidYouMean(name, findingNames(), ""))
			}
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// tries is how many answers to a question are read before it counts as refused.
const tries = 3

// ask returns nil if a person at the terminal types word. The prompt after a wrong answer
// describes it as what.
func ask(ctx context.Context, s *session, question, what, word string) error {
	if !s.asks() {
		return failure.New(exitcode.Refused, errors.New("refused: no terminal to ask on (use --yes)"), failure.NothingChanged)
	}
	lines := make(chan string)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(s.stdin); in.Scan(); {
			select {
			case lines <- strings.TrimSpace(in.Text()):
			case <-stop:
				return
			}
		}
	}()
	for left := tries; left > 0; left-- {
		fmt.Fprint(s.stderr, words.Clean(question))
		select {
		case <-ctx.Done():
			fmt.Fprintln(s.stderr)
			return ctx.Err()
		case line, more := <-lines:
			switch {
			case more && line == word:
				return nil
			case !more:
				fmt.Fprintln(s.stderr)
				left = 1
			case left > 1:
				fmt.Fprintln(s.stderr, "That is not "+what+". Try again, or press Ctrl-C to stop.")
			}
		}
	}
	return failure.New(exitcode.Refused, errors.New("refused: that is not "+what), failure.NothingChanged)
}

// redisOf parses the address of the registry's cache. It refuses a password on the command
// line: other users of the machine can read it there, and reports repeat the command.
func redisOf(c *cli.Context) (*rediscache.Cache, error) {
	address := c.String(settings.RedisName)
	if address == "" {
		return nil, nil
	}
	if _, set := elsewhere(c.App, settings.RedisName); !set && rediscache.HasPassword(address) {
		return nil, failure.Misuse("Put the address into the variable REGFSCK_REDIS, or as redis: into the file of --config.", "--redis: a password doesn't belong on the command line, where everybody on this machine can read it")
	}
	cache, err := rediscache.Parse(address)
	if err != nil {
		return nil, failure.Misuse(seeHelp(c.Command.Name), "--redis %w", err)
	}
	return cache, nil
}

// reachRedis fails if the registry's cache can't be reached and the plan has steps.
func (j *job) reachRedis(ctx context.Context, r *report.Plan) error {
	if j.consent.redis == nil || len(r.Plan.Steps) == 0 {
		return nil
	}
	err := j.consent.redis.Answers(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return failure.New(exitcode.Incomplete, fmt.Errorf("--redis: %s: %w", j.consent.redis, err), failure.NothingChanged)
	}
	return nil
}

// forget empties the registry's cache after a run that changed something; nil if there is no
// cache or no change.
func (j *job) forget(ctx context.Context, out *apply.Outcome) *report.Forgotten {
	cache := j.consent.redis
	if cache == nil || out.Steps.Done == 0 {
		return nil
	}
	defer cache.Close()
	told := &report.Forgotten{Redis: cache.String(), Sure: cache.String() == j.target.RedisDatabase}
	var err error
	if told.Entries, err = cache.Forget(ctx); err != nil {
		told.Error = err.Error()
	}
	return told
}
