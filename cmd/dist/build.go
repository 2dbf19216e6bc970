package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// platform is an operating system and an architecture.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// platforms are those of regfsck. Stores can be changed only on Unix systems: on Windows
// there are check, ls, why and what needs no store.
var platforms = []platform{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "arm64"}, {"windows", "amd64"}}

func platformNames() (names []string) {
	for _, p := range platforms {
		names = append(names, p.String())
	}
	return names
}

// program is regfsck, built for a platform.
type program struct {
	platform
	path string
}

// release is the release that is made.
type release struct {
	source, out string // directories
	work        string // a temporary directory
	version     string
	commit      string    // with "+dirty" if files differ from it; "" without a repository
	time        time.Time // of the commit, and of all files that are made
	host        program   // for the machine that this runs on
	programs    []program
	manifests   []file // for Kubernetes
	pages       []file // manual pages and completions, below /usr/share
}

// newRelease prepares a release, and makes the directory out.
func newRelease(ctx context.Context, source, out string) (r *release, err error) {
	r = &release{}
	if r.source, err = filepath.Abs(source); err != nil {
		return nil, err
	}
	if r.out, err = filepath.Abs(out); err != nil {
		return nil, err
	}
	if err := emptied(r.out); err != nil {
		return nil, err
	}
	if r.work, err = os.MkdirTemp("", "regfsck-dist-"); err != nil {
		return nil, err
	}
	if err := r.identify(ctx); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *release) close() { os.RemoveAll(r.work) }

// emptied makes a directory, or removes what an earlier run left there. One that has other
// files is refused.
func emptied(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, checksumFile)); err != nil {
			return fmt.Errorf("%s holds something that this program hasn't made (there is no %s): name another directory", dir, checksumFile)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o755)
}

// identify determines the commit and its time, and builds the program for this machine,
// which prints its version. Without a repository the time is SOURCE_DATE_EPOCH, or the
// beginning of 1980, the earliest that archives can store.
func (r *release) identify(ctx context.Context) error {
	r.time = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	if at, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		r.time = time.Unix(at, 0).UTC()
	}
	if _, err := os.Stat(filepath.Join(r.source, ".git")); err == nil {
		if err := r.readCommit(ctx); err != nil {
			return err
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	host, err := r.compile(ctx, platform{runtime.GOOS, runtime.GOARCH})
	if err != nil {
		return err
	}
	r.host = host
	said, err := r.output(ctx, nil, host.path, "version", "--json")
	if err != nil {
		return err
	}
	var answer struct{ Tool struct{ Version string } }
	if err := json.Unmarshal(said, &answer); err != nil {
		return err
	}
	r.version = answer.Tool.Version
	return nil
}

// readCommit determines the commit of the files, and its time.
func (r *release) readCommit(ctx context.Context) error {
	// The checkout may belong to another user, as in a container.
	trusted := []string{"-c", "safe.directory=" + r.source}
	said, err := r.output(ctx, nil, "git", append(trusted, "log", "-1", "--format=%H %ct")...)
	if err != nil {
		return err
	}
	commit, at, _ := strings.Cut(strings.TrimSpace(string(said)), " ")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return fmt.Errorf("the time of commit %s is %q: %w", commit, at, err)
	}
	r.commit, r.time = commit, time.Unix(seconds, 0).UTC()
	changes, err := r.output(ctx, nil, "git", append(trusted, "status", "--porcelain", "--untracked-files=no")...)
	if len(changes) > 0 {
		r.commit += "+dirty"
	}
	return err
}

// build compiles the program for each wanted platform.
func (r *release) build(ctx context.Context, wanted []string) error {
	for _, p := range platforms {
		if !slices.Contains(wanted, p.String()) {
			continue
		}
		b := r.host
		if p != b.platform {
			var err error
			if b, err = r.compile(ctx, p); err != nil {
				return err
			}
		}
		r.programs = append(r.programs, b)
	}
	var err error
	if r.manifests, err = r.readManifests(); err != nil {
		return err
	}
	return r.describe(ctx)
}

// compile builds a static program without symbols, paths of this machine, or the state of
// the repository: a flag sets the commit, so that all clones of the repository give the
// same bytes.
func (r *release) compile(ctx context.Context, p platform) (program, error) {
	name := "regfsck"
	if p.os == "windows" {
		name += ".exe"
	}
	b := program{p, filepath.Join(r.work, p.os+"-"+p.arch, name)}
	env := []string{"CGO_ENABLED=0", "GOOS=" + p.os, "GOARCH=" + p.arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=-mod=readonly"}
	_, err := r.output(ctx, env, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X regfsck/report.linkedCommit="+r.commit, "-o", b.path, "./cmd/regfsck")
	return b, err
}

// output runs a command in the project's directory and returns its output.
func (r *release) output(ctx context.Context, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = r.source, append(os.Environ(), env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, errs.Bytes())
	}
	return out, nil
}
