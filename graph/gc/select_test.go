package gc

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/retain"
)

// scanned returns a scan of the images app:v1, app:v2 and app/web:v1 a day after the last
// push.
func scanned(t *testing.T) *graph.Scan {
	t.Helper()
	b := fixtures.New(1)
	b.Image("app", "v1", fixtures.Image{})
	b.Image("app", "v2", fixtures.Image{})
	b.Image("app/web", "v1", fixtures.Image{})
	scan, err := graph.Read(context.Background(), b.Memory(), graph.Options{Now: fixtures.Epoch.AddDate(1, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return scan
}

// named returns the repositories and tags of a removal.
func named(r *Removal) (all []string) {
	for name := range r.Repositories {
		all = append(all, name)
	}
	for name, tags := range r.Tags {
		for tag := range tags {
			all = append(all, name+":"+tag)
		}
	}
	slices.Sort(all)
	return all
}

func TestSelect(t *testing.T) {
	scan := scanned(t)
	for text, want := range map[string][]string{
		"app":       {"app"},
		"**":        {"app", "app/web"},
		"app:v1":    {"app:v1"},
		"app:*":     {"app:v1", "app:v2"},
		"app/*:v1":  {"app/web:v1"},
		"**:v1":     {"app/web:v1", "app:v1"},
		"app:v[12]": {"app:v1", "app:v2"},
	} {
		s, err := ParseSelector(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		r, err := Select(scan, []Selector{s}, false)
		if err != nil || !slices.Equal(named(r), want) {
			t.Errorf("%s: %v, %v", text, named(r), err)
		}
	}
	for text, want := range map[string]Unmatched{
		"ap":       {Why: "ap: there is no repository ap", Name: "ap", Names: []string{"app", "app/web"}},
		"app:v3":   {Why: "app:v3: there is no tag v3", Name: "v3", Names: []string{"v1", "v2"}},
		"other/**": {Why: "other/**: there is no repository like other/**"},
		"app:w*":   {Why: "app:w*: there is no tag like w*"},
	} {
		s, err := ParseSelector(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		_, err = Select(scan, []Selector{s}, false)
		none, ok := errors.AsType[*Unmatched](err)
		if !ok || none.Why != want.Why || none.Name != want.Name || !slices.Equal(none.Names, want.Names) {
			t.Errorf("%s: %+v", text, err)
		}
	}
}

func TestSelectByPolicy(t *testing.T) {
	scan := scanned(t)
	app, err := retain.ParseGlob("app")
	if err != nil {
		t.Fatal(err)
	}
	r := Retention{Policy: retain.Policy{{Repositories: []retain.Glob{app}, Rules: retain.Rules{Last: 1}}}}
	var rejected []Rejection
	r.Rejected = func(_ context.Context, removal *Removal) (all []Rejection, _ error) {
		return slices.DeleteFunc(slices.Clone(rejected), func(d Rejection) bool { return !slices.Contains(named(removal), d.Ref) }), nil
	}
	made, err := SelectByPolicy(context.Background(), scan, r)
	if err != nil || !slices.Equal(named(made.Removal), []string{"app:v1"}) {
		t.Fatalf("%+v, %v", made, err)
	}
	if decisions := made.Decisions; len(decisions) != 2 || decisions[0].Keep || decisions[0].Why != "not kept by keep-last 1 (2nd)" || !decisions[1].Keep || decisions[1].Ref() != (Ref{Repository: "app", Tag: "v2"}) {
		t.Errorf("%+v", decisions)
	}
	rejected = []Rejection{{Ref: "app:v1", Why: "something holds it"}}
	if made, err = SelectByPolicy(context.Background(), scan, r); err != nil || len(named(made.Removal)) > 0 {
		t.Fatalf("%+v, %v", made, err)
	}
	if d := made.Decisions[0]; !d.Keep || d.Why != "" || !slices.Equal(d.Rules, []string{"can't be removed: something holds it"}) {
		t.Errorf("%+v", d)
	}
	rejected = nil
	// A rebuilt link has a later time than the push.
	r.Pushed = func(key string, shown time.Time) time.Time {
		if key == "docker/registry/v2/repositories/app/_manifests/tags/v2/current/link" {
			return shown.AddDate(-1, 0, 0)
		}
		return shown
	}
	if made, err = SelectByPolicy(context.Background(), scan, r); err != nil || !slices.Equal(named(made.Removal), []string{"app:v2"}) {
		t.Errorf("%+v, %v", made, err)
	}
	if r.Idle() || !(&Retention{Policy: retain.Policy{{}}}).Idle() || (&Retention{Untagged: true}).Idle() {
		t.Error("what is idle isn't told")
	}
	r.Policy[0].Last = retain.None
	if _, err = SelectByPolicy(context.Background(), scan, r); err == nil {
		t.Error("rules that keep nothing are followed")
	} else if wrong, ok := errors.AsType[*RuleError](err); !ok || wrong.Repository != "app" {
		t.Errorf("%v", err)
	}
}
