package location

import (
	"testing"
)

// withStore returns a configuration for an existing store, followed by more.
func withStore(t *testing.T, more string) string {
	t.Helper()
	return write(t, "version: 0.1\nstorage: {filesystem: {rootdirectory: "+root(t)+"}}\n"+more)
}

func TestADatabaseInTheConfiguration(t *testing.T) {
	for _, c := range []struct {
		more         string
		env          map[string]string
		is, unmarked bool
	}{
		{more: ""},
		{more: "database:\n"},
		{more: "database: {host: db}\n"},
		{more: "database: {enabled: }\n"},
		{more: "database: {enabled: false}\n"},
		{more: "database: {enabled: off}\n"},
		{more: "database: {enabled: 'false'}\n"},
		{more: "database: {enabled: true}\n", is: true},
		{more: "database: {enabled: yes}\n", is: true},
		{more: "database: {enabled: 'true'}\n", is: true},
		{more: "database: {enabled: perhaps}\n", is: true},
		{more: "database: {enabled: prefer}\n", is: true, unmarked: true},
		{more: "x: &x {enabled: true}\ndatabase: {<<: *x, host: db}\n", is: true},
		{more: "database: &x {<<: *x, host: db}\n"},
		{env: map[string]string{"REGISTRY_DATABASE_ENABLED": "true"}, is: true},
		{env: map[string]string{"REGISTRY_DATABASE_ENABLED": "on"}, is: true},
		{env: map[string]string{"REGISTRY_DATABASE": "{enabled: true}"}, is: true},
		{env: map[string]string{"REGISTRY_DATABASE": "{enabled: true}", "REGISTRY_DATABASE_ENABLED": "false"}},
		{more: "database: {enabled: true}\n", env: map[string]string{"REGISTRY_DATABASE_ENABLED": "no"}},
	} {
		path := withStore(t, c.more)
		got, err := Resolve(path, env(c.env))
		if err != nil || (got.Database != "") != c.is || got.DatabaseUnlessMarked != c.unmarked {
			t.Errorf("%s%v: %q, %v, %v", c.more, c.env, got.Database, got.DatabaseUnlessMarked, err)
		}
		if len(c.env) == 0 && c.is && got.Database != "database.enabled in "+path {
			t.Errorf("%s: it stands in %q", c.more, got.Database)
		}
	}
	named := env(map[string]string{"REGISTRY_DATABASE_ENABLED": "true"})
	if got, err := Resolve(withStore(t, ""), named); err != nil || got.Database != "REGISTRY_DATABASE_ENABLED" {
		t.Errorf("the variable isn't named: %q, %v", got.Database, err)
	}
	if got, err := Resolve(root(t), named); err != nil || got.Database != "" {
		t.Errorf("a directory heeds what is meant for a configuration: %q, %v", got.Database, err)
	}
}

func TestHarborsConfiguration(t *testing.T) {
	for more, where := range map[string]string{
		"": "",
		"auth: {htpasswd: {realm: basic, path: /p}}\nnotifications: {endpoints: [{name: a, url: 'http://x/events'}]}\n": "",
		"redis: {addr: 'r:1'}\n":                                                                                "",
		"auth: {htpasswd: {realm: harbor-registry-basic-realm}}\n":                                              "auth.htpasswd.realm",
		"auth: {token: {realm: 'https://h/service/token', service: harbor-registry}}\n":                         "auth.token.service",
		"notifications: {endpoints: [{url: 'http://x/'}, {url: 'http://core:8080/service/notifications'}]}\n":   "notifications.endpoints.1.url",
		"notifications: {endpoints: [{name: harbor}, {url: 'https://h/service/notifications/'}]}\nauth: none\n": "notifications.endpoints.1.url",
	} {
		path := withStore(t, more)
		got, err := Resolve(path, env(nil))
		if where != "" {
			where += " in " + path
		}
		if err != nil || got.Harbor != where {
			t.Errorf("%s: %q, %v", more, got.Harbor, err)
		}
	}
	realm := map[string]string{"REGISTRY_AUTH_HTPASSWD_REALM": "harbor-registry-basic-realm"}
	if got, err := Resolve(withStore(t, "storage.cache: redis\n"), env(realm)); err != nil || got.Harbor != "REGISTRY_AUTH_HTPASSWD_REALM" {
		t.Errorf("%q, %v", got.Harbor, err)
	}
	content := "version: 0.1\nstorage:\n  cache: {layerinfo: redis}\n  filesystem: {rootdirectory: " + root(t) + "}\n"
	if got, err := Resolve(write(t, content), env(nil)); err != nil || got.Harbor != "" {
		t.Errorf("a cache in Redis is no Harbor: %q, %v", got.Harbor, err)
	}
}
