package rediscache

import (
	"strings"
	"testing"
)

func TestKeysOfARegistry(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for key, want := range map[string]string{
		"repository::app::blobs":                             "set",
		"repository::team/app::blobs":                        "set",
		"repository::team/app::blobs::" + digest:             "hash",
		"repository::::blobs":                                "",
		"repository::app":                                    "",
		"repository::app::tags":                              "",
		"repository::app::blobs::":                           "",
		"repository::app::blobs::sha256:12":                  "",
		"repository::app::blobs::" + digest + "::more":       "",
		"repository:app:blobs":                               "",
		"blobs::" + digest:                                   "hash",
		"blobs::sha512:" + strings.Repeat("3", 128):          "hash",
		"blobs::" + digest + "::more":                        "",
		"blobs::all":                                         "",
		"somebody's repository::app::blobs":                  "",
		"repository::app::blobs::" + strings.ToUpper(digest): "",
	} {
		if is := typeOf(key); is != want {
			t.Errorf("%s: %q, not %q", key, is, want)
		}
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
