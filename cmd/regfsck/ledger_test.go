package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/walker/layout"
)

// proven is the part of a document about verified blobs.
type proven struct {
	Proofs struct {
		Hashed    graph.Amount `json:"hashed"`
		Known     graph.Amount `json:"hashed_before"`
		Manifests graph.Amount `json:"manifests"`
		Wrong     graph.Amount `json:"corrupt"`
		Unproven  graph.Amount `json:"not_hashed"`
	} `json:"proofs"`
	Corrupt  []graph.Blob `json:"corrupt"` // of a shard
	Unproven []graph.Blob `json:"unproven"`
	Findings []struct {
		ID, Path string
	} `json:"findings"`
	Notes []string
	Exit  struct{ Code int }
}

// corrupt returns the keys of corrupt blobs.
func (p *proven) corrupt() (keys string) {
	for _, f := range p.Findings {
		if f.ID == "blob-corrupt" {
			keys += f.Path + " "
		}
	}
	return keys
}

func (f *fake) proves(t *testing.T, args ...string) (p proven) {
	t.Helper()
	if exit := f.document(t, &p, append([]string{"check", "STORE"}, args...)...); exit != p.Exit.Code {
		t.Errorf("%q: exit %d, and %d says the document", args, exit, p.Exit.Code)
	}
	var named graph.Amount
	for _, b := range p.Unproven {
		named.Blobs, named.Bytes = named.Blobs+1, named.Bytes+b.Bytes
	}
	if all := slices.Contains(args, "--verified"); all && named != p.Proofs.Unproven || !all && named.Blobs > 0 {
		t.Errorf("%q: %+v is named of %+v", args, named, p.Proofs.Unproven)
	}
	return p
}

// layerOf returns the key of a blob that only --verify reads.
func layerOf(t *testing.T, b *fixtures.Builder) string {
	t.Helper()
	for _, key := range b.Keys() {
		if file, _ := b.File(key); strings.HasSuffix(key, "/data") && strings.HasPrefix(key, layout.Blobs) && len(file.Body) > 300 && !bytes.HasPrefix(file.Body, []byte("{")) {
			return key
		}
	}
	t.Fatal("no layer")
	return ""
}

// hashTwice hashes a store twice with a ledger, and a third time after spoil has changed a
// blob.
func (f *fake) hashTwice(t *testing.T, key string, spoil func(), flags ...string) {
	t.Helper()
	flags = append(flags, "--verify", "all", "--ledger", "DIR/ledger")
	first := f.proves(t, flags...)
	all := first.Proofs.Hashed
	if first.Exit.Code != 0 || all.Blobs < 20 || first.Proofs.Known.Blobs+first.Proofs.Unproven.Blobs > 0 {
		t.Fatalf("first: %+v, %s", first, f.errs.String())
	}
	second := f.proves(t, flags...)
	if second.Exit.Code != 0 || second.Proofs.Hashed.Blobs != 0 || second.Proofs.Known != all || second.Proofs.Manifests != first.Proofs.Manifests {
		t.Errorf("second: %+v", second)
	}
	spoil()
	for range 2 { // a wrong blob is hashed each time
		third := f.proves(t, flags...)
		if third.Exit.Code&4 == 0 || third.corrupt() != key+" " || third.Proofs.Wrong.Blobs != 1 || third.Proofs.Known.Blobs != all.Blobs-1 || third.Proofs.Hashed.Blobs != 0 {
			t.Errorf("after the change: %+v", third)
		}
	}
}

