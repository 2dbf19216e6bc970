package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/backend/statedir"
	"regfsck/backend/words"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/rediscache"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/report/exitcode"
)

// stateName is the directory in a store's root that holds journals and what was
// taken away, unless --state names another.
const stateName = statedir.Name

var undos = []string{"auto", "none"}

// choiceFlags say what a plan is to be about.
func choiceFlags() []cli.Flag {
	return group(aboutPlan,
		&cli.StringSliceFlag{Name: "only", Usage: "do nothing about findings other than `IDS`, or than the groups repairs, garbage, error or warning (separated by commas, repeatable)"},
		&cli.StringSliceFlag{Name: "skip", Usage: "do nothing about findings of these `IDS` or groups"},
		&cli.StringSliceFlag{Name: "also", Usage: "also cure findings of these `IDS`, which is done only on request"},
		&cli.StringFlag{Name: "verify", Value: "manifests", DefaultText: "manifests", Usage: "hash `WHAT`: manifests only, or all blobs"},
		&cli.StringFlag{Name: "save-plan", Usage: "write the plan to `FILE`, for regfsck apply"},
	)
}

// consentFlags say what a run may do.
func (s *session) consentFlags() []cli.Flag {
	return group(aboutChange,
		yesFlag(),
		&cli.StringFlag{Name: "max-delete", Value: "25%", DefaultText: "25%", Usage: "refuse to remove more than `SHARE` of the blobs, manifests, tags, links or repositories; unless it is given, kinds of which there are fewer than 1,000 are not counted"},
		&cli.BoolFlag{Name: "allow-tagless", Usage: "let manifests without a tag be removed although a database may hold their tags"},
		runningFlag(),
		&cli.StringFlag{Name: "undo", Value: "auto", DefaultText: "auto", Usage: "keep what is removed for an undo, or not: `MODE` is auto or none"},
		stateFlag(), s.leaseFlag(),
		beforeFlag(), afterFlag(), redisFlag(),
	)
}

func yesFlag() cli.Flag {
	return &cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "don't ask"}
}

func runningFlag() cli.Flag {
	return &cli.BoolFlag{Name: "registry-running-ok", Usage: "go on although a registry answers at the configured address that isn't known to be read-only"}
}

func (s *session) leaseFlag() cli.Flag {
	return &cli.StringFlag{Name: "break-lease", Usage: "take over the lease of a " + s.nouns(leased, "") + " from the run `ID`, which must be dead"}
}

func stateFlag() cli.Flag {
	return &cli.StringFlag{Name: "state", Usage: "keep the journal and what is removed in the directory `DIR`", DefaultText: stateName + " in the store's root"}
}

// consent is what a run may do, and where it keeps its traces.
type consent struct {
	limits apply.Limits
	keep   bool   // what goes is kept for an undo
	state  string // --state as given
	yes    bool

	redis *rediscache.Cache // the registry's cache, which is emptied after the apply; nil for none

	before, after string // commands to run around the apply, "" for none

	breakLease string // the run whose lease is to be given back, "" for none
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
	if c.IsSet("max-delete") { // what a person says holds for small stores too
		a.limits.MinObjects = 0
	}
	if a.limits.MaxDelete, err = share(c.String("max-delete")); err != nil {
		return a, misuse(seeHelp(c.Command.Name), "--max-delete %w", err)
	}
	return a, nil
}

// share reads a percentage from 0 to 100 and returns it as a part of 1.
func share(s string) (float64, error) {
	digits, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || !(n >= 0 && n <= 100) {
		return 0, fmt.Errorf("is a share like 25%%, not %q", s)
	}
	return n / 100, nil
}

// stateDir returns the absolute state directory of a store, without links on the
// way to it. It may stand beside a registry's files, but not among them.
func (s *session) stateDir(given string, t location.Location) (string, error) {
	root := t.Traits().Root
	if given == "" && root == "" {
		return s.stateElsewhere(t)
	}
	if given == "" {
		return filepath.Join(root, stateName), nil
	}
	state, err := filepath.Abs(given)
	if err != nil {
		return "", misuse("", "--state %s: %w", given, err)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(state))
	if info, again := os.Stat(parent); err != nil || again != nil || !info.IsDir() {
		return "", misuse("", "--state %s: there is no directory %s to put it in", given, filepath.Dir(state))
	}
	state = filepath.Join(parent, filepath.Base(state))
	if root != "" && slices.ContainsFunc(location.Occupied(t, root), func(dir string) bool { return within(state, dir) }) {
		return "", misuse("", "--state %s: this is among the registry's own files", given)
	}
	if other := t.Intrudes(state, stateName, s.drivers); other != "" {
		return "", misuse("Give each store a state directory of its own.", "--state %s: this belongs to another store, %s", given, other)
	}
	return state, nil
}

