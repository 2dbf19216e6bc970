package location

import "testing"

func TestServer(t *testing.T) {
	base := "version: 0.1\nstorage: {filesystem: {rootdirectory: " + root(t) + "}}\n"
	for _, c := range []struct {
		http string
		env  map[string]string
		want Server
		url  string
	}{
		{"", nil, Server{}, ""},
		{"http: [nonsense]\n", nil, Server{}, ""},
		{"http: {addr: nonsense}\n", nil, Server{}, ""},
		{"http: {addr: ':5000'}\n", nil, Server{"tcp", "localhost:5000", "/", false, false}, "http://localhost:5000/v2/"},
		{"http: {addr: '0.0.0.0:5000'}\n", nil, Server{"tcp", "localhost:5000", "/", false, false}, "http://localhost:5000/v2/"},
		{"http: {addr: '[::]:5000'}\n", nil, Server{"tcp", "localhost:5000", "/", false, false}, "http://localhost:5000/v2/"},
		{"http: {addr: '10.0.0.5:80', prefix: /hub/}\n", nil, Server{"tcp", "10.0.0.5:80", "/hub/", false, false}, "http://10.0.0.5:80/hub/v2/"},
		{"http: {addr: ':443', tls: {certificate: c, key: k}}\n", nil, Server{"tcp", "localhost:443", "/", true, false}, "https://localhost:443/v2/"},
		{"http: {addr: /run/r.sock, net: unix}\n", nil, Server{"unix", "/run/r.sock", "/", false, false}, "http://localhost/v2/"},
		{"http: {addr: ':1'}\n", map[string]string{"REGISTRY_HTTP_ADDR": ":2", "REGISTRY_HTTP_TLS_CERTIFICATE": "c"}, Server{"tcp", "localhost:2", "/", true, false}, "https://localhost:2/v2/"},
	} {
		got, err := Resolve(write(t, base+c.http), env(c.env))
		if err != nil || got.Server != c.want || c.url != "" && got.Server.URL() != c.url {
			t.Errorf("%s%v: %+v %s, %v; want %+v", c.http, c.env, got.Server, got.Server.URL(), err, c.want)
		}
	}
}

func TestParseServer(t *testing.T) {
	for address, want := range map[string]string{
		"localhost:5000":                 "http://localhost:5000/v2/",
		"http://10.0.0.5:5000/":          "http://10.0.0.5:5000/v2/",
		"http://registry":                "http://registry:80/v2/",
		"https://registry.example/v2/":   "https://registry.example:443/v2/",
		"https://registry.example/hub":   "https://registry.example:443/hub/v2/",
		"https://[::1]/hub/v2":           "https://[::1]:443/hub/v2/",
		"[::1]:5000":                     "http://[::1]:5000/v2/",
		"":                               "",
		"registry":                       "",
		"http://":                        "",
		"https://user@registry.example/": "",
		"https://registry.example/?a=b":  "",
	} {
		got, err := ParseServer(address)
		if (err == nil) != (want != "") || err == nil && got.URL() != want {
			t.Errorf("%q: %s, %v", address, got.URL(), err)
		}
	}
}

func TestReadOnlyAndRedis(t *testing.T) {
	dir := root(t)
	for _, c := range []struct {
		storage, rest string
		env           map[string]string
		readOnly      bool
		redis         string
	}{
		{"", "", nil, false, ""},
		{"  maintenance: {readonly: {enabled: true}}\n", "", nil, true, ""},
		{"  maintenance: {readonly: {enabled: false}}\n", "", nil, false, ""},
		{"  maintenance: {uploadpurging: {enabled: true}}\n", "", nil, false, ""},
		{"", "redis: {addr: 'r:6379'}\n", nil, false, ""}, // no cache uses it
		{"  cache: {blobdescriptor: inmemory}\n", "redis: {addr: 'r:6379'}\n", nil, false, ""},
		{"  cache: {blobdescriptor: redis}\n", "redis: {addr: 'r:6379', password: hush}\n", nil, false, "r:6379"},
		{"  cache: {layerinfo: redis}\n", "redis: {addrs: ['r:1', 'r:2']}\n", nil, false, "r:1"},
		{"  cache: {blobdescriptor: redis}\n", "", nil, false, "Redis"},
		{"  cache: {blobdescriptor: redis}\n", "redis: {addr: 'r:6379'}\n", map[string]string{"REGISTRY_REDIS_ADDR": "u:hush@e:1"}, false, "e:1"},
	} {
		content := "version: 0.1\nstorage:\n  filesystem: {rootdirectory: " + dir + "}\n" + c.storage + "http: {addr: ':5000'}\n" + c.rest
		got, err := Resolve(write(t, content), env(c.env))
		if err != nil || got.Server.ReadOnly != c.readOnly || got.Redis != c.redis || got.Config == "" {
			t.Errorf("%s%s: %+v, %v", c.storage, c.rest, got, err)
		}
	}
	for redis, want := range map[string]string{
		"{addr: 'r:6379'}": "r:6379/0", "{addr: 'r:6379', db: 2}": "r:6379/2", "{addrs: ['r:1']}": "r:1/0", "{addrs: ['r:1', 'r:2']}": "",
		"{addr: 'r:1', addrs: ['r:2']}": "", "{addrs: ['r:1'], mastername: m}": "", "{addr: r}": "", "{}": "",
	} {
		content := "version: 0.1\nstorage:\n  filesystem: {rootdirectory: " + dir + "}\n"
		got, err := Resolve(write(t, content+"  cache: {blobdescriptor: redis}\nredis: "+redis+"\n"), env(nil))
		if err != nil || got.RedisDatabase != want {
			t.Errorf("%s: %q, %v", redis, got.RedisDatabase, err)
		}
		got, err = Resolve(write(t, content+"redis: "+redis+"\n"), env(nil))
		if err != nil || got.RedisDatabase != "" {
			t.Errorf("%s, which nothing uses: %q, %v", redis, got.RedisDatabase, err)
		}
	}
	t.Setenv("REGISTRY_STORAGE_MAINTENANCE_READONLY", "{enabled: true}")
	t.Setenv("REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR", "redis")
	content := "version: 0.1\nstorage:\n  maintenance: {readonly: {enabled: false}}\n  filesystem: {rootdirectory: " + dir + "}\nhttp: {addr: ':5000'}\n"
	if got, err := Resolve(write(t, content), env(nil)); err != nil || !got.Server.ReadOnly || got.Redis != "Redis" {
		t.Errorf("overridden: %+v, %v", got, err)
	}
}
