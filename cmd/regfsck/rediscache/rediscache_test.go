package rediscache

import (
	"strings"
	"testing"
)

func TestKeysOfARegistry(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for key, want := range map[string]struct {
		repository, digest string
		ok                 bool
	}{
		"repository::app::blobs":                             {"app", "", true},
		"repository::team/app::blobs":                        {"team/app", "", true},
		"repository::team/app::blobs::" + digest:             {"team/app", digest, true},
		"repository::::blobs":                                {},
		"repository::app":                                    {},
		"repository::app::tags":                              {},
		"repository::app::blobs::":                           {},
		"repository::app::blobs::sha256:12":                  {},
		"repository::app::blobs::" + digest + "::more":       {},
		"repository:app:blobs":                               {},
		"blobs::" + digest:                                   {},
		"somebody's repository::app::blobs":                  {},
		"repository::app::blobs::" + strings.ToUpper(digest): {},
	} {
		repository, digest, ok := split(key)
		if ok != want.ok || ok && (repository != want.repository || digest != want.digest) {
			t.Errorf("%s: %q, %q, %v", key, repository, digest, ok)
		}
	}
}

func TestWhatIsForgotten(t *testing.T) {
	one, two := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64)
	alias := "sha512:" + strings.Repeat("3", 128)
	gone := Removed{Blobs: map[string]bool{one: true}, Links: map[Link]bool{{"app", two}: true}}
	for _, c := range []struct {
		repository, digest string
		blob, link         bool
	}{
		{"app", one, true, true}, {"other", one, true, true},
		{"app", two, false, true}, {"other", two, false, false},
		{"app", alias, true, true},
	} {
		if gone.blob(c.digest) != c.blob || gone.link(c.repository, c.digest) != c.link {
			t.Errorf("%s %.9s: %v, %v", c.repository, c.digest, gone.blob(c.digest), gone.link(c.repository, c.digest))
		}
	}
	if all := (Removed{All: true}); !all.blob(two) || !all.link("other", two) {
		t.Error("not everything is forgotten")
	}
}

func TestAddresses(t *testing.T) {
	for address, password := range map[string]bool{
		"redis://localhost:6379/0": false, "rediss://redis.example:6380/1": false, "rediss://user@redis.example:6380/1": true, "redis://:hunter2@localhost:6379": true, "redis://user:hunter2@localhost": true,
	} {
		c, err := Parse(address)
		if err != nil || HasPassword(address) != password || strings.Contains(c.String(), "hunter2") {
			t.Errorf("%s: %v, %v", address, HasPassword(address), err)
		}
	}
	for _, address := range []string{"localhost:6379", "http://:hunter2@localhost", "redis://:hunt/er2@localhost", "redis://localhost/hunter2", "redis://:hunter2@localhost:port"} {
		if _, err := Parse(address); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
