package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/apk"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// units are the systemd units in this directory: a check, and its timer.
var units = []string{"regfsck-check.service", "regfsck-check.timer"}

// maintainer is the maintainer that packages name.
const maintainer = "The regfsck authors <regfsck@localhost.localdomain>"

const about = `fsck and garbage collector for the storage of a container registry
regfsck checks, repairs and garbage-collects the storage of a Docker or
CNCF Distribution registry, on a filesystem or in S3. It names the tags
that can't be pulled and why, plans repairs and the removal of garbage,
and undoes what it did.`

// packages writes a package of each kind for each architecture of Linux.
func packages(_ context.Context, r *release) error {
	for _, b := range r.programs {
		if b.os != "linux" {
			continue
		}
		for _, kind := range []string{"deb", "rpm", "apk"} {
			if err := r.pack(kind, b); err != nil {
				return fmt.Errorf("%s for %s: %w", kind, b.arch, err)
			}
		}
	}
	return nil
}

func (r *release) pack(kind string, b program) (err error) {
	packager, err := nfpm.Get(kind)
	if err != nil {
		return err
	}
	contents, err := r.packed(kind, b)
	if err != nil {
		return err
	}
	brief, whole, _ := strings.Cut(about, "\n")
	described := about
	switch kind {
	case "apk": // which reads only one line
		described = brief
	case "rpm": // which has a field for the first one
		described = whole
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "regfsck", Arch: b.arch, Platform: "linux", Version: r.version, Release: "1",
		Section: "admin", Priority: "optional", Maintainer: maintainer, Description: described, License: "Apache-2.0",
		MTime: r.time, DisableGlobbing: true,
		Overridables: nfpm.Overridables{Contents: contents, RPM: nfpm.RPM{
			BuildHost: "localhost", Packager: maintainer, Summary: brief, Group: "Applications/System", Compression: "gzip:6",
		}},
	})
	if err := nfpm.PrepareForPackager(info, kind); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(r.out, packager.ConventionalFileName(info)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(packager.Package(info, f), f.Close())
}

// packed returns the files of a package of one kind. Alpine has no systemd.
func (r *release) packed(kind string, b program) (all files.Contents, err error) {
	add := func(from, to string, mode os.FileMode) {
		all = append(all, &files.Content{Source: from, Destination: to, FileInfo: &files.ContentFileInfo{Mode: mode, Owner: "root", Group: "root", MTime: r.time}})
	}
	// made adds a file that is made here.
	made := func(to string, body []byte) {
		from := filepath.Join(r.work, kind, to)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(from), 0o755), os.WriteFile(from, body, 0o644))
		add(from, to, 0o644)
	}
	add(b.path, "/usr/bin/regfsck", 0o755)
	if kind != "apk" {
		for _, name := range units {
			add(r.beside("systemd", name), "/usr/lib/systemd/system/"+name, 0o644)
		}
	}
	for _, page := range r.pages {
		name := page.name
		if kind == "deb" { // site-functions are the administrator's there
			name = strings.Replace(name, "zsh/site-functions", "zsh/vendor-completions", 1)
		}
		made("/usr/share/"+name, page.body)
	}
	doc := "/usr/share/doc/regfsck/"
	add(filepath.Join(r.source, "README.md"), doc+"README.md", 0o644)
	for _, m := range r.manifests {
		made(doc+"kubernetes/"+m.name, m.body)
	}
	if kind != "deb" {
		add(filepath.Join(r.source, "LICENSE"), "/usr/share/licenses/regfsck/LICENSE", 0o644)
		return all, err
	}
	made(doc+"copyright", []byte(copyright))
	made("/usr/share/lintian/overrides/regfsck", []byte(overrides))
	news, newsErr := compressed([]byte(fmt.Sprintf(changes, r.version, maintainer, r.time.Format("Mon, 02 Jan 2006 15:04:05 -0700"))))
	made(doc+"changelog.Debian.gz", news)
	return all, errors.Join(err, newsErr)
}

// copyright is the licence in Debian's form.
const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: regfsck

Files: *
Copyright: 2026 The regfsck authors
License: Apache-2.0
 On Debian systems the full text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
`

// overrides are lintian's exceptions: the program uses nothing of the system, and the
// project has no mail address.
const overrides = `regfsck: statically-linked-binary
regfsck: bogus-mail-host
regfsck: bogus-mail-host-in-debian-changelog
`

// changes is a changelog of one entry in Debian's form; the program has the list of
// changes.
const changes = `regfsck (%s-1) stable; urgency=medium

  * What has changed is told by regfsck help changelog.

 -- %s  %s
`

// compressed returns a file as gzip, without its name and time.
func compressed(body []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(z, bytes.NewReader(body)); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}
