package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"regfsck/backend/words"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/hook"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/registry"
	"regfsck/cmd/regfsck/settings"
	"regfsck/cmd/regfsck/value"
	"regfsck/report"
	"regfsck/report/exitcode"
)

// hooks runs the commands of --before and --after around one change and handles signals
// meanwhile. The first two signals don't reach a running command. The change stops at its
// next safe point. --after runs in any case, also when a second signal ends the change at
// once.
type hooks struct {
	*session
	job  *job
	plan *report.Plan

	mu       sync.Mutex
	running  *hook.Hook // nil if none is running
	name     string     // "before" or "after": the command that is running
	changing bool
	signals  int // received since the current command or change began
}

// enough is how many signals end a running command.
const enough = 3

// run makes the change between --before and --after and delivers its report. --after runs
// whenever --before was started, even if that failed or nothing was changed: it may have to
// restart a registry. If the plan is empty and no run is unfinished, neither command runs.
func (h *hooks) run(ctx context.Context, change func() (*report.Run, error)) error {
	before, after := h.job.consent.before, h.job.consent.after
	if len(h.plan.Plan.Steps) == 0 && h.plan.Unfinished == "" || before == "" && after == "" {
		done, err := change()
		if done == nil {
			return err
		}
		return deliverRun(h.session, done, h.job.out, err)
	}
	release := h.stops.Hold(h.signal)
	defer release()
	if ctx.Err() != nil { // a signal that arrived before signals were held
		return ctx.Err()
	}
	ended := after == ""
	defer func() {
		if !ended { // change panicked
			h.runAfter(nil, errPanic)
		}
	}()
	done, err := h.between(ctx, before, release, change)
	if done != nil {
		if err != nil {
			done.Exit |= exitcode.Incomplete
		}
		if err := keepReports(h.session, done, done.Exit, h.job.out); err != nil {
			h.say(err.Error())
			done.Exit |= exitcode.Incomplete
		}
	}
	if after != "" {
		ended = true
		h.runAfter(done, err)
	}
	release()
	if done == nil {
		return err
	}
	if done.After = h.after; done.After != nil {
		done.Exit |= exitcode.Incomplete
		if err := keepAgain(h.session, done, done.Exit, h.job.out); err != nil {
			h.say(err.Error())
		}
	}
	return interruptedRun(done, err, deliverAnswer(h.session, done, done.Exit, h.job.out))
}

// between runs --before and then change.
func (h *hooks) between(ctx context.Context, before string, release func(), change func() (*report.Run, error)) (*report.Run, error) {
	if before != "" {
		failed := h.command("before", before, append(planVars(h.job, h.plan), settings.HookPrefix+"VERDICT=planned"))
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case failed != nil:
			return nil, failure.New(exitcode.Refused, errors.New("refused: --before failed: "+failed.Error), failure.NothingChanged)
		}
	}
	if h.job.consent.after == "" {
		release()
		return change()
	}
	h.change(ctx, true)
	defer h.change(ctx, false)
	return change()
}

// change records that the change begins or has ended. A signal that arrived earlier counts as
// its first one.
func (h *hooks) change(ctx context.Context, begins bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changing, h.signals = begins, 0; ctx.Err() != nil {
		h.signals = 1
	}
}

// runAfter runs --after and records its failure in the session.
func (h *hooks) runAfter(done *report.Run, err error) {
	h.after = h.command("after", h.job.consent.after, append(planVars(h.job, h.plan), h.outcomeVars(done, err)...))
	if h.after != nil {
		h.say("--after failed: " + h.after.Error)
	}
}

// command runs a shell command with vars in its environment. Its output is written to stderr.
func (h *hooks) command(name, command string, vars []string) *report.HookFailure {
	h.mu.Lock()
	started, err := hook.Start(command, slices.Concat(h.environ(), vars, []string{settings.HookPrefix + "NAME=" + name}), h.stderr)
	h.running, h.name, h.signals = started, name, 0
	h.mu.Unlock()
	if err != nil {
		return &report.HookFailure{Exit: -1, Error: err.Error()}
	}
	err = started.Wait()
	h.mu.Lock()
	h.running = nil
	h.mu.Unlock()
	if err != nil {
		return &report.HookFailure{Exit: started.ExitCode(), Error: err.Error(), Output: started.Output()}
	}
	return nil
}

// signal handles one signal that would stop the run.
func (h *hooks) signal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.signals++
	switch left := enough - h.signals; {
	case h.running != nil && left > 0:
		then := ""
		if h.name == "before" {
			then = "; then nothing is changed"
			if h.job.consent.after != "" {
				then += ", and --after runs"
			}
		}
		h.say("waiting until --" + h.name + " has ended" + then + "; Ctrl-C " + words.Plural(left, "more time", "more times") + " ends it")
	case h.running != nil && left == 0:
		h.say("--" + h.name + " was sent SIGTERM; another Ctrl-C kills it")
		h.running.Terminate()
	case h.running != nil:
		h.say("--" + h.name + " is killed")
		h.running.Kill()
	case h.changing && h.signals > 1:
		h.job.out.say(endedAtOnce)
		exit := exitcode.Cancelled | exitcode.Incomplete
		vars := append(planVars(h.job, h.plan), settings.HookPrefix+"VERDICT=stopped", settings.HookPrefix+"EXIT="+strconv.Itoa(int(exit)), settings.HookPrefix+"NAME=after")
		if err := hook.Replace(h.job.consent.after, append(h.environ(), vars...), int(exit)); err != nil {
			h.job.out.say("it can't be stopped at once: " + err.Error())
		}
	}
}

