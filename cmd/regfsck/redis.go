package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/rediscache"
	"regfsck/graph/apply"
	"regfsck/report"
	"regfsck/report/exitcode"
)

const redisName = "redis"

func redisFlag() cli.Flag {
	return &cli.StringFlag{Name: redisName, Usage: "after the apply empty the registry's cache in the Redis at `URL`; one with a password is set by REGFSCK_REDIS or in the file of --config"}
}

// redisOf reads the address of the registry's cache. On the command line everybody on
// the machine could read a password, and what is given there is repeated in the
// commands that an answer suggests.
func redisOf(c *cli.Context) (*rediscache.Cache, error) {
	address := c.String(redisName)
	if address == "" {
		return nil, nil
	}
	if _, set := elsewhere(c.App, redisName); !set && rediscache.HasPassword(address) {
		return nil, misuse("Put the address into the variable REGFSCK_REDIS, or as redis: into the file of --config.", "--redis: a password doesn't belong on the command line, where everybody on this machine can read it")
	}
	cache, err := rediscache.Parse(address)
	if err != nil {
		return nil, misuse(seeHelp(c.Command.Name), "--redis %w", err)
	}
	return cache, nil
}

// reachRedis fails where the Redis that is to forget what is removed doesn't answer:
// better now than when it is gone.
func (j *job) reachRedis(ctx context.Context, r *report.Plan) error {
	if j.consent.redis == nil || len(r.Plan.Steps) == 0 {
		return nil
	}
	err := j.consent.redis.Answers(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return &failure{exitcode.Incomplete, fmt.Errorf("--redis: %s: %w", j.consent.redis, err), nothingChanged}
	}
	return nil
}

// forget empties the registry's cache after a run that changed something; nil where
// there is none or nothing was done.
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
