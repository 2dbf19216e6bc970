package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
)

// sbom writes the modules of each program as a CycloneDX document. It reads them from the
// program, so that the document lists what was linked and nothing else.
func sbom(ctx context.Context, r *release) error {
	tool, err := r.output(ctx, nil, "go", "-C", filepath.Join("cmd", "dist"), "tool", "-n", "cyclonedx-gomod")
	if err != nil {
		return err
	}
	for _, b := range r.programs {
		made, err := r.output(ctx, []string{"GOOS=" + b.os, "GOARCH=" + b.arch}, strings.TrimSpace(string(tool)), "bin",
			"-json", "-std", "-noserial", "-notimestamp", "-version", "v"+r.version, b.path)
		if err != nil {
			return err
		}
		var bom cyclonedx.BOM
		if err := cyclonedx.NewBOMDecoder(bytes.NewReader(made), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
			return err
		}
		if bom.Metadata != nil && bom.Metadata.Tools != nil && bom.Metadata.Tools.Tools != nil {
			for i := range *bom.Metadata.Tools.Tools {
				(*bom.Metadata.Tools.Tools)[i].Hashes = nil // they depend on the machine that builds
			}
		}
		var out bytes.Buffer
		if err := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(&bom); err != nil {
			return err
		}
		to := filepath.Join(r.out, fmt.Sprintf("regfsck_%s_%s_%s.cdx.json", r.version, b.os, b.arch))
		if err := os.WriteFile(to, out.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
