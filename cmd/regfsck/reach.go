package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/backend"
	"regfsck/backend/inventory"
	"regfsck/backend/words"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
	"regfsck/graph/check"
	"regfsck/report/exitcode"
)

// driverFlags are the options of the drivers.
func (s *session) driverFlags() (flags []cli.Flag) {
	for _, d := range s.drivers {
		for _, o := range d.Options {
			f := textFlag(o.Name, o.Usage, o.Default)
			if o.Switch {
				f = switchOption{&cli.BoolFlag{Name: o.Name, Usage: o.Usage, DefaultText: o.Default}, []string{o.Name}}
			}
			flags = append(flags, group("For a "+d.Traits.Noun, f)...)
		}
	}
	return flags
}

// noCacheFlag is for commands that read manifests.
func (s *session) noCacheFlag() cli.Flag {
	return group("For a "+s.nouns(costly, ""), switchFlag(noCache, "fetch every manifest of a "+s.nouns(costly, "")+", and keep none for the next run"))[0]
}

const noCache = "no-cache"

const listingName = "listing"

// listingFlag is for commands that never change a store.
func listingFlag() cli.Flag {
	return listFlag(listingName, "read the names of blobs and links from `FILE`, a listing that was made before, instead of listing the store (regfsck help scale; repeatable)")
}

// listedBy returns a reader that lists the store by the files, and a note on how old they are.
func listedBy(ctx context.Context, files []string, t location.Location, store backend.OpenedReader, o *check.Options) (*inventory.Reader, string, error) {
	at := inventory.Store{Container: t.Traits().Label, Prefix: t.Traits().Prefix}
	if root := t.Traits().Root; root != "" {
		at = inventory.Store{Prefix: filepath.Clean(root) + string(filepath.Separator), Base: t.Traits().Base}
	}
	o.Progress.Phase("listing")
	o.Progress.Total(-1, "keys")
	table, err := inventory.Read(ctx, files, at, o.Progress.Add)
	if ctx.Err() != nil {
		return nil, "", ctx.Err()
	}
	if err != nil {
		return nil, "", failure.Misuse("regfsck help scale shows how a listing is made.", "--listing %w", err)
	}
	made := "of "
	if !table.Dated {
		made = "whose file was written "
	}
	made += table.Made.UTC().Format("2006-01-02 15:04 UTC")
	perRequest := 1
	if t.Traits().RequestsCost {
		perRequest = 1000
	}
	note := fmt.Sprintf("The names of blobs and links are from a listing %s, %s: what was pushed or removed since is unknown. It is not used to plan removals: fix lists the store itself.", made, words.Ago(o.Now.Sub(table.Made), 2*time.Hour, "which is in the future"))
	return inventory.Over(store, table, o.Workers, perRequest), note, nil
}

// compared returns notes on how far a listing was compared with its store; none if it was not.
func compared(c *inventory.Comparison) (notes []string) {
	if c == nil {
		return nil
	}
	if c.Compared < c.Repositories {
		notes = append(notes, fmt.Sprintf("The listing's names of tags and manifests were compared with the store's in %s of %s. Of the others they are only known from the listing, and so is which blobs are garbage.", words.Number(c.Compared), words.Plural(c.Repositories, "repository", "repositories")))
	}
	if len(c.Listed) > 0 {
		notes = append(notes, "The store has names that the listing lacks. "+named(c.Listed, "This directory was", "These directories were")+" listed from the store itself: "+firstOf(c.Listed)+".")
	}
	if len(c.Lacking) > 0 {
		notes = append(notes, "The store has names that the listing lacks. What "+named(c.Lacking, "this directory contains", "these directories contain")+" is unknown: "+firstOf(c.Lacking)+". Make a new listing, or check without --listing.")
	}
	return notes
}

// named returns one for a single key, else many.
func named(keys []string, one, many string) string {
	if len(keys) == 1 {
		return one
	}
	return many
}

// firstOf returns the first keys, and how many more there are.
func firstOf(keys []string) string {
	const most = 3
	text := strings.Join(keys[:min(len(keys), most)], ", ")
	if n := len(keys) - most; n > 0 {
		text += " and " + words.Number(n) + " more"
	}
	return text
}

// reachFlags are all flags that say how to open and read a store.
func (s *session) reachFlags() []cli.Flag { return append(s.driverFlags(), s.noCacheFlag()) }

// reach returns the flags that were given to open and read the store.
func (s *session) reach(c *cli.Context) []string {
	return given(c, among(s.own("follow"), s.reachFlags()))
}