// stateElsewhere returns the state directory of a store that holds none: one for
// each store, where the user keeps such things on this machine.
func (s *session) stateElsewhere(t location.Location) (string, error) {
	base := s.getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", misuse("Say with --state where the journal is to stand.", "%w", err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	sum := sha256.Sum256([]byte(t.Identity()))
	return filepath.Join(base, "regfsck", t.Traits().Label+"-"+hex.EncodeToString(sum[:4])), nil
}

// choice fills in the findings that a plan is about.
func choice(c *cli.Context, p *gc.Policy) error {
	only, err := idsOf(c, "only")
	if err != nil {
		return err
	}
	skip, err := idsOf(c, "skip")
	if err != nil {
		return err
	}
	also, err := idsOf(c, "also")
	if err != nil {
		return err
	}
	for id := range finding.Kinds {
		p.Skip[id] = slices.Contains(skip, id) || len(only) > 0 && !slices.Contains(only, id)
		p.Also[id] = slices.Contains(also, id)
		switch {
		case p.Also[id] && !id.OnRequest():
			return misuse("regfsck explain "+id.String()+" says what can be done about it.", "--also %v: this is not done on request%s", id, requests())
		case p.Also[id] && p.Skip[id]:
			return misuse(seeHelp(c.Command.Name), "--also %v: --only or --skip leaves it out", id)
		}
	}
	return nil
}

// requests names what --also takes.
func requests() string {
	var names []string
	for id := range finding.Kinds {
		if id.OnRequest() {
			names = append(names, id.String())
		}
	}
	return "; on request are " + strings.Join(names, ", ")
}

// idsOf reads a flag of findings' ids. What restricts a plan takes groups too; a request is
// made for each id by itself.
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
				return nil, misuse("regfsck explain lists all of them.", "--%s: there is no finding %q%s", flag, name, orNearest(name, findingNames(), ""))
			}
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// tries is how often a question is asked before it counts as refused.
const tries = 3

