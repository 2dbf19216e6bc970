// Dist builds the archives, packages and container image of regfsck for its platforms.
// "make dist" runs it. It needs only Go: libraries make packages, images and lists of
// ingredients. This module requires them, so the program doesn't depend on them.
//
// The result depends only on the commit and the version of Go: files have the time of the
// commit, and no paths of the machine. Two builds of one commit are equal byte for byte,
// wherever they are made.
//
// The units and manifests in this directory are included unchanged.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

// part is one kind of files that are made.
type part struct {
	name string
	make func(context.Context, *release) error
}

// parts are all parts, in the order in which they are made.
var parts = []part{{"archives", archives}, {"packages", packages}, {"image", image}, {"sbom", sbom}}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("dist", flag.ContinueOnError)
	source := flags.String("source", "../..", "the project's `directory`")
	out := flags.String("out", "../../dist", "write to `directory`, which is made anew")
	only := flags.String("only", "", "make only these `parts`, separated by commas: archives, packages, image, sbom")
	on := flags.String("platforms", "", "build for these `platforms` alone, separated by commas: linux/amd64, …")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted, err := choose(*only, partNames())
	if err != nil {
		return err
	}
	chosen, err := choose(*on, platformNames())
	if err != nil {
		return err
	}
	r, err := newRelease(ctx, *source, *out)
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.build(ctx, chosen); err != nil {
		return err
	}
	for _, p := range parts {
		if !slices.Contains(wanted, p.name) {
			continue
		}
		if err := p.make(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if err := checksums(r.out); err != nil {
		return err
	}
	return r.list(stdout)
}

// choose parses a list of names; "" selects all.
func choose(list string, all []string) ([]string, error) {
	if list == "" {
		return all, nil
	}
	names := strings.Split(list, ",")
	for _, n := range names {
		if !slices.Contains(all, n) {
			return nil, fmt.Errorf("there is no %q among %s", n, strings.Join(all, ", "))
		}
	}
	return names, nil
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// checksumFile lists the checksums of the other files, as sha256sum does.
const checksumFile = "SHA256SUMS"

// checksums writes the file with which sha256sum --check verifies all others.
func checksums(dir string) error {
	var lines strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		sum, err := sumOf(path)
		fmt.Fprintf(&lines, "%s  %s\n", sum, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, checksumFile), []byte(lines.String()), 0o644)
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// list prints the files in the directory.
func (r *release) list(w io.Writer) error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "regfsck %s, commit %s, in %s\n", r.version, r.commit, r.out)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if e.IsDir() {
			fmt.Fprintf(w, "  %-44s   directory\n", e.Name())
		} else {
			fmt.Fprintf(w, "  %-44s  %6d KiB\n", e.Name(), (info.Size()+1023)/1024)
		}
	}
	return nil
}
