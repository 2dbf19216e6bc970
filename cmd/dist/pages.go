package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// shells are those for which the program prints completions, with the path of the file of
// each.
var shells = map[string]string{
	"bash": "bash-completion/completions/regfsck",
	"zsh":  "zsh/site-functions/_regfsck",
	"fish": "fish/vendor_completions.d/regfsck.fish",
}

// describe runs the program to write its manual pages and completions.
func (r *release) describe(ctx context.Context) error {
	for shell, name := range shells {
		text, err := r.output(ctx, nil, r.host.path, "completion", shell)
		if err != nil {
			return err
		}
		r.pages = append(r.pages, file{name, 0o644, text})
	}
	dir := filepath.Join(r.work, "man")
	if _, err := r.output(ctx, nil, r.host.path, "man", dir); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if body, err = compressed(body); err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, dir)) + ".gz"
		r.pages = append(r.pages, file{"man" + name, 0o644, body})
		return nil
	})
}
