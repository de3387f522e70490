# make test is all that CI runs; it installs what it lacks by itself.
GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
TOXIPROXY   := github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0
BENCHSTAT   := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
FUZZTIME    ?= 20s
SOAK_RUNS   ?= 1000000
CHAOS       ?= 10m
BENCH       ?= .
BASE        ?=
ROUNDS      ?= 5

.PHONY: help test quick lint tools build soak chaos bench gobench fuzz docs

help:
	@echo "make test    everything: lint, then all tests, with the race detector wherever there is more than one goroutine"
	@echo "make quick   the same tests without race detector and long transfers"
	@echo "make lint    gofmt, vet (Linux and macOS), staticcheck"
	@echo "make build   ./crimp, static; then ./crimp demo"
	@echo "make tools   what the tests talk to (nginx, curl, Python, Node, Chromium), from Debian's packages; test and quick do it"
	@echo "make soak    SOAK_RUNS=$(SOAK_RUNS) simulated worlds"
	@echo "make chaos   CHAOS=$(CHAOS) of real sockets, random rules and peers of all tempers"
	@echo "make fuzz    every fuzz target for FUZZTIME=$(FUZZTIME)"
	@echo "make bench   crimp beside HAProxy, nginx, Toxiproxy and io.Copy, measured by wrk, too; into docs/benchmarks.md"
	@echo "make gobench BENCH=$(BENCH) BASE=: the Go benchmarks, six times, summed up by benchstat; beside a git revision or an earlier run"
	@echo "make docs    what is generated in README.md and docs/faults.md anew"

# The simulation and the crowd run whole without the race detector, which would
# make them ten times as slow, and in part with it. The tests of plays have but one
# goroutine, in which it finds nothing.
ONE_GOROUTINE := crimp/faults/faultstest

test: tools lint
	$(GO) test -run '^TestSimulation' ./middlebox
	$(GO) test -run '^TestCrowd' ./cmd/crimp/e2e
	$(GO) test $(ONE_GOROUTINE)
	$(GO) test -race -timeout 9m $$($(GO) list ./... | grep -vx $(ONE_GOROUTINE))

quick: tools
	$(GO) test -short ./...

lint:
	@changed=$$(gofmt -l .); [ -z "$$changed" ] || { echo "gofmt would change:"; echo "$$changed"; exit 1; }
	$(GO) vet ./...
	GOOS=darwin GOARCH=arm64 $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

tools:
	@.ci/tools

build:
	CGO_ENABLED=0 $(GO) build -ldflags='-s -w' -o crimp ./cmd/crimp

# Each simulated world is made from one seed, which a failure prints.
soak:
	CRIMP_SIM_RUNS=$(SOAK_RUNS) $(GO) test -run '^TestSimulation$$' -timeout 0 -v ./middlebox

# What each client and operator does is drawn from a seed, which is printed.
chaos:
	CRIMP_CHAOS=$(CHAOS) $(GO) test -race -count=1 -run '^TestChaos$$' -timeout 0 -v ./cmd/crimp/e2e

# ROUNDS rounds of all relays take nearly two minutes each. The report is of this machine.
bench: build
	@.ci/tools bench
	@peers=$$(mktemp -d) && trap 'rm -rf "$$peers"' EXIT && GOBIN=$$peers $(GO) install $(TOXIPROXY) && \
	$(GO) run ./cmd/bench -rounds $(ROUNDS) -toxiproxy $$peers/server -out docs/benchmarks.md

# The run is left in gobench.out. BASE is what it is put beside: a revision, whose
# benchmarks are run first, or the file of an earlier run.
gobench: SHELL := bash
gobench:
	@set -euo pipefail; run() { $(GO) test -C "$$1" -run '^$$' -bench '$(BENCH)' -benchmem -count 6 ./... | tee "$$2"; }; \
	base='$(BASE)'; \
	if [ "$$base" -ef gobench.out ]; then mv gobench.out base.out; base=base.out; fi; \
	if [ -n "$$base" ] && [ ! -f "$$base" ]; then \
		tree=$$(mktemp -d); trap 'rm -rf "$$tree"; git worktree prune' EXIT; \
		git worktree add --quiet --detach "$$tree" "$$base"; \
		base=base.out; run "$$tree" "$$base"; \
	fi; \
	run . gobench.out; \
	$(GO) run $(BENCHSTAT) $${base:+"$$base"} gobench.out

# go test takes one fuzz target a run.
fuzz:
	@set -e; for file in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$file); do \
			echo "$$target in $$(dirname $$file)"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$(dirname $$file); \
		done; \
	done

docs:
	CRIMP_UPDATE_README=1 $(GO) test -count=1 -run TestFaultsTable ./cmd/crimp/e2e
