// Dist builds what people install: archives, packages, and a container image, each of
// regfsck for the platforms that it runs on. "make dist" runs it. It needs Go and
// nothing else: packages, images and lists of ingredients are made by libraries, which
// are at home in this module, so that nothing of them becomes a part of the program.
//
// What it makes depends on the commit and on the version of Go alone: files carry the
// time of the commit, and paths of the machine are in none. Two builds of one commit,
// wherever they are made, are equal byte for byte.
//
// The units and manifests that stand beside it go into what it builds as they are.
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

// part is one kind of what is made.
type part struct {
	name string
	make func(context.Context, *release) error
}

// parts are all there is, in the order in which they are made.
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

// choose reads a list of names; empty stands for all.
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

// checksumFile lists the files beside it, as sha256sum does.
const checksumFile = "SHA256SUMS"

// checksums writes the file by which sha256sum --check proves all others.
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

// list says what stands in the directory now.
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
