package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nobody is the user of the image, by number: the image has neither a shell nor a password
// file.
const nobody = "65532:65532"

// image writes an OCI layout with one index: an image for each architecture of Linux, which
// has only the program and the certificates that it trusts.
func image(_ context.Context, r *release) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	roots := certificates()
	for _, b := range r.programs {
		if b.os != "linux" {
			continue
		}
		one, err := r.imageOf(b, roots)
		if err != nil {
			return fmt.Errorf("%s: %w", b.arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: one, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: b.os, Architecture: b.arch}}})
	}
	to, err := layout.Write(filepath.Join(r.out, "image"), empty.Index)
	if err != nil {
		return err
	}
	return to.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": r.version}))
}

func (r *release) imageOf(b program, roots []byte) (v1.Image, error) {
	body, err := os.ReadFile(b.path)
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, files := range [][]file{
		{{"etc/ssl/certs/ca-certificates.crt", 0o644, roots}},
		{{"usr/bin/regfsck", 0o755, body}},
	} {
		var gz bytes.Buffer // once: the library would do it for the digest, and again for the file
		if err := r.tarball(&gz, files); err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(
			func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(gz.Bytes())), nil },
			tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		made := v1.History{Created: v1.Time{Time: r.time}, CreatedBy: "cmd/dist: " + files[0].name}
		if base, err = mutate.Append(base, mutate.Addendum{Layer: layer, History: made, MediaType: types.OCILayer}); err != nil {
			return nil, err
		}
	}
	config, err := base.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = b.os, b.arch, v1.Time{Time: r.time}
	config.Config = v1.Config{
		User: nobody, Entrypoint: []string{"/usr/bin/regfsck"}, Env: []string{"PATH=/usr/bin"}, WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":    "regfsck",
			"org.opencontainers.image.version":  r.version,
			"org.opencontainers.image.revision": r.commit,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return mutate.ConfigFile(base, config)
}

// certificates returns the root certificates that browsers trust, for buckets behind HTTPS.
func certificates() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
	}
	return b.Bytes()
}