// ask returns nil if a person at a terminal types the word, which is called what.
func (s *session) ask(ctx context.Context, question, what, word string) error {
	if !s.asks() {
		return &failure{exitcode.Refused, errors.New("refused: no terminal to ask on (use --yes)"), nothingChanged}
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
	return &failure{exitcode.Refused, errors.New("refused: that is not " + what), nothingChanged}
}

// patience is how long a registry may take to answer.
const patience = 2 * time.Second

// presence is what is known of a registry at an address.
type presence int

// What a registry at work says of itself. Of several, the last one here counts.
const (
	away        presence = iota // none is there
	readOnly                    // it takes no pushes
	unclear                     // it may be either
	loginWanted                 // it tells nobody who hasn't logged in
	writable
)

// questions is how often in a row a registry must say that it is read-only, each time over
// a connection of its own: several may answer at one address in turn.
const questions = 10

// clause says it of a registry, behind its address.
func (p presence) clause() string {
	switch p {
	case away:
		return "doesn't answer"
	case readOnly:
		return "is read-only"
	case writable:
		return "takes pushes"
	case loginWanted:
		return "wants a login, and says to nobody else whether it is read-only"
	}
	return "doesn't say which methods it allows"
}

// answers finds out whether a registry is at work at an address, and whether it
// takes pushes. It asks the registry itself: its configuration may have been edited
// since it started, or a variable may say otherwise. What takes a connection is a
// registry, unless it says by its answer that it is some other service, or hangs up
// at once as a proxy does behind which nothing runs. Even one that is silent counts,
// since a registry that waits for its disk is, and --registry-running-ok leads past
// it. Nothing is sent but questions.
//
// A name may stand for several registries: each of its addresses is asked. Which registries
// a load balancer has behind one address nobody can know; what answers there is asked often
// enough that each is likely to have its turn.
func answers(ctx context.Context, s location.Server) presence {
	return answersOf(ctx, s, addresses(ctx, s))
}

// answersOf is answers of the given addresses.
func answersOf(ctx context.Context, s location.Server, addresses []string) (is presence) {
	for _, address := range addresses {
		if is = max(is, answersAt(ctx, s, address)); is == writable {
			break
		}
	}
	return is
}

// addresses returns all addresses, each with its port, that the name of a server stands for;
// the name itself where that can't be found out.
func addresses(ctx context.Context, s location.Server) (all []string) {
	host, port, err := net.SplitHostPort(s.Address)
	if s.Network != "tcp" || err != nil {
		return []string{s.Address}
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := net.DefaultResolver.LookupHost(limited, host)
	if err != nil {
		return []string{s.Address}
	}
	for _, ip := range found {
		if address := net.JoinHostPort(ip, port); !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

// answersAt is answers of one address.
func answersAt(ctx context.Context, s location.Server, address string) presence {
	root, taken, err := ask(ctx, s, address, http.MethodGet, "")
	if err != nil {
		if taken && ctx.Err() == nil && !hungUp(err) {
			return unclear
		}
		return away
	}
	if another(root) {
		return away
	}
	// A registry tells by Allow which methods it has for a manifest, whether there is
	// one or not; in maintenance none that writes. With a login it tells nobody.
	for range questions {
		manifest, _, err := ask(ctx, s, address, http.MethodOptions, "any/manifests/latest")
		switch {
		case err == nil && manifest.StatusCode == http.StatusUnauthorized:
			return loginWanted
		case err != nil || manifest.StatusCode != http.StatusOK:
			return unclear
		}
		if is := allowed(manifest.Header); is != readOnly {
			return is
		}
	}
	if root.Header.Get("Docker-Distribution-Api-Version") == "" { // it may be anything that answers
		return unclear
	}
	return readOnly
}

// allowed reads from the methods that a manifest has whether a registry takes pushes.
func allowed(h http.Header) presence {
	is := unclear
	for method := range strings.SplitSeq(strings.Join(h.Values("Allow"), ","), ",") {
		switch strings.TrimSpace(method) {
		case http.MethodPut, http.MethodDelete:
			return writable
		case http.MethodGet:
			is = readOnly
		}
	}
	return is
}

// ask asks at an address for a path below the API's root, over a connection of its own.
// taken reports whether that was made. The answer's body is closed.
func ask(ctx context.Context, s location.Server, address, method, path string) (answer *http.Response, taken bool, err error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, method, s.URL()+path, nil)
	if err != nil {
		return nil, false, err
	}
	var dialled atomic.Bool
	client := &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			// No name is certified for the way from the machine to itself, and
			// nothing secret is sent.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, s.Network, address)
				dialled.Store(err == nil)
				return c, err
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if answer, err = client.Do(request); err == nil {
		answer.Body.Close()
	}
	return answer, dialled.Load(), err
}

// answering says which registry is at work on the store and may change it, as a
// clause; "" if none is.
func (s *session) answering(ctx context.Context, t location.Location) string {
	if t.Server.Address == "" {
		return ""
	}
	at := "a registry answers at " + t.Server.String()
	switch is := s.answers(ctx, t.Server); {
	case is == away:
		return ""
	case is == readOnly && t.Cache:
		return at + ", and as a pull-through cache it writes what is pulled, read-only or not"
	case is == readOnly:
		return ""
	case is == writable && t.Server.ReadOnly:
		return at + " and takes pushes: its configuration says read-only, but it was started without that"
	case is == writable:
		return at + " and takes pushes"
	}
	return at + ", and it can't be told whether it is read-only: it didn't say which methods it allows (with a login it says so to nobody)"
}

// hungUp tells that a connection was closed without a word.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// another reports whether an answer to a question for the API's root can't be a
// registry's. A registry says 200 or 401, in trouble 429 or 5xx, and without its
// header where a check of its health fails; and 400 where it expects TLS. With 404 a
// proxy may hide it, or it may have another prefix than its configuration says.
func another(r *http.Response) bool {
	if r.Header.Get("Docker-Distribution-Api-Version") != "" {
		return false
	}
	switch r.StatusCode {
	case http.StatusOK, http.StatusUnauthorized, http.StatusBadRequest, http.StatusTooManyRequests, http.StatusNotFound:
		return false
	}
	return r.StatusCode < http.StatusInternalServerError
}