// TestLedgerOnDisk: only changed blobs are hashed again; silent corruption is found at the
// next verification.
func TestLedgerOnDisk(t *testing.T) {
	b := fixtures.Standard()
	f := newWhole(t, b)
	key := layerOf(t, b)
	path := filepath.Join(f.store, key)
	file, _ := b.File(key)
	bad := append([]byte{}, file.Body...)
	bad[100] ^= 1
	f.hashTwice(t, key, func() { // size, time and inode are unchanged; the change time isn't
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, file.Modified, file.Modified); err != nil {
			t.Fatal(err)
		}
	})

	f.rewrite(t, b)
	started := f.now()
	all := f.proves(t, "--verify", "all", "--ledger", "DIR/rot").Proofs.Hashed
	f.check = rotting(key, bad)
	f.now = func() time.Time { return started.AddDate(0, 0, 90) }
	if p := f.proves(t, "--verify", "all", "--ledger", "DIR/rot"); p.Exit.Code != 0 || p.Proofs.Known != all {
		t.Errorf("within 90 days: %+v", p)
	}
	if p := f.proves(t, "--verify", "all", "--ledger", "DIR/rot", "--reverify-after", "30d"); p.corrupt() != key+" " || p.Proofs.Hashed.Blobs != all.Blobs-1 {
		t.Errorf("after 30 days: %+v", p)
	}
	f.now = func() time.Time { return started.AddDate(0, 0, 91) }
	if p := f.proves(t, "--verify", "all", "--ledger", "DIR/rot"); p.corrupt() != key+" " || p.Proofs.Wrong.Blobs != 1 {
		t.Errorf("after 91 days: %+v", p)
	}
}

// TestLedgerOfBuckets does the same on two real servers, by ETag.
func TestLedgerOfBuckets(t *testing.T) {
	for name, opts := range map[string]s3test.Options{"versitygw": {}, "minio": {MinIO: true}} {
		t.Run(name, func(t *testing.T) {
			b := fixtures.Standard()
			f, s := newWhole(t, fixtures.New(1)), s3test.Start(t, opts)
			credentials(t, s)
			f.now = func() time.Time { return time.Now().AddDate(0, 0, 3) }
			made := s.Make(t, "ledger")
			made.Fill(t, s3test.From(b.Into, ""))
			f.store = "s3://ledger"
			key := layerOf(t, b)
			file, _ := b.File(key)
			bad := append([]byte{}, file.Body...)
			bad[100] ^= 1
			f.hashTwice(t, key, func() { made.Put(t, key, bad) }, "--s3-endpoint", s.Endpoint, "--no-wait")
		})
	}
}

// TestNightsAndBudgets: thirty nights cover all blobs, and a budget selects those hashed
// longest ago.
func TestNightsAndBudgets(t *testing.T) {
	f := newWhole(t, fixtures.Standard())
	all := f.proves(t, "--verify", "all", "--ledger", "DIR/all").Proofs.Hashed
	var sum graph.Amount
	for night := 1; night <= 30; night++ {
		p := f.proves(t, "--verify", strconv.Itoa(night)+"/30", "--ledger", "DIR/nights")
		sum.Blobs += p.Proofs.Hashed.Blobs
		sum.Bytes += p.Proofs.Hashed.Bytes
		if p.Proofs.Known.Blobs+p.Proofs.Hashed.Blobs != sum.Blobs || p.Exit.Code != 0 {
			t.Errorf("night %d: %+v, and %+v so far", night, p, sum)
		}
	}
	if sum != all {
		t.Errorf("thirty nights hash %+v of %+v", sum, all)
	}

	last, started := 0, f.now()
	for day := 0; ; day++ {
		f.now = func() time.Time { return started.AddDate(0, 0, day) }
		p := f.proves(t, "--verify", "8KiB", "--ledger", "DIR/budget", "--reverify-after", "52w")
		if p.Proofs.Hashed.Bytes > 8<<10 && p.Proofs.Hashed.Blobs > 1 {
			t.Errorf("day %d: %+v", day, p)
		}
		if p.Proofs.Hashed.Blobs == 0 {
			if p.Proofs.Known != all || last < 2 {
				t.Errorf("after %d days %+v of %+v is known", last, p.Proofs.Known, all)
			}
			break
		}
		last = day
	}
	// The blobs of the first day are the oldest.
	f.now = func() time.Time { return started.AddDate(0, 0, 40) }
	p := f.proves(t, "--verify", "8KiB", "--ledger", "DIR/budget", "--reverify-after", "1d")
	again := f.proves(t, "--verify", "all", "--ledger", "DIR/budget", "--reverify-after", strconv.Itoa(40-last)+"d")
	if p.Proofs.Hashed.Blobs == 0 || again.Proofs.Known.Blobs < p.Proofs.Hashed.Blobs || again.Proofs.Hashed.Blobs+again.Proofs.Known.Blobs != all.Blobs {
		t.Errorf("%+v, then %+v", p, again)
	}
}

