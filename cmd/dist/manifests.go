package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// manifests are the files for Kubernetes in this directory: a nightly check, the
// maintenance window for garbage collection, and values of a chart for both.
var manifests = []string{"check.yaml", "window.yaml", "values.yaml"}

// hashJob is the Job whose pods share the hashing of a large store. The help topic on scale
// has its text.
const hashJob = "hash.yaml"

// readManifests returns the files for Kubernetes by their names.
func (r *release) readManifests() (files []file, err error) {
	for _, name := range manifests {
		body, err := os.ReadFile(r.beside("kubernetes", name))
		if err != nil {
			return nil, err
		}
		files = append(files, file{name, 0o644, body})
	}
	topic := filepath.Join(r.source, "cmd", "regfsck", "help", "scale.md")
	text, err := os.ReadFile(topic)
	if err != nil {
		return nil, err
	}
	_, block, found := strings.Cut(string(text), "```\napiVersion:")
	job, _, closed := strings.Cut(block, "```\n")
	if !found || !closed {
		return nil, fmt.Errorf("%s shows no manifest", topic)
	}
	var b bytes.Buffer
	b.WriteString("# Hashes a large store in parts, on many machines: regfsck help scale.\n")
	b.WriteString("# Put in your image and the names of your claims.\napiVersion:")
	b.WriteString(job)
	return append(files, file{hashJob, 0o644, b.Bytes()}), nil
}
