package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"regfsck/cmd/regfsck/help"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/registry"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
)

// shown returns the command lines in README, topics and pages of commands, each once.
func shown(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := help.Read(text)
	if err != nil {
		t.Fatalf("README: %v", err)
	}
	for _, p := range slices.Concat([]help.Page{readme}, help.Topics(), help.Commands()) {
		for _, line := range p.Commands() {
			line, _, _ = strings.Cut(line, " > ")
			if !slices.Contains(all, line) {
				all = append(all, line)
			}
		}
	}
	return all
}

// TestEveryCommandShown runs each of these commands on a damaged store of its own, a
// directory or a bucket. Only paths and programs are replaced, and --yes confirms.
func TestEveryCommandShown(t *testing.T) {
	commands := shown(t)
	b := rotten()
	image := b.Image("team/app", "1.0", fixtures.Image{Layers: []int{70}})
	b.Image("ci/app", "pr-1", fixtures.Image{Layers: []int{80}})
	b.Image("repo1", "v1", fixtures.Image{Layers: []int{90}})
	f := newFix(t, b)
	whole := fixtures.Standard()
	if err := whole.WriteDir(filepath.Join(f.dir, "mnt/backup")); err != nil {
		t.Fatal(err)
	}
	writeFlat(t, whole, f.dir+"/containerd/io.containerd.content.v1.content", func(string) bool { return true })
	server := s3test.Start(t, s3test.Options{})
	credentials(t, server)
	bucket := server.Make(t, "bucket")
	for _, prefix := range []string{"", "prefix/"} {
		bucket.Fill(t, s3test.From(fixtures.Standard().Into, prefix))
	}
	inventoryOf(t, f.dir+"/inventory", bucket)
	f.run("export", "s3://bucket", "--batch-manifest", f.dir+"/blobs.csv", "--s3-endpoint", server.Endpoint)
	reports := server.Make(t, "reports")
	for name, body := range (&batchJob{images: bucket, created: f.now()}).run(t, f.dir+"/blobs.csv") {
		reports.Put(t, "regfsck/job-JOB-ID/"+name, body)
	}
	write(t, f.dir+"/config.yml", "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: "+f.store+"\n")
	write(t, f.dir+"/prod.yaml", "reg.example.com/team/app:1.0\n")
	if err := os.Chtimes(f.dir+"/prod.yaml", f.now(), f.now()); err != nil {
		t.Fatal(err)
	}
	write(t, f.dir+"/nginx/registry.log", access(f.now(), 91, map[string]int{"team/app/manifests/1.0": 24}))
	write(t, f.dir+"/policy.yml", policyShown(t))
	write(t, f.dir+"/programs/systemctl", "#!/bin/sh\n")
	if err := os.Chmod(f.dir+"/programs/systemctl", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(f.dir)
	write(t, f.dir+"/kept/README", "")
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // an empty registry
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		if r.URL.Path != "/v2/" {
			http.NotFound(w, r)
		}
	}))
	defer mirror.Close()
	places := strings.NewReplacer(
		"/var/lib/registry", f.store, "/mnt/registry", f.store, "/mnt/backup", f.dir+"/mnt/backup", "/var/lib/containerd", f.dir+"/containerd",
		"/etc/distribution/config.yml", f.dir+"/config.yml", "/var/log", f.dir, "/usr/local/share/man", f.dir+"/man",
		"/dev/shm/regfsck", f.dir+"/state", "/var/lib/regfsck", f.dir+"/kept", "/parts", f.dir+"/kept", "sha256:d306bb61", image.Digest.String()[:len("sha256:")+8], "https://minio.example:9000", server.Endpoint, "https://mirror.example", mirror.URL, "systemctl ", f.dir+"/programs/systemctl ",
	)
	demo := regexp.MustCompile(`/tmp/regfsck-demo-\d+`)
	changed := false
	for _, line := range commands {
		words := shellWords(demo.ReplaceAllString(places.Replace(line), f.store))[1:]
		if changed { // otherwise it is reused: state from earlier commands is about its files
			f.rewrite(t, b)
		}
		changed = words[0] != "check" || slices.Contains(words, "--follow")
		f.answers = func(context.Context, location.Server) registry.State { return registry.Absent }
		switch {
		case words[0] == "apply":
			f.run("fix", "STORE", "--save-plan", "tonight.plan")
		case words[0] == "undo" || words[0] == "purge":
			f.run("fix", "STORE", "--apply", "--yes")
		case words[0] == "show":
			f.run("check", "STORE", "--report", "report.json")
			f.run("fix", "STORE", "--save-plan", "tonight.plan")
			f.run("fix", "STORE", "--apply", "--yes")
		case words[0] == "diff":
			for _, name := range words[1:] {
				f.run("check", "STORE", "--report", name)
			}
		case words[0] == "accept":
			os.Remove("accepted.yml")
			f.run("check", "STORE", "--report", words[1])
		case slices.Contains(words, "--accept"):
			f.run("check", "STORE", "--report", "regfsck.json")
			f.run("accept", "regfsck.json", "--reason", "known", "--output", "accepted.yml")
		case slices.Contains(words, "--since"):
			f.run("check", "STORE", "--report", "old.json")
		case words[0] == "wait-readonly":
			f.answers = func(context.Context, location.Server) registry.State { return registry.ReadOnly }
		case slices.Contains(words, "--follow"):
			at := filepath.Join(f.store, words[len(words)-1])
			if err := os.Rename(at, f.aside(t)+"/blobs"); err != nil {
				t.Fatal(err)
			}
			aside, _ := filepath.Glob(filepath.Dir(f.store) + "/aside*/blobs")
			if err := os.Symlink(aside[0], at); err != nil {
				t.Fatal(err)
			}
		case strings.Contains(line, " s3://") && !strings.Contains(line, "--s3-endpoint"):
			words = append(words, "--s3-endpoint", server.Endpoint)
		}
		if _, all := newApp(&session{world: f.world}); all.Find(words[0]).Flag("yes") != nil && !slices.Contains(words, "--yes") {
			words = append(words, "--yes")
		}
		if exit := f.run(words...); exit&^(1|4) != 0 {
			t.Errorf("%s: exit %d, %s\n%.600s", line, exit, f.errs.String(), f.out.String())
		}
	}
	if len(commands) < 70 {
		t.Errorf("only %d commands are shown", len(commands))
	}
}

// policyShown returns the policy file in the topic retention.
func policyShown(t *testing.T) string {
	t.Helper()
	page, _ := help.Topic("retention")
	for _, b := range page.Blocks {
		if len(b.Lines) > 0 && b.Lines[0] == "version: 1" {
			return strings.Join(b.Lines, "\n") + "\n"
		}
	}
	t.Fatal("the topic retention shows no policy file")
	return ""
}

// shellWords splits a line at spaces outside single quotes.
func shellWords(line string) (words []string) {
	word, quoted, any := "", false, false
	for _, r := range line + " " {
		switch {
		case r == '\'':
			quoted, any = !quoted, true
		case r == ' ' && !quoted:
			if any {
				words = append(words, word)
			}
			word, any = "", false
		default:
			word, any = word+string(r), true
		}
	}
	return words
}