// TestShards: parts that were hashed separately verify the store together; a missing, foreign
// or edited one is reported and verifies nothing.
func TestShards(t *testing.T) {
	b := fixtures.Standard()
	f := newWhole(t, b)
	const shards = 4
	var listed graph.Amount
	for i := range shards {
		f.env[completionIndex] = strconv.Itoa(i)
		for _, shard := range []string{strconv.Itoa(i+1) + "/" + strconv.Itoa(shards), strconv.Itoa(shards)} { // twice: the same part
			if exit := f.run("check", "STORE", "--shard", shard, "--ledger", "DIR/part-"+strconv.Itoa(i), "--json"); exit != 0 {
				t.Fatalf("exit %d, %s", exit, f.errs.String())
			}
			var s struct {
				Part, Listed graph.Amount
				Proofs       struct {
					Hashed graph.Amount
					Known  graph.Amount `json:"hashed_before"`
				}
			}
			if err := json.Unmarshal(f.out.Bytes(), &s); err != nil {
				t.Fatal(err)
			}
			if s.Proofs.Hashed.Blobs+s.Proofs.Known.Blobs != s.Part.Blobs || shard == strconv.Itoa(shards) && s.Proofs.Hashed.Blobs > 0 {
				t.Errorf("shard %s: %+v", shard, s)
			}
			listed = s.Listed
		}
	}
	whole := f.proves(t, "--verified", "DIR/part-*")
	if whole.Exit.Code != 0 || whole.Proofs.Hashed.Blobs+whole.Proofs.Unproven.Blobs > 0 || whole.Proofs.Known.Blobs+whole.Proofs.Manifests.Blobs != listed.Blobs {
		t.Errorf("all parts: %+v of %+v", whole, listed)
	}

	lacking := f.proves(t, "--verified", "DIR/part-0", "--verified", "DIR/part-[13]")
	if lacking.Exit.Code != 8 || lacking.Proofs.Unproven.Blobs == 0 || lacking.Proofs.Unproven.Blobs+lacking.Proofs.Known.Blobs != whole.Proofs.Known.Blobs {
		t.Errorf("a part is lacking: %+v", lacking)
	}
	if exit := f.run("check", "STORE", "--verified", "DIR/part-0"); exit != 8 || !strings.Contains(f.out.String(), "INCOMPLETE: ") || !strings.Contains(f.out.String(), " --verify missing") {
		t.Errorf("exit %d, %s", exit, f.out.String())
	}
	if exit := f.run("check", "STORE", "--verified", "DIR/part-0", "--verified", "DIR/part-[13]"); exit != 8 || !strings.Contains(f.out.String(), lacking.Unproven[len(lacking.Unproven)-1].Key) {
		t.Errorf("exit %d: it isn't named in %s", exit, f.out.String())
	}
	if exit := f.run("check", "STORE", "--verified", "DIR/part-0", "--report", "DIR/report.json"); exit != 8 || f.run("show", "DIR/report.json", "--json") != 0 || !strings.Contains(f.out.String(), lacking.Unproven[0].Key) {
		t.Errorf("exit %d: it isn't named again in %s", exit, f.out.String())
	}
	rest := f.proves(t, "--verified", "DIR/part-0", "--verified", "DIR/part-[13]", "--verify", "missing")
	if rest.Exit.Code != 0 || rest.Proofs.Hashed != lacking.Proofs.Unproven || rest.Proofs.Unproven.Blobs > 0 {
		t.Errorf("what is missing: %+v", rest)
	}

	part := filepath.Join(f.dir, "part-2")
	body, err := os.ReadFile(part)
	if err != nil {
		t.Fatal(err)
	}
	body[len(body)-60] ^= 1
	if err := os.WriteFile(part, body, 0o600); err != nil {
		t.Fatal(err)
	}
	edited := f.proves(t, "--verified", "DIR/part-*")
	if edited.Exit.Code != 8 || edited.Proofs.Unproven.Blobs == 0 || edited.Proofs.Unproven.Blobs > lacking.Proofs.Unproven.Blobs || !strings.Contains(strings.Join(edited.Notes, "\n"), "part-2 was changed, or is damaged, at byte") {
		t.Errorf("an edited part: %+v", edited)
	}

	key := layerOf(t, b)
	fresh := filepath.Join(f.store, key)
	file, _ := b.File(key)
	if err := os.WriteFile(fresh, append([]byte("x"), file.Body[1:]...), 0o644); err != nil { // the parts are outdated now
		t.Fatal(err)
	}
	if p := f.proves(t, "--verified", "DIR/part-[013]", "--verify", "missing"); p.corrupt() != key+" " || p.Exit.Code&4 == 0 {
		t.Errorf("changed since: %+v", p)
	}
	if err := os.Chtimes(fresh, file.Modified, file.Modified); err != nil {
		t.Fatal(err)
	}
	for i := range shards {
		exit := f.run("check", "STORE", "--shard", strconv.Itoa(i+1)+"/4", "--ledger", "DIR/new-"+strconv.Itoa(i))
		if here := strings.Contains(f.out.String(), key); (exit == 4) != here || exit != 4 && exit != 0 {
			t.Errorf("shard %d: exit %d, %s", i+1, exit, f.out.String())
		}
	}
	if p := f.proves(t, "--verified", "DIR/new-*"); p.corrupt() != key+" " || p.Proofs.Wrong.Blobs != 1 || p.Exit.Code&8 != 0 {
		t.Errorf("a part that knows of a corrupt blob: %+v", p)
	}

	other := newWhole(t, b)
	other.dir = f.dir
	for _, args := range [][]string{{"--verified", "DIR/part-0"}, {"--verify", "all", "--ledger", "DIR/part-0"}, {"--shard", "1/4", "--ledger", "DIR/part-0"}} {
		if exit := other.run(append([]string{"check", "STORE"}, args...)...); exit != 16 || !strings.Contains(other.errs.String(), "part-0 is the ledger of another store: "+f.store) {
			t.Errorf("%q of another store: exit %d, %s", args, exit, other.errs.String())
		}
	}
}