// endedAtOnce is said by a second signal where --after is still to run.
const endedAtOnce = "the change was stopped at once, and nothing is lost; the same command completes it, and regfsck undo reverts it. --after runs now (SIGQUIT stops that)"

// planVars returns the variables that describe the plan to a command.
func planVars(j *job, r *report.Plan) []string {
	return []string{
		settings.HookPrefix + "COMMAND=" + j.command,
		settings.HookPrefix + "STORE=" + j.target.Source(),
		settings.HookPrefix + "STATE=" + j.state,
		settings.HookPrefix + "PLAN=" + r.Plan.ID(),
		settings.HookPrefix + "STEPS=" + strconv.Itoa(len(r.Plan.Steps)),
		settings.HookPrefix + "BYTES=" + strconv.FormatInt(r.Plan.Bytes(), 10),
	}
}

// errPanic stands for a change that panicked; its outcome is unknown.
var errPanic = errors.New("a panic")

// outcomeVars returns the variables that describe the outcome to --after. done is nil if
// nothing was changed, or if err is errPanic.
func (h *hooks) outcomeVars(done *report.Run, err error) []string {
	var exit exitcode.Code
	if done != nil {
		exit = done.Exit
	}
	unknown := errors.Is(err, errPanic)
	if f, ok := errors.AsType[*failure.Error](err); ok {
		exit |= f.Exit
	} else if unknown {
		exit |= exitcode.Incomplete
	} else if err != nil {
		exit |= exitcode.Cancelled
	}
	vars := []string{settings.HookPrefix + "EXIT=" + strconv.Itoa(int(exit))}
	switch {
	case unknown:
		return append(vars, settings.HookPrefix+"VERDICT=stopped")
	case done == nil:
		return append(vars, settings.HookPrefix+"VERDICT=unchanged")
	}
	reports := words.All(h.job.out.files, func(f *reportFile) string { return f.Path })
	o := done.Outcome
	verdict := "done"
	switch {
	case o.Interrupted, err != nil:
		verdict = "stopped"
	case o.Steps.Skipped+o.Steps.Failed > 0, done.Forgotten != nil && done.Forgotten.Error != "":
		verdict = "partial"
	}
	return append(vars,
		settings.HookPrefix+"VERDICT="+verdict,
		settings.HookPrefix+"RUN="+o.Run,
		settings.HookPrefix+"DONE="+strconv.Itoa(o.Steps.Done),
		settings.HookPrefix+"SKIPPED="+strconv.Itoa(o.Steps.Skipped),
		settings.HookPrefix+"FAILED="+strconv.Itoa(o.Steps.Failed),
		settings.HookPrefix+"FREED="+strconv.FormatInt(o.Freed, 10),
		settings.HookPrefix+"KEPT="+strconv.FormatInt(o.Kept, 10),
		settings.HookPrefix+"REPORTS="+strings.Join(reports, "\n"),
	)
}

// runWaitReadonly waits until a registry is read-only.
func runWaitReadonly(s *session, c *cli.Context) error {
	if c.NArg() != 1 {
		return failure.Misuse(seeHelp("wait-readonly"), "wait-readonly takes one ADDRESS, and %d were given", c.NArg())
	}
	server, err := location.ParseServer(c.Args().First())
	if err != nil {
		return failure.Misuse(seeHelp("wait-readonly"), "%w", err)
	}
	patience, err := value.Duration(c.String("timeout"))
	if err != nil {
		return failure.Misuse(seeHelp("wait-readonly"), "--timeout %w", err)
	}
	wait := registry.Wait{Ask: s.answers, Now: s.now, Sleep: s.sleep, Say: s.say}
	if c.Bool("quiet") {
		wait.Say = func(string) {}
	}
	is, err := wait.UntilReadOnly(c.Context, server, s.now().Add(patience))
	switch {
	case err != nil:
		return err
	case is == registry.ReadOnly && c.Bool("quiet"):
		return nil
	case is == registry.ReadOnly:
		return s.print("The registry at " + server.String() + " is read-only.\n")
	case is == registry.LoginWanted:
		return failure.New(exitcode.Incomplete, errors.New(server.String()+" "+is.String()), "Ask it where no login is wanted, or stop it for as long as its storage is changed.")
	}
	return failure.New(exitcode.Refused, fmt.Errorf("%s %s, after %v", server, is, patience),
		"A registry reads its configuration when it starts: start it again with REGISTRY_STORAGE_MAINTENANCE_READONLY='{\"enabled\":true}'. Nothing was changed.")
}
