package retain

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct{ pattern, yes, no string }{
		{"app", "app", "app2 app/web my/app"},
		{"app/*", "app/web app/web-2", "app app/web/old my/app/web"},
		{"app/**", "app/web app/web/old app/web/old/x", "app app2/web my/app/web"},
		{"**", "app app/web app/web/old", ""},
		{"*", "app", "app/web"},
		{"**/cache", "cache app/cache app/web/cache", "app/cache/x mycache"},
		{"app/**/cache", "app/cache app/web/cache app/a/b/cache app/cache/cache", "app cache app/cache/x"},
		{"**/a/**/b", "a/b x/a/b x/a/y/z/b a/a/b a/b/b", "a b a/b/c b/a"},
		{"**/**", "app app/web", ""},
		{"a/**/*", "a/b a/b/c", "a b"},
		{"*/b/**/b", "a/b/b a/b/c/b a/b/b/b", "a/b b/b b/c/b"},
		{"pr-*", "pr- pr-7 pr-7-x", "pr pr-7/x my-pr-7"},
		{"*-pr-*", "a-pr-b a-pr-", "pr-b"},
		{"v?", "v1 vx", "v v10 v/"},
		{"v[0-9]", "v1", "vx v v10"},
		{"v[^0-9]", "vx v-", "v1 v"},
		{"a.b", "a.b", "axb"},
	} {
		g, err := ParseGlob(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(c.yes) {
			if !g.Match(name) {
				t.Errorf("%s doesn't match %s", g, name)
			}
		}
		for _, name := range append(strings.Fields(c.no), "") {
			if g.Match(name) {
				t.Errorf("%s matches %q", g, name)
			}
		}
		if g.String() != c.pattern || g.Plain() != !strings.ContainsAny(c.pattern, "*?[") {
			t.Errorf("%q is written %q, plain: %v", c.pattern, g, g.Plain())
		}
	}
	if (Glob{}).Match("app") || (Glob{}).Match("") || (Glob{}).Plain() {
		t.Error("no pattern matches something")
	}
}

// TestGlobDoesNotTryAllCombinations: a pattern with many "**" is matched without trying all
// combinations.
func TestGlobDoesNotTryAllCombinations(t *testing.T) {
	g, err := ParseGlob(strings.Repeat("**/a/", 30) + "b")
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("a/", 120)
	if g.Match(name+"c") || !g.Match(name+"b") {
		t.Error("many components are matched wrongly")
	}
}

// TestGlobAgainstTryingAll compares it with a matcher that tries all combinations.
func TestGlobAgainstTryingAll(t *testing.T) {
	var tries func(pattern, name []string) bool
	tries = func(pattern, name []string) bool {
		switch {
		case len(pattern) == 0:
			return len(name) == 0
		case pattern[0] == "**":
			least := 0
			if len(pattern) == 1 {
				least = 1
			}
			for n := least; n <= len(name); n++ {
				if tries(pattern[1:], name[n:]) {
					return true
				}
			}
			return false
		}
		return len(name) > 0 && (pattern[0] == "*" || pattern[0] == name[0]) && tries(pattern[1:], name[1:])
	}
	r := rand.New(rand.NewPCG(7, 7))
	matched := 0
	for range 20_000 {
		pattern, name := make([]string, 1+r.IntN(5)), make([]string, 1+r.IntN(7))
		for i := range pattern {
			pattern[i] = []string{"a", "b", "*", "**"}[r.IntN(4)]
		}
		for i := range name {
			name[i] = []string{"a", "b"}[r.IntN(2)]
		}
		g, err := ParseGlob(strings.Join(pattern, "/"))
		if err != nil {
			t.Fatal(err)
		}
		got, want := g.Match(strings.Join(name, "/")), tries(pattern, name)
		if got != want {
			t.Fatalf("%s against %s is %v, want %v", g, strings.Join(name, "/"), got, want)
		}
		if got {
			matched++
		}
	}
	if matched < 1000 {
		t.Errorf("only %d matched", matched)
	}
}

func TestParseGlobRefuses(t *testing.T) {
	for s, says := range map[string]string{
		"":         "no name is empty",
		"/app":     "slash at an end",
		"app/":     "slash at an end",
		"a//b":     "two in a row",
		"a**":      "whole components",
		"app/**b":  "whole components",
		"***":      "whole components",
		"{a,b}":    "give several patterns",
		`a\*`:      "backslashes",
		"[!a]":     `begins with "[^"`,
		"[":        `no "]"`,
		"a/[b/c]":  `no "]"`,
		"ab[":      `no "]"`,
		"*[":       `no "]"`,
		"x[]y":     `no "]"`,
		"app/[a-]": `no "]"`,
	} {
		if g, err := ParseGlob(s); err == nil || !strings.Contains(err.Error(), says) || g.Match(s) {
			t.Errorf("%q is %q, %v; want %q", s, g, err, says)
		}
	}
}
