# regfsck: targets for people and for machines. Go and make are all they need.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.8.0
MINIO       = github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
MODULES     = . fixtures/real fixtures/duckdb cmd/dist
BROWSERS    = chromium chromium-browser google-chrome
PROGRAMS    = zsh fish less mandoc redis-server rpm lintian g++
FUZZTIME   ?= 10m

# The program is built without C, as it is published, and so is all else but the registries
# and S3 servers, and the one module of tests that needs it.
export CGO_ENABLED = 0
tools: CGO_ENABLED =
CGO = $$([ $$module != fixtures/duckdb ] || echo CGO_ENABLED=1)

.PHONY: build demo dist tools programs test lint house bench fuzz clean

build:
	go build -trimpath -o bin/regfsck ./cmd/regfsck

# Makes a damaged registry, checks it, shows what a fix would do, and says where
# it stands.
demo: build
	go run ./fixtures/demo bin/regfsck

# Archives, packages, a container image and lists of ingredients, into dist.
dist:
	cd cmd/dist && go run . -source ../.. -out ../../dist

# The real registries and S3 servers that tests and benchmarks run, compiled before
# any of these starts its clock.
tools: programs
	@echo "Compiling the registries and S3 servers that the tests run, into bin. The first time takes some minutes."
	cd fixtures/real && go build -o ../../bin/registry-2.8.3 ./registry2
	cd fixtures/real && go build -o ../../bin/registry-3.1.2 github.com/distribution/distribution/v3/cmd/registry
	cd fixtures/real && go build -o ../../bin/versitygw github.com/versity/versitygw/cmd/versitygw
	GOBIN=$(CURDIR)/bin go install -trimpath $(MINIO)

# Other programs that tests run, and the compiler that one module of tests needs, installed
# where that may be done.
programs:
	@missing=chromium; for name in $(BROWSERS); do command -v $$name >/dev/null && missing=; done; \
	for name in $(PROGRAMS); do command -v $$name >/dev/null || missing="$$missing $$name"; done; \
	command -v systemd-analyze >/dev/null || missing="$$missing systemd"; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		(apt-get install -y --no-install-recommends $$missing || (apt-get update && apt-get install -y --no-install-recommends $$missing)) >/dev/null && exit 0; \
	fi; \
	echo "Programs are missing that tests run, the browser among them that looks at HTML reports: install the packages $$missing."; exit 1

# The other modules run real registries, real clients and builds of the program, which
# know nothing of what the cache of test results is keyed by: they run each time. They
# run beside the tests of the program, of which some wait, and what they say is shown
# behind that. The last one has the most tests that run in parallel, when nothing else runs.
#
# What tests write is synced again and again, so it stands in memory where there are
# four gigabytes of it. Tests that run as another user have to enter it. Without data for
# debuggers (-w) they are linked in half the time. Garbage is collected rarely (GOGC), which
# saves a sixth of the time: they are many programs with little memory each.
test: export GOGC = 400
test: tools
	@base=$${TMPDIR:-/tmp}; if [ -w /dev/shm ] && [ "$$(df -k /dev/shm | awk 'END { print $$4 }')" -gt 4000000 ]; then base=/dev/shm; fi; \
	dir=$$(mktemp -d "$$base/regfsck-test-XXXXXX"); chmod 755 "$$dir"; export TMPDIR="$$dir"; others=; \
	trap '[ -z "$$others" ] || kill "$$others" || :; wait; chmod -R u+w "$$dir"; rm -rf "$$dir"' EXIT; trap 'exit 130' INT TERM; \
	others() { for module in fixtures/duckdb cmd/dist fixtures/real; do (set -x; cd $$module && env $(CGO) go test -count=1 -ldflags=-w -timeout 25m ./...) || failed=1; done; [ -z "$$failed" ]; }; \
	others >"$$dir/others.log" 2>&1 & others=$$!; \
	(set -x; go test -ldflags=-w -timeout 25m ./...); code=$$?; \
	wait "$$others" || code=1; others=; cat "$$dir/others.log"; exit $$code

# How the program is built, in figures, each with a limit that it may not pass.
house:
	go run ./fixtures/house

lint: house programs
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt would change:" $$unformatted; exit 1; fi
	@for module in $(MODULES); do (cd $$module && set -x && env $(CGO) go vet ./...) || exit 1; done
	GOOS=darwin go vet ./backend/...
	GOOS=windows go vet ./backend/...
	GOBIN=$(CURDIR)/bin go install $(STATICCHECK)
	@for module in $(MODULES); do (cd $$module && set -x && env $(CGO) $(CURDIR)/bin/staticcheck ./...) || exit 1; done
	GOBIN=$(CURDIR)/bin go install $(GOVULNCHECK)
	@bin/govulncheck ./... >bin/vulnerabilities.txt 2>&1; code=$$?; \
	if grep -q '^govulncheck: fetching vulnerabilities' bin/vulnerabilities.txt; then \
		echo "govulncheck: its database can't be reached from here; left out"; \
	else cat bin/vulnerabilities.txt; exit $$code; fi

# Times check against find, and ls against check, on a large tree, made once outside
# the project; fix against the garbage-collect of registry 3.1 on copies of a tree with
# orphans; check against that collector's dry run on a bucket behind a latency; and
# plans of retention over 10,000 to 100,000 tags.
bench: build tools
	go run ./fixtures/bench -scale 100000,1000000 bin/regfsck

# Long runs of what looks for trouble at random: the fuzz targets, the oracle,
# buckets in trouble, kills in the middle of a fix.
fuzz:
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target, $(FUZZTIME)"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done
	go test ./graph/check -timeout 24h -run Oracle -stores 100000
	go test ./graph/apply -timeout 24h -run TroubleInBuckets -buckets 5000
	cd fixtures/real && go test . -count=1 -timeout 24h -run TestFixKilled -kills 200

clean:
	rm -rf bin
