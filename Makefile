# make builds, make demo shows it at work, make test tests it; make help lists the rest.

GO       ?= go
PREFIX   ?= /usr/local
DESTDIR  ?=
FUZZTIME ?= 1m

# Empty where there is no git: the programs then say what Go knows of their source.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PROGRAMS    := bin/ipaliasd bin/ipalias
# Without the tables of a debugger, which are half of a package. The names that
# traces and perf need stay.
LDFLAGS     := -w -X github.com/ipalias/ipalias/internal/version.version=$(VERSION)

# VERSION says it already, and git refuses to tell a user about a tree that is
# another's: go would then fail to build a clone made by somebody else.
export GOFLAGS := $(shell $(GO) env GOFLAGS) -buildvcs=false

.PHONY: build
build: ## both programs, static, into bin/ (the default)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/ipaliasd ./cmd/ipalias

.PHONY: demo
demo: build ## the HOWTO's example between two network namespaces, with arping and ping
	@sh scripts/demo.sh

.PHONY: test
test: ## all tests; as root also those in network namespaces, installing the programs they need
	@GO='$(GO)' sh scripts/test.sh

.PHONY: peers
peers: ## who ipalias is measured against, where that takes modules of its own, into bin/peers/
	cd bench/peers && CGO_ENABLED=0 $(GO) build -trimpath -o ../../bin/peers/ ./...

.PHONY: bench
bench: build peers ## all benchmarks, as root, in less than ten minutes; writes docs/performance.md
	@sh scripts/tools.sh farpd || echo "without farpd"
	$(GO) build -o bin/performance ./bench/performance
	bin/performance -o docs/performance.md -daemon bin/ipaliasd -peer-program bin/peers/gvisor

.PHONY: benchonce
benchonce: ## each benchmark once: they work, and their answers are right
	$(GO) test -run '^$$' -bench . -benchtime 1x ./...

.PHONY: lint
lint: ## formatting, vet, staticcheck, other systems, both go.mod, manual pages
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .); \
	if [ -n "$$unformatted" ]; then echo "not as gofmt has it:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	for os in darwin windows; do GOOS=$$os CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/ipalias || exit; done # replay and explain run there
	$(GO) mod tidy -diff
	cd bench/peers && $(GO) mod tidy -diff && $(GO) vet ./...
	@sh scripts/tools.sh mandoc
	mandoc -T lint -W warning packaging/man/*

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (1m) each
	@GO='$(GO)' FUZZTIME='$(FUZZTIME)' sh scripts/fuzz.sh

.PHONY: install
install: | $(PROGRAMS) ## what make built into DESTDIR and PREFIX (/usr/local), with manual pages, unit, completions
	@sh scripts/install.sh '$(DESTDIR)' '$(PREFIX)'

# Only where there is nothing to install yet: "make && sudo make install" must
# not need Go for root too.
$(PROGRAMS):
	@$(MAKE) build

.PHONY: package
package: build ## a .deb and an .rpm into dist/; VERSION=1.2.3 says of what version
	@GO='$(GO)' sh scripts/package.sh '$(VERSION)'

.PHONY: test-package
test-package: ## installs, runs, upgrades and removes the .deb in a machine of its own, as root on Debian
	@GO='$(GO)' sh scripts/test-package.sh

.PHONY: clean
clean: ## take away what was built
	rm -rf bin dist

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
