package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/cmd/regfsck/settings"
	"regfsck/fixtures"
)

// settingsFile writes a settings file.
func (f *fake) settingsFile(body string) string {
	f.t.Helper()
	path := filepath.Join(f.dir, "regfsck.yml")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// TestPrecedence: the command line, a variable, the command's section of the file, the file,
// the default.
func TestPrecedence(t *testing.T) {
	f := newFake(t)
	f.settings = f.settingsFile("grace: 2h\nthorough: true\ncheck:\n  grace: 3h\nls: {grace: 4h}\n")
	for _, c := range []struct {
		args  string
		env   map[string]string
		grace time.Duration
	}{
		{"check STORE", nil, 3 * time.Hour},
		{"fix STORE", nil, 2 * time.Hour},
		{"check STORE", map[string]string{"REGFSCK_GRACE": "5h"}, 5 * time.Hour},
		{"check STORE --grace 6h", map[string]string{"REGFSCK_GRACE": "5h"}, 6 * time.Hour},
		{"check --grace=6h STORE", nil, 6 * time.Hour},
		{"check STORE --config /dev/null", nil, time.Hour},
		{"check STORE --config /dev/null", map[string]string{"REGFSCK_GRACE": ""}, time.Hour},
		{"check STORE", map[string]string{"REGFSCK_CONFIG": "/dev/null"}, time.Hour},
		{"check STORE --config " + f.settings, map[string]string{"REGFSCK_CONFIG": "/nowhere"}, 3 * time.Hour},
	} {
		f.env = c.env
		if exit := f.run(strings.Fields(c.args)...); exit != 0 || len(f.seen) == 0 {
			t.Fatalf("%s %v: exit %d, %s", c.args, c.env, exit, f.errs.String())
		}
		if got := f.seen[0]; got.Grace != c.grace || got.Thorough != (c.grace != time.Hour) {
			t.Errorf("%s %v: %v, thorough %v", c.args, c.env, got.Grace, got.Thorough)
		}
	}
}

func TestSwitchesAndListsAreSet(t *testing.T) {
	f := newFake(t)
	f.settings = f.settingsFile("untagged: true\nreport:\n  - " + f.dir + "/a.json\n  - " + f.dir + "/b.prom\n")
	written := func(names ...string) (n int) {
		for _, name := range names {
			if os.Remove(filepath.Join(f.dir, name)) == nil {
				n++
			}
		}
		return n
	}
	if exit := f.run("check", "STORE"); exit != 0 || !f.seen[0].Untagged || written("a.json", "b.prom") != 2 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	f.env = map[string]string{"REGFSCK_UNTAGGED": "false", "REGFSCK_REPORT": f.dir + "/c.json\n" + f.dir + "/d.json\n"}
	if exit := f.run("check", "STORE"); exit != 0 || f.seen[0].Untagged || written("c.json", "d.json") != 2 || written("a.json", "b.prom") != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	if exit := f.run("check", "STORE", "--untagged", "--report", "DIR/e.json"); exit != 0 || !f.seen[0].Untagged || written("e.json") != 1 || written("c.json") != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}

// TestErrorsOfSettings: an error about a flag that was set says where.
func TestErrorsOfSettings(t *testing.T) {
	f := newFake(t)
	for _, c := range []struct {
		file string
		env  map[string]string
		args string
		want []string
	}{
		{"# mine\ngrace: soon\n", nil, "check STORE", []string{`--grace is a duration`, "--grace is set by FILE, line 2.\n"}},
		{"", map[string]string{"REGFSCK_GRACE": "soon"}, "check STORE", []string{`--grace is a duration`, "--grace is set by REGFSCK_GRACE.\n"}},
		{"state: /no/such/place\n", nil, "fix STORE", []string{"--state /no/such/place: there is no", "--state is set by FILE, line 1.\n"}},
		{"fix:\n  max-delete: half\n", nil, "fix STORE", []string{"--max-delete is a share", "--max-delete is set by FILE, line 2.\n"}},
		{"thorough: perhaps\n", nil, "check STORE", []string{`FILE, line 1: --thorough is true or false, not "perhaps"`}},
		{"grce: 1h\n", nil, "check STORE", []string{"FILE, line 1: there is no flag --grce; did you mean grace?"}},
		{"grace: 1h\ngrace: 2h\n", nil, "check STORE", []string{"FILE, line 2: grace is given twice"}},
		{"grace: [1h, 2h]\n", nil, "check STORE", []string{"FILE, line 1: grace: it takes one value"}},
		{"grace:\n", nil, "check STORE", []string{"FILE, line 1: grace: it takes one value"}},
		{"chek: {grace: 1h}\n", nil, "check STORE", []string{`no command "chek" has settings; did you mean check?`}},
		{"explain: {color: never}\n", nil, "check STORE", []string{`no command "explain" has settings`}},
		{"ls: {state: /x}\n", nil, "check STORE", []string{"FILE, line 1: ls has no flag --state"}},
		{"fix: {apply: true}\n", nil, "check STORE", []string{"--apply can be given only on the command line"}},
		{"yes: true\n", nil, "fix STORE", []string{"--yes can be given only on the command line"}},
		{"- grace\n", nil, "check STORE", []string{"FILE, line 1: a file of settings has lines like"}},
		{"a: b: c\n", nil, "check STORE", []string{"--config FILE: yaml: "}},
		{"grace: 1h\n---\ngrace: 2h\n", nil, "check STORE", []string{"more than one document"}},
		{"", map[string]string{"REGFSCK_YES": "true"}, "fix STORE --apply", []string{"REGFSCK_YES: --yes can be given only on the command line"}},
		{"", map[string]string{"REGFSCK_GRCE": "1h"}, "check STORE", []string{"no flag for the variable REGFSCK_GRCE; did you mean REGFSCK_GRACE?"}},
		{"store: /var/lib/registry\n", nil, "check STORE", []string{"FILE, line 1: there is no flag --store: STORE is named on the command line"}},
		{"", map[string]string{"REGFSCK_STORE": "/x"}, "check STORE", []string{"REGFSCK_STORE: STORE is named on the command line"}},
		{"grace: 1h\ncheck: [grace]\n", nil, "check STORE", []string{"FILE, line 2: check is a command: write lines like"}},
		{"max_delete: 10%\n", nil, "check STORE", []string{"FILE, line 1: ", "such as max-delete"}},
		{"report: [a.json, {b: c}]\n", nil, "check STORE", []string{"FILE, line 1: report: it takes one value"}},
		{"", nil, "check STORE --config=", []string{"--config names no file"}},
		{"", nil, "check STORE --config DIR", []string{f.dir + " is no file"}},
		{"", nil, "check STORE --config DIR/none.yml", []string{"none.yml can't be read: no such file"}},
		{"", map[string]string{"REGFSCK_CONFIG": f.dir}, "check STORE", []string{"is no file"}},
	} {
		f.settings, f.env = f.settingsFile(c.file), c.env
		exit := f.run(strings.Fields(c.args)...)
		for _, want := range c.want {
			if want = strings.ReplaceAll(want, "FILE", f.settings); exit != 16 || !strings.Contains(f.errs.String(), want) || f.out.Len() > 0 {
				t.Errorf("%q %v %s: exit %d, no %q in %s", c.file, c.env, c.args, exit, want, f.errs.String())
			}
		}
	}
}

// TestIgnoredSettings: a missing default file, an empty one, sections of other commands, and
// variables of Kubernetes and hooks.
func TestIgnoredSettings(t *testing.T) {
	f := newFake(t)
	f.env = map[string]string{
		"REGFSCK_SERVICE_HOST": "10.0.0.1", "REGFSCK_PORT_80_TCP": "x", "REGFSCK_WEB_SERVICE_PORT": "1", "REGFSCK_HOOK_VERDICT": "done",
		"REGFSCK_KEEP_LAST": "3", "OTHER": "x",
	}
	for _, body := range []string{"", "# nothing\n", "prune:\n  keep-last: 3\n", "keep-last: 3\n"} {
		f.settings = f.settingsFile(body)
		if exit := f.run("check", "STORE"); exit != 0 {
			t.Errorf("%q: exit %d, %s", body, exit, f.errs.String())
		}
	}
	f.settings = f.dir + "/none.yml"
	if exit := f.run("check", "STORE"); exit != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	f.settings, f.env = f.settingsFile("nonsense: true\n"), nil
	for _, args := range []string{"explain", "version", "check --help"} { // without settings
		if exit := f.run(strings.Fields(args)...); exit != 0 {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
	}
}

// TestSuggestedCommandsRepeatSettings: suggested commands repeat flags from variables and
// named files, but not those from the default file.
func TestSuggestedCommandsRepeatSettings(t *testing.T) {
	f := newFake(t, aLeftover)
	f.settings, f.env = f.settingsFile("uploads-older-than: 9h\n"), map[string]string{"REGFSCK_GRACE": "7h"}
	if exit := f.run("check", "STORE", "--thorough"); exit != 0 || !strings.Contains(f.out.String(), "--thorough") {
		t.Fatalf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	_, next, _ := strings.Cut(f.out.String(), "\nNext: ")
	if !strings.Contains(next, "regfsck fix ") {
		t.Fatalf("no command leads on:\n%s", f.out.String())
	}
	if !strings.Contains(next, "--grace 7h") || strings.Contains(next, "--uploads-older-than") {
		t.Errorf("it leads on by %s", next)
	}
	f.env = map[string]string{"REGFSCK_CONFIG": f.settings}
	f.run("check", "STORE")
	if _, next, _ = strings.Cut(f.out.String(), "\nNext: "); !strings.Contains(next, "--uploads-older-than 9h") {
		t.Errorf("it leads on by %s", next)
	}
	f = newFix(t, rotten())
	f.env = map[string]string{"REGFSCK_BEFORE": "echo s3cret", "REGFSCK_MAX_DELETE": "20%", "REGFSCK_SKIP": "blob-orphan"}
	f.run("fix", "STORE")
	if _, next, _ = strings.Cut(f.out.String(), "\nNext: "); strings.Contains(f.out.String(), "s3cret") || !strings.Contains(next, "--max-delete 20%") || !strings.Contains(next, "--skip blob-orphan") {
		t.Errorf("it leads on by %s", next)
	}
}

func TestSettingsInHelp(t *testing.T) {
	f := newFake(t)
	for args, want := range map[string]string{
		"check --help": "(default /etc/regfsck.yml)", "fix --help": "(regfsck help settings)", "help settings": "REGFSCK_STATE",
	} {
		f.run(strings.Fields(args)...)
		if text := strings.Join(strings.Fields(f.out.String()), " "); !strings.Contains(text, want) {
			t.Errorf("%s: no %s in %s", args, want, f.out.String())
		}
	}
}

// TestNoSettingWeakensAGuard: flags that remove more, or switch off a guard or the undo,
// can't be set.
func TestNoSettingWeakensAGuard(t *testing.T) {
	f := newFix(t, rotten())
	saved := filepath.Join(f.dir, "plan")
	if exit := f.run("fix", "STORE", "--save-plan", saved); exit&16 != 0 {
		t.Fatal(f.errs.String())
	}
	for _, c := range []struct{ flag, value, want string }{
		{"undo", "none", "only on the command line"}, {"registry-running-ok", "true", "only on the command line"},
		{"allow-tagless", "true", "only on the command line"}, {"also", "tag-dangling", "only on the command line"},
		{"may-remove", "v1", "only on the command line"}, {"honour-expiry", "true", "only on the command line"},
		{"untagged", "true", "by a command that removes"}, {"no-wait", "true", "by a command that removes"},
		{"max-delete", "26%", "wider than 25%"}, {"grace", "59m", "shorter than 1h"}, {"uploads-older-than", "6d", "shorter than 168h"},
	} {
		commands := []string{"fix STORE", "fix STORE --apply --yes"}
		if c.want == "only on the command line" || c.flag == "max-delete" {
			commands = append(commands, "apply "+saved+" --yes")
		}
		for _, command := range commands {
			f.settings, f.env = "", map[string]string{settings.VariableOf(c.flag): c.value}
			if exit := f.run(strings.Fields(command)...); exit != 16 || !strings.Contains(f.errs.String(), c.want) {
				t.Errorf("%v, %s: exit %d, %s", f.env, command, exit, f.errs.String())
			}
			f.settings, f.env = f.settingsFile(c.flag+": "+c.value+"\n"), nil
			if exit := f.run(strings.Fields(command)...); exit != 16 || !strings.Contains(f.errs.String(), c.want) {
				t.Errorf("%s: %s, %s: exit %d, %s", c.flag, c.value, command, exit, f.errs.String())
			}
		}
	}
	f.settings, f.env = f.settingsFile("# mine\nmax-delete: 10%\nskip: [blob-orphan]\n"), map[string]string{"REGFSCK_AFTER": "echo s3cret"}
	f.run("fix", "STORE")
	above, _, _ := strings.Cut(f.out.String(), "\nPLAN ")
	above = strings.Join(strings.Fields(above), " ")
	for _, want := range []string{"Set by " + f.settings + ", line 3: --skip blob-orphan", "Set by " + f.settings + ", line 2: --max-delete 10%", "Set by REGFSCK_AFTER: --after …"} {
		if !strings.Contains(above, want) {
			t.Errorf("no %q above the plan:\n%s", want, f.out.String())
		}
	}
	var plan struct{ Notes []string }
	f.document(t, &plan, "fix", "STORE")
	if !slices.Contains(plan.Notes, "Set by "+f.settings+", line 3: --skip blob-orphan") || strings.Contains(f.out.String(), "s3cret") {
		t.Errorf("JSON says %q", plan.Notes)
	}
}

// TestSettingsAndSavedRemovals: a limit from settings doesn't apply to a removal that a
// person requested.
func TestSettingsAndSavedRemovals(t *testing.T) {
	b := fixtures.New(11)
	b.Image("app", "v1", fixtures.Image{})
	f := newFix(t, b)
	saved := filepath.Join(f.dir, "plan")
	f.settings = f.settingsFile("max-delete: 1%\n")
	if exit := f.run("rm", "STORE", "app", "--grace", "0", "--save-plan", saved); exit != 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	if exit := f.run("apply", saved, "--yes"); exit&16 != 0 || len(f.errs.String()) > 0 && strings.Contains(f.errs.String(), "refused") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}

// TestErrorsAsJSON: an error is JSON if a variable or file sets that, also if that has an
// error itself.
func TestErrorsAsJSON(t *testing.T) {
	f := newFake(t)
	for _, c := range []struct {
		file string
		env  map[string]string
		args string
	}{
		{"", map[string]string{"REGFSCK_JSON": "true"}, "check STORE --nonsense"},
		{"nonsense: 1\n", map[string]string{"REGFSCK_JSON": "true"}, "check STORE"},
		{"", map[string]string{"REGFSCK_JSON": "1", "REGFSCK_GRACE": "soon"}, "check STORE"},
		{"json: true\ngrace: soon\n", nil, "check STORE"},
	} {
		f.settings, f.env = f.settingsFile(c.file), c.env
		if exit := f.run(strings.Fields(c.args)...); exit != 16 || !strings.Contains(f.out.String(), "regfsck.error/1") {
			t.Errorf("%q %v %s: exit %d, %q", c.file, c.env, c.args, exit, f.out.String())
		}
	}
}

// TestSecretsInSettings: errors don't repeat text that isn't a word.
func TestSecretsInSettings(t *testing.T) {
	f := newFake(t)
	for _, body := range []string{
		"\nredis://:s3cret@cache/0: 1\n", "\nfix:\n  redis://:s3cret@cache/0: 1\n", "\nredis: *s3cret\n", "\nS3CRET-s3cret: 1\n",
		"\n\"redis://:s3cret@cache/0\": {a: 1}\n", "\n- s3cret\n", "\nredis: !!s3cret [s3cret\n",
	} {
		f.settings = f.settingsFile(body)
		if exit := f.run("check", "STORE"); exit != 16 || strings.Contains(f.errs.String(), "s3cret") {
			t.Errorf("%q: exit %d, %s", body, exit, f.errs.String())
		}
	}
}

// TestProtectingListsAreJoined: the command line can't remove what the file protects.
func TestProtectingListsAreJoined(t *testing.T) {
	f := newFix(t, rotten())
	f.settings, f.env = f.settingsFile("skip: [blob-orphan]\nfix:\n  skip: [tmp-stale]\n"), map[string]string{"REGFSCK_SKIP": "folder-empty"}
	f.run("fix", "STORE", "--untagged", "--skip", "upload-stale")
	_, next, _ := strings.Cut(f.out.String(), "\nNext: ")
	for _, id := range []string{"blob-orphan", "tmp-stale", "folder-empty", "upload-stale"} {
		if strings.Contains(f.out.String(), "\n  - "+id) || !strings.Contains(next, "--skip "+id) {
			t.Errorf("%s is not left alone:\n%s%s", id, f.out.String(), f.errs.String())
		}
	}
	b := fixtures.New(12)
	for _, tag := range []string{"a", "b", "c", "newest"} {
		b.Image("app", tag, fixtures.Image{})
	}
	f = newFix(t, b)
	f.settings = f.settingsFile("keep-tags: [^a$]\n")
	var p struct {
		Tags []struct {
			Tag  string
			Keep bool
		}
	}
	f.document(t, &p, "prune", "STORE", "--keep-tags", "^b$")
	kept := map[string]bool{}
	for _, tag := range p.Tags {
		kept[tag.Tag] = tag.Keep
	}
	if !kept["a"] || !kept["b"] || kept["c"] {
		t.Errorf("tags that are kept: %v\n%s%s", kept, f.out.String(), f.errs.String())
	}
}
