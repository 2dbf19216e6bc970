package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/location"
	"regfsck/report/exitcode"
)

// askEvery is how long wait-readonly waits between two questions.
const askEvery = time.Second

// waitReadonlyCommand waits until a registry takes no pushes.
func waitReadonlyCommand(s *session) *cli.Command {
	return complete(&cli.Command{
		Name:      "wait-readonly",
		ArgsUsage: "[flags] ADDRESS",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "timeout", Value: "5m", DefaultText: "5m", Usage: "give up after `DURATION`; 0s asks once"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "write nothing but errors"}, configFlag(),
		},
		Action: s.waitReadonly,
	})
}

func (s *session) waitReadonly(c *cli.Context) error {
	if c.NArg() != 1 {
		return misuse(seeHelp("wait-readonly"), "wait-readonly takes one ADDRESS, and %d were given", c.NArg())
	}
	server, err := location.ParseServer(c.Args().First())
	if err != nil {
		return misuse(seeHelp("wait-readonly"), "%w", err)
	}
	patience, err := span(c.String("timeout"))
	if err != nil {
		return misuse(seeHelp("wait-readonly"), "--timeout %w", err)
	}
	say := func(sentence string) {
		if !c.Bool("quiet") {
			s.say(sentence)
		}
	}
	is, err := s.awaitReadOnly(c.Context, server, s.now().Add(patience), say)
	switch {
	case err != nil:
		return err
	case is == readOnly && c.Bool("quiet"):
		return nil
	case is == readOnly:
		_, err := fmt.Fprintln(s.stdout, "The registry at "+server.String()+" is read-only.")
		return s.written(err)
	case is == loginWanted:
		return &failure{exitcode.Incomplete, errors.New(server.String() + " " + is.clause()), "Ask it where no login is wanted, or stop it for as long as its storage is changed."}
	}
	return &failure{exitcode.Refused, fmt.Errorf("%s %s, after %v", server, is.clause(), patience),
		"A registry reads its configuration when it starts: start it again with REGISTRY_STORAGE_MAINTENANCE_READONLY='{\"enabled\":true}'. Nothing was changed."}
}

// awaitReadOnly asks a registry until it is read-only, wants a login, or the time is
// over, and returns what it was at last. What it is meanwhile is said once each time
// that changes.
func (s *session) awaitReadOnly(ctx context.Context, server location.Server, until time.Time, say func(string)) (presence, error) {
	for last := presence(-1); ; {
		is := s.answers(ctx, server)
		if ctx.Err() != nil {
			return is, ctx.Err()
		}
		next := s.now().Add(askEvery)
		if is == readOnly || is == loginWanted || next.After(until) {
			return is, nil
		}
		if is != last {
			say("waiting: " + server.String() + " " + is.clause())
		}
		last = is
		if err := s.sleep(ctx, next); err != nil {
			return is, err
		}
	}
}