func TestLedgerArguments(t *testing.T) {
	f := newFake(t)
	f.env[completionIndex] = "9"
	write(t, f.dir+"/text", "no ledger, but a text of some length")
	for args, want := range map[string]string{
		"--ledger DIR/l":                                       "--ledger needs --verify",
		"--verify all --ledger=":                               "--ledger needs a FILE",
		"--verify all --ledger STORE/l":                        "this is inside the store",
		"--verify all --ledger DIR/nowhere/l":                  "DIR/nowhere/l",
		"--verify all --ledger DIR/text":                       "DIR/text is no ledger: name another file",
		"--verify 0/30":                                        "--verify is manifests",
		"--verify 31/30":                                       "--verify is manifests",
		"--verify 0GiB":                                        "--verify is manifests",
		"--verify 99999999PiB":                                 "--verify is manifests",
		"--verify 200GiB":                                      "--verify 200GiB needs --ledger",
		"--verify missing":                                     "--verify missing needs --verified",
		"--verify all --verified DIR/text":                     "--verified can be used with --verify missing",
		"--verified DIR/nothing-*":                             "there is no such file",
		"--verified DIR/text":                                  "DIR/text is no ledger",
		"--reverify-after 3d":                                  "--reverify-after needs --ledger or --verified",
		"--verify all --ledger DIR/l --reverify-after x":       "--reverify-after is a duration",
		"--shard 1/2":                                          "--shard needs --ledger",
		"--shard 3/2 --ledger DIR/l":                           "--shard is a part like 3/10",
		"--shard 9 --ledger DIR/l":                             "$JOB_COMPLETION_INDEX is \"9\", and has to be a number from 0 to 8",
		"--shard 1/2 --ledger DIR/l --untagged":                "can't be used with --untagged",
		"--shard 1/2 --ledger DIR/l --verify all":              "can't be used with --verify",
		"--shard 1/2 --ledger DIR/l --verified DIR/text":       "can't be used with --verified",
		"--shard 1/2 --ledger DIR/l --report DIR/report.junit": "the name's ending selects",
	} {
		want = strings.ReplaceAll(want, "DIR", f.dir)
		if exit := f.run(append([]string{"check", "STORE"}, strings.Fields(args)...)...); exit != 16 || !strings.Contains(f.errs.String(), want) || f.seen != nil {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
	}
	delete(f.env, completionIndex)
	if exit := f.run("check", "STORE", "--shard", "2", "--ledger", "DIR/l"); exit != 16 || !strings.Contains(f.errs.String(), "or name the part, such as 1/2") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}

// rottenStore is a store with wrong bytes in one file that the listing doesn't show.
type rottenStore struct {
	backend.Reader
	key  string
	body []byte
}

func (r rottenStore) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if key == r.key {
		return io.NopCloser(bytes.NewReader(r.body)), nil
	}
	return r.Reader.Open(ctx, key)
}

