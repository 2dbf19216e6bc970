package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// sbom writes, for each program, the modules that are in it as a CycloneDX document. It
// is read off the program itself, so that it tells what was linked and nothing else.
func sbom(ctx context.Context, r *release) error {
	for _, b := range r.programs {
		to := filepath.Join(r.out, fmt.Sprintf("regfsck_%s_%s_%s.cdx.json", r.version, b.os, b.arch))
		_, err := r.output(ctx, nil, "go", "-C", filepath.Join("cmd", "dist"), "tool", "cyclonedx-gomod", "bin",
			"-json", "-std", "-noserial", "-notimestamp", "-version", "v"+r.version, "-output", to, b.path)
		if err != nil {
			return err
		}
	}
	return nil
}
