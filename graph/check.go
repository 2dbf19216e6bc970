package graph

import (
	"context"
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/cache"
)

// Options say how a store is read and judged.
type Options struct {
	Workers          int           // files read at once; 0 for the default
	Grace            time.Duration // garbage younger than this is counted apart
	UploadsOlderThan time.Duration // uploads that nobody wrote to for so long are stale
	Now              time.Time
	Thorough         bool                  // look beside blobs and links
	Cache            bool                  // a pull-through cache: layers may be absent
	Database         string                // what says that the registry keeps its links in a database, besides a mark in the store; "" for nothing
	UnlessMarked     bool                  // Database holds only where no mark says that the store's links are files
	OwnSince         time.Time             // folders emptied since were emptied by regfsck itself, whose run was broken off; zero for none
	Removed          func(key string) bool // keys that were removed not long ago, which the listing may name all the same; nil for none
	Verify           Verify
	Again            bool         // the links will be listed again: see Scan.Same
	Known            *cache.Cache // manifests that were read before; nil for none
	Progress         Progress     // nil for none
	Lost             int          // how many orphans are read at most to count the whole images among them; 0 counts none

	// Wait waits for what is in motion, so that it can be judged. It is called once
	// at most; an error of it ends the check. nil judges at once, and says of what is
	// in motion that nobody knows.
	Wait func(context.Context, Motion) error

	Policy // how a Check judges

	// Choose is called by a Check once the store is read, and says what is to go:
	// the Policy's Removal. An error of it is the Check's, as it is. nil leaves the
	// Policy alone.
	Choose func(*Scan) (*Removal, error)
}

// Policy says what is to be kept, and what is to be done. The zero Policy keeps
// every manifest, and does all that needs no request.
type Policy struct {
	Untagged bool                   // revisions that no tag leads to are garbage
	Left     [finding.NumKinds]bool // findings that nothing is to be done about: what they would remove is kept
	Also     [finding.NumKinds]bool // findings whose cure needs a request, and has it
	Keep     map[string]bool        // keys that are to stay, whatever they are: each is a root; and multipart uploads, as plan.FullKey names them
	Removal  *Removal               // what is to go, whatever refers to it; nil for nothing
	Usage    bool                   // sum up who uses how much: see Result.Usage
}

// Leaves reports whether nothing is to be done about a kind of finding. What
// somebody asked for is never left.
func (p *Policy) Leaves(id finding.Kind) bool { return id < finding.NumKinds && p.Left[id] }

// Cures reports whether a cure that needs a request has it.
func (p *Policy) Cures(id finding.Kind) bool { return id < finding.NumKinds && p.Also[id] }

// Verify says whose bytes are hashed besides those of all manifests.
type Verify struct {
	All     bool
	Percent float64 // of the blobs, the same ones each time
}

// Progress is told how far a check is. Calls may come at once from several
// goroutines.
type Progress interface {
	Phase(name string)          // a new phase begins
	Total(n int64, unit string) // how much there is to do in it; "bytes" or a plural of things
	Add(n int64)                // so much more is done
}

// Phase is a phase that has ended.
type Phase struct {
	Name     string
	Count    int64
	Unit     string
	Duration time.Duration
}

// maxRounds bounds how often a check looks again at what it saw change.
const maxRounds = 3

// Scan is a store that has been read, and can be judged under any policy.
type Scan struct {
	Options
	w      *walker.Walker
	g      *graph
	phases []Phase
	under  string    // the phase under way
	unit   string    // of what it goes through, "" before that is known
	extent int64     // how much it goes through, as far as is known
	opened time.Time // when the first phase began
	waited bool      // for what was in motion
	began  time.Time
	count  int64       // of the phase under way
	links  fingerprint // of the listing of links
	inDB   string      // what says that the registry keeps its links in a database, "" for nothing

	unseen   error // why nobody knows what stands above the store's own directories
	unlisted error // why multipart uploads could not be listed
	unruled  error // why nobody knows of the store's own rules

	lost       *lostImages   // those that the last judgement went by; nil for none
	untagged   *judgement    // what a fix would make of manifests without a tag; nil until it is asked
	untaggedGo map[spot]bool // the revisions that go by it
}

// Check reads a store and judges it. It changes nothing. An error means that
// nothing can be said: the listing can't be trusted, or ctx has ended. The
// phases that have ended are returned in any case.
func Check(ctx context.Context, r backend.Reader, o Options) (*Result, []Phase, error) {
	s, err := Read(ctx, r, o)
	if err != nil {
		return nil, s.phases, err
	}
	if err := s.readRules(ctx); err != nil {
		return nil, s.phases, err
	}
	if o.Choose != nil {
		if s.Policy.Removal, err = o.Choose(s); err != nil {
			return nil, s.phases, err
		}
	}
	result, err := s.Judge(ctx, s.Policy)
	if err == nil {
		s.weighUntagged(result)
	}
	return result, s.phases, err
}

// Phases are those that have ended so far.
func (c *Scan) Phases() []Phase { return c.phases }