func costly(t backend.Traits) bool { return t.RequestsCost }
func leased(t backend.Traits) bool { return t.Leased }

// nouns lists the kinds of stores that have a trait, each with the ending.
func (s *session) nouns(has func(backend.Traits) bool, ending string) string {
	var names []string
	for _, d := range s.drivers {
		if name := d.Traits.Noun + ending; has(d.Traits) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// resolve returns the location that STORE names.
func (s *session) resolve(c *cli.Context, store string) (location.Location, error) {
	s.noCache, s.listings = c.Bool(noCache), c.StringSlice(listingName)
	if len(s.listings) > 0 && len(c.StringSlice("follow")) > 0 {
		return location.Location{}, failure.Misuse(seeHelp(c.Command.Name), "--listing can't be used with --follow: a listing doesn't have the targets of links")
	}
	if err := s.checkOptions(c); err != nil {
		return location.Location{}, err
	}
	l, err := location.Resolve(store, s.locationOptions(c))
	if err != nil {
		return l, failure.Misuse("", "%w", err)
	}
	return l, s.refuseInapplicable(c, l)
}

// checkOptions refuses invalid values of the drivers' options.
func (s *session) checkOptions(c *cli.Context) error {
	for _, d := range s.drivers {
		for _, o := range d.Options {
			if value := c.String(o.Name); o.Check != nil && !o.Switch && value != "" {
				if err := o.Check(value); err != nil {
					return failure.Misuse(seeHelp(c.Command.Name), "--%s %w", o.Name, err)
				}
			}
		}
	}
	return nil
}

// locationOptions returns what the names of stores are resolved with.
func (s *session) locationOptions(c *cli.Context) location.Options {
	given := map[string]string{}
	for _, d := range s.drivers {
		for _, o := range d.Options {
			switch {
			case o.Switch && c.Bool(o.Name):
				given[o.Name] = "true"
			case !o.Switch:
				given[o.Name] = c.String(o.Name)
			}
		}
	}
	values := backend.Values{Getenv: s.getenv, Option: func(name string) string { return given[name] }}
	return location.Options{Drivers: s.drivers, Values: values, Configs: s.configs}
}

// refuseInapplicable refuses flags that only another kind of store has.
func (s *session) refuseInapplicable(c *cli.Context, l location.Location) error {
	takes := func(d *backend.Driver, name string) bool {
		return slices.ContainsFunc(d.Options, func(o backend.Option) bool { return o.Name == name })
	}
	foreign := func(name string) string {
		if name == noCache && !l.Traits().RequestsCost {
			return s.nouns(costly, "s")
		}
		for i := range s.drivers {
			d := &s.drivers[i]
			if d.Scheme != "" && slices.ContainsFunc(c.StringSlice("from"), func(from string) bool { return strings.HasPrefix(from, d.Scheme+"://") }) {
				continue // the flag is about that source
			}
			if takes(d, name) && !takes(l.Driver, name) {
				return d.Traits.Noun + "s"
			}
		}
		return ""
	}
	words := given(c, func(name string) bool { return foreign(name) != "" })
	if len(words) == 0 {
		return nil
	}
	return failure.Misuse("", "%s is about %s, and %s is none", words[0], foreign(strings.TrimPrefix(words[0], "--")), l)
}

// takeOver removes the lease that --break-lease names, once.
func (j *job) takeOver(ctx context.Context) error {
	id := j.consent.breakLease
	if id == "" {
		return nil
	}
	j.consent.breakLease = ""
	w, err := j.writer(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	switch err := w.BreakLock(ctx, id); {
	case errors.Is(err, errors.ErrUnsupported):
		return failure.Misuse("", "--break-lease is for %s: the lock of a %s ends with its process", j.s.nouns(leased, "s"), j.target.Traits().Noun)
	case errors.Is(err, fs.ErrNotExist):
		return failure.Misuse("", "--break-lease %s: %w", id, err)
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return failure.New(exitcode.Incomplete, err, "Nothing was changed.")
	}
	return nil
}

// describe returns what a plan reports about the store besides its files; nil for stores
// without that. Errors become notes.
func (j *job) describe(ctx context.Context) *backend.Description {
	if j.target.Traits().KeptAs == "" {
		return nil
	}
	w, err := j.writer(ctx)
	if err != nil {
		return &backend.Description{Notes: []string{err.Error()}}
	}
	defer w.Close()
	d := w.Describe(ctx)
	return &d
}
