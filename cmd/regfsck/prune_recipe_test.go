package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
)

// lived returns a store for the recipes: an active project and an inactive one, a build
// cache, and review apps of which the newest is old.
func lived(now time.Time) *fixtures.Builder {
	b := fixtures.New(1)
	ages := []struct {
		name string
		days int
	}{
		{"app:v1", 300}, {"app:v2", 50}, {"app:latest", 10}, {"app:pr-7", 40}, {"app:pr-9", 2},
		{"dead:v1", 700}, {"dead:v2", 600}, {"team/app/cache:main", 80}, {"team/app/cache:pr-8", 20},
		{"review/a:pr-1", 100}, {"review/a:pr-2", 60}, {"review/b:pr-3", 20},
	}
	slices.SortStableFunc(ages, func(a, b struct {
		name string
		days int
	}) int {
		return b.days - a.days
	})
	for _, a := range ages {
		b.SetClock(now.AddDate(0, 0, -a.days))
		repository, tag, _ := strings.Cut(a.name, ":")
		image := fixtures.Image{Layers: []int{30}}
		if strings.HasPrefix(tag, "pr-") {
			image.Labels = map[string]string{"quay.expires-after": "30d"}
		}
		b.Image(repository, tag, image)
	}
	return b
}

// recipes are the prune commands of the recipes, and what they remove of the store of lived.
var recipes = map[string]string{
	"--keep-list prod.yaml --keep-newer-than 30d --keep-last 3":            "app:v2",
	"--keep-pulled-within 90d --pulled-log '/var/log/nginx/registry.log*'": "dead:v1 review/a:pr-1",
	"--honour-expiry":       "app:pr-7 review/a:pr-1",
	"--keep-newer-than 3mo": "app:v1 dead:v1 review/a:pr-1",
	"--repo '**/cache' --keep-newer-than 14d --may-remove '*' --max-delete 100%":                   "team/app/cache:main team/app/cache:pr-8",
	"--repo 'review/**' --keep-newer-than 30d --may-remove '*'":                                    "review/a:pr-1 review/a:pr-2",
	"--repo '**' --keep-newer-than 30d --keep-tags '^(latest|main|v[0-9].*)$' --may-remove 'pr-*'": "app:pr-7 review/a:pr-1 review/a:pr-2",
}

// TestRecipesOfPrune runs each prune command of the recipes: it removes what its title says.
func TestRecipesOfPrune(t *testing.T) {
	readme, err := os.ReadFile("help/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	f := newFix(t, lived(time.Now().AddDate(1, 0, 0)))
	write(t, f.dir+"/prod.yaml", "reg.example.com/app:v1\n")
	if err := os.Chtimes(f.dir+"/prod.yaml", time.Time{}, f.now()); err != nil {
		t.Fatal(err)
	}
	write(t, f.dir+"/registry.log", access(f.now(), 91, map[string]int{"app/manifests/v1": 24}))
	run := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^    regfsck prune /var/lib/registry (.*)$`).FindAllStringSubmatch(string(readme), -1) {
		flags := strings.TrimSuffix(found[1], " --apply")
		want, known := recipes[flags]
		if !known {
			t.Errorf("nothing says what is to go by: prune %s", flags)
		}
		run[flags] = true
		words := strings.Fields(strings.NewReplacer("'", "", "prod.yaml", "DIR/prod.yaml", "/var/log/nginx", "DIR").Replace(flags))
		if got := strings.Join(f.prune(t, words...).going(), " "); got != want {
			t.Errorf("%s: goes %q, want %q", flags, got, want)
		}
	}
	if len(run) != len(recipes) {
		t.Errorf("of %d commands the recipes have %d", len(recipes), len(run))
	}
}