// Read reads a store: all blobs, then all links, then the manifests they name.
// The scan is returned with an error too, for its phases.
func Read(ctx context.Context, r backend.Reader, o Options) (*Scan, error) {
	c := &Scan{
		Options: o,
		w:       &walker.Walker{Reader: r, Workers: o.Workers, Thorough: o.Thorough, Removed: o.Removed, Cache: o.Known},
		g:       newGraph(o.Now, o.Grace),
		opened:  time.Now(),
	}
	c.links.seed = maphash.MakeSeed()
	if !o.OwnSince.IsZero() {
		c.g.ownSince = o.OwnSince.UnixNano()
	}
	steps := []struct {
		name, unit string
		do         func(context.Context) error
	}{
		{"blobs", "blobs", c.listBlobs},
		{"links", "links", c.listLinks},
		{"manifests", "manifests", c.readManifests},
		{"verify", "bytes", c.verify},
	}
	for _, s := range steps {
		if err := c.phase(ctx, s.name, s.unit, s.do); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Judge judges the store, and looks again at every key that seems to be absent
// or broken. It can be called more than once.
func (c *Scan) Judge(ctx context.Context, p Policy) (*Result, error) {
	var j *judgement
	err := c.phase(ctx, "judge", "problems", func(ctx context.Context) (err error) {
		j, err = c.judge(ctx, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	result := j.result(c.notes(j.judged()[0]))
	j.release()
	result.Scan, result.Cache, result.Doubts.Database = c, c.Cache, c.inDB
	return result, nil
}

// phase carries one phase out and notes what it came to.
func (c *Scan) phase(ctx context.Context, name, unit string, do func(context.Context) error) error {
	c.began, c.count = time.Now(), 0
	c.under, c.unit, c.extent = name, "", 0
	if c.Progress != nil {
		c.Progress.Phase(name)
	}
	err := do(ctx)
	if c.count > 0 || name != "verify" {
		c.phases = append(c.phases, Phase{name, c.count, unit, time.Since(c.began)})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// more says that the phase goes through n more than was known before; below 0:
// nobody knows how many. Where it turns to things of another unit, counting
// begins anew.
func (c *Scan) more(n int64, unit string) {
	if c.Progress == nil {
		return
	}
	if c.unit != unit && c.unit != "" {
		c.Progress.Phase(c.under)
		c.extent = 0
	}
	c.unit, c.extent = unit, c.extent+n
	c.Progress.Total(c.extent, unit)
}

func (c *Scan) add(n int64) {
	c.count += n
	c.show(n)
}

// show moves the progress on; from any goroutine.
func (c *Scan) show(n int64) {
	if c.Progress != nil {
		c.Progress.Add(n)
	}
}

// policyOf adds to a policy what the store itself asks for.
func (c *Scan) policyOf(asked Policy) policy {
	return policy{
		Policy: asked, cache: c.Cache, noOrphans: c.inDB != "",
		uploadsAfter: c.Now.Add(-c.UploadsOlderThan).UnixNano(),
	}
}

// judge judges the graph, looks again at all that seems to be absent or
// broken, and judges once more where the store has changed, a few times.
func (c *Scan) judge(ctx context.Context, asked Policy) (*judgement, error) {
	p := c.policyOf(asked)
	look := looker{g: c.g, w: c.w}
	for round := 1; ; round++ {
		if n := c.g.len() + len(c.g.past); n >= 1<<edgeBits {
			return nil, fmt.Errorf("%d digests are more than one run can hold", n)
		}
		j := c.g.judge(p)
		c.count = int64(len(j.problems))
		look.pending = c.patience()
		amended, err := look.settle(ctx, j, round > maxRounds)
		if err != nil {
			return j, err
		}
		if amended {
			c.lost, p.lost = nil, nil
		}
		if !amended {
			switch found, err := c.readInline(ctx, j); {
			case err != nil:
				return j, err
			case found:
				round--
				continue
			}
			if p.lost == nil && c.seeksLost(j) {
				lost, read, err := c.findLost(ctx, j)
				if err != nil {
					return j, err
				}
				c.lost, p.lost = lost, lost
				if read || j.Also[finding.ManifestLost] { // then judge anew, by that
					round--
					continue
				}
				j.countLost(lost)
			}
			waited, err := c.wait(ctx, look.pending)
			if err != nil || !waited {
				return j, err
			}
			round = 0
			continue
		}
		if round > maxRounds {
			return c.g.judge(p), nil
		}
		if err := c.readManifests(ctx); err != nil {
			return nil, err
		}
		if err := c.verify(ctx); err != nil {
			return nil, err
		}
	}
}

// notes are sentences about the store as a whole.
func (c *Scan) notes(j *judgement) []string {
	var notes []string
	if c.inDB != "" {
		notes = append(notes, "This registry keeps its links in a database, says "+c.inDB+": nothing here can tell which blobs are garbage, so none is called that.")
	}
	if c.Cache {
		notes = append(notes, "This is a pull-through cache: what it hasn't fetched yet is no damage.")
	}
	if j.totals.Repositories == 0 && j.totals.Blobs > 0 && !j.blind() {
		notes = append(notes, "There are blobs and no repository: is this the whole store? A disk that isn't mounted looks like this.")
	}
	if c.unlisted != nil {
		notes = append(notes, "Unfinished multipart uploads could not be listed, so none is reported: "+c.unlisted.Error())
	}
	if c.unseen != nil {
		notes = append(notes, "What may stand beside the store's own directories could not be listed: "+c.unseen.Error())
	}
	if c.unruled != nil {
		notes = append(notes, "Whether a rule of the bucket removes what the registry needs isn't known: "+c.unruled.Error())
	}
	if n := j.totals.TagsSchema1; n > 0 {
		const named = 3
		var refs []string
		for _, ref := range j.schema1[:min(n, named)] {
			r := &j.repos[ref.repo]
			refs = append(refs, r.name+":"+r.tags[ref.tag].name)
		}
		what := "1 tag is"
		if n > 1 {
			what = fmt.Sprint(n) + " tags are"
		}
		if n > named {
			refs = append(refs, "…")
		}
		notes = append(notes, what+" of schema 1, Docker's first image format ("+strings.Join(refs, ", ")+"): registry 2.x serves it, and 3.x can't. Push such images again with a client of today before an upgrade.")
	}
	if !c.Thorough {
		notes = append(notes, "What may stand beside a blob or a link wasn't looked for (--thorough does).")
	}
	return notes
}
