package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/graph/plan"
	"regfsck/report"
)

func beforeFlag() cli.Flag {
	return &cli.StringFlag{Name: "before", Usage: "run the shell command `CMD` before anything is changed; if it fails, nothing is changed"}
}

func afterFlag() cli.Flag {
	return &cli.StringFlag{Name: "after", Usage: "run the shell command `CMD` after the apply, however that ended"}
}

// hookGrace is how long a command that is told to end may take before it is killed.
const hookGrace = 10 * time.Second

// hooks runs the commands of --before and --after.
type hooks struct{ *session }

// around lets change happen between the commands of --before and --after. The second
// one runs whenever the first one was begun, also where that failed or nothing was
// changed: it may have to start a registry again. Where there is nothing to change
// neither runs.
func (s hooks) around(ctx context.Context, j *job, r *report.Plan, change func() (*report.Run, error)) (err error) {
	if len(r.Plan.Steps) == 0 && r.Unfinished == "" {
		_, err := change()
		return err
	}
	var done *report.Run
	if j.consent.after != "" {
		defer func() {
			failed := s.hook(context.WithoutCancel(ctx), "after", j.consent.after, append(planVars(j, r), s.outcomeVars(j, done, err)...))
			if failed == nil {
				return
			}
			s.say("--after failed: " + failed.Error())
			if f, ok := errors.AsType[*failure](err); ok {
				f.exit |= report.Incomplete
			} else if err == nil {
				s.exit |= report.Incomplete
			}
		}()
	}
	if j.consent.before != "" {
		vars := append(planVars(j, r), hookPrefix+"VERDICT=planned")
		switch failed := s.hook(ctx, "before", j.consent.before, vars); {
		case ctx.Err() != nil:
			return ctx.Err()
		case failed != nil:
			return &failure{report.Refused, fmt.Errorf("refused: --before failed: %w", failed), nothingChanged}
		}
	}
	done, err = change()
	return err
}

// planVars are the variables that tell a hook of the plan.
func planVars(j *job, r *report.Plan) []string {
	var bytes int64
	for i := range r.Plan.Steps {
		if step := &r.Plan.Steps[i]; step.Op == plan.Remove {
			bytes += step.Bytes
		}
	}
	return []string{
		hookPrefix + "COMMAND=" + j.command,
		hookPrefix + "STORE=" + j.target.Source(),
		hookPrefix + "STATE=" + j.state,
		hookPrefix + "PLAN=" + r.Plan.ID(),
		hookPrefix + "STEPS=" + strconv.Itoa(len(r.Plan.Steps)),
		hookPrefix + "BYTES=" + strconv.FormatInt(bytes, 10),
	}
}

// outcomeVars are the variables that tell a hook what became of the plan. done is nil where
// nothing was changed.
func (s hooks) outcomeVars(j *job, done *report.Run, err error) []string {
	exit := s.exit
	if f, ok := errors.AsType[*failure](err); ok {
		exit = f.exit
	} else if err != nil {
		exit = report.Cancelled
	}
	vars := []string{hookPrefix + "EXIT=" + strconv.Itoa(int(exit))}
	if done == nil {
		return append(vars, hookPrefix+"VERDICT=unchanged")
	}
	var reports []string
	for _, f := range j.out.files {
		reports = append(reports, f.path)
	}
	o := done.Outcome
	verdict := "done"
	switch {
	case o.Interrupted, err != nil:
		verdict = "stopped"
	case o.Steps.Skipped+o.Steps.Failed > 0, done.Forgotten != nil && done.Forgotten.Error != "":
		verdict = "partial"
	}
	return append(vars,
		hookPrefix+"VERDICT="+verdict,
		hookPrefix+"RUN="+o.Run,
		hookPrefix+"DONE="+strconv.Itoa(o.Steps.Done),
		hookPrefix+"SKIPPED="+strconv.Itoa(o.Steps.Skipped),
		hookPrefix+"FAILED="+strconv.Itoa(o.Steps.Failed),
		hookPrefix+"FREED="+strconv.FormatInt(o.Freed, 10),
		hookPrefix+"KEPT="+strconv.FormatInt(o.Kept, 10),
		hookPrefix+"REPORTS="+strings.Join(reports, "\n"),
	)
}

// hook runs a shell command that is told more by variables. What it prints goes to
// stderr, since stdout holds the answer alone.
func (s hooks) hook(ctx context.Context, name, command string, vars []string) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Env = append(append(s.environ(), vars...), hookPrefix+"NAME="+name)
	cmd.Stdout, cmd.Stderr = s.stderr, s.stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = hookGrace
	err := cmd.Run()
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("there is no /bin/sh that would run it")
	}
	return err
}