// rotting returns a check of a store in which a key has these bytes.
func rotting(key string, body []byte) func(context.Context, backend.Reader, check.Options) (*check.Result, []graph.Phase, error) {
	return func(ctx context.Context, r backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
		return check.Store(ctx, rottenStore{r, key, body}, o)
	}
}

// TestCommandsOfScale runs the commands of the topic scale in order.
func TestCommandsOfScale(t *testing.T) {
	topic, err := os.ReadFile("help/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	f := newWhole(t, fixtures.Standard())
	n := 0
	for line := range strings.Lines(string(topic)) {
		command, ok := strings.CutPrefix(line, "    regfsck ")
		if !ok || strings.Contains(command, "s3://") { // TestEveryCommandShown has a bucket
			continue
		}
		n++
		args := strings.Fields(strings.NewReplacer("/var/lib/registry", "STORE", "/var/lib/regfsck", "DIR", "'", "").Replace(command))
		if exit := f.run(args...); exit != 0 {
			t.Errorf("%s: exit %d, %s", command, exit, f.errs.String())
		}
	}
	if n < 8 {
		t.Errorf("the topic shows %d commands", n)
	}
}

// TestIndexedJob runs the pods of the Job in the topic scale one after the other, and checks
// with their ledgers.
func TestIndexedJob(t *testing.T) {
	topic, err := os.ReadFile("help/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(topic), "```\n")
	text, _, _ = strings.Cut(text, "```\n")
	var job struct {
		Kind string
		Spec struct {
			CompletionMode           string `yaml:"completionMode"`
			Completions, Parallelism int
			Template                 struct {
				Spec struct {
					Containers []struct{ Command, Args []string }
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(text), &job); err != nil {
		t.Fatal(err)
	}
	pods := job.Spec.Template.Spec.Containers
	if job.Kind != "Job" || job.Spec.CompletionMode != "Indexed" || job.Spec.Completions != job.Spec.Parallelism || len(pods) != 1 || strings.Join(pods[0].Command, " ") != "regfsck" {
		t.Fatalf("%+v", job)
	}
	f := newWhole(t, fixtures.Standard())
	for i := range job.Spec.Completions {
		f.env[completionIndex] = strconv.Itoa(i)
		var args []string
		for _, a := range pods[0].Args {
			args = append(args, strings.NewReplacer("/var/lib/registry", "STORE", "/var/lib/regfsck", "DIR", "$("+completionIndex+")", strconv.Itoa(i)).Replace(a))
		}
		if exit := f.run(args...); exit != 0 {
			t.Errorf("pod %d: exit %d, %s", i, exit, f.errs.String())
		}
	}
	if p := f.proves(t, "--verified", "DIR/part-*"); p.Exit.Code != 0 || p.Proofs.Known.Blobs < 20 || p.Proofs.Unproven.Blobs > 0 {
		t.Errorf("all pods: %+v", p)
	}
}
