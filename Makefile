# SPDX-License-Identifier: Apache-2.0
#
# `make` lists what there is. Everything works without network once it has run once.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

GO ?= go
PARLEY := bin/parley
DEMO_OUT ?= demo-out
FUZZTIME ?= 10s
SIM_SEEDS ?= 50
# How many packages are tested at a time. Conversations mostly wait to be heard, but engines and browsers compute.
TEST_PACKAGES ?= 2

# Where goroutines meet; elsewhere the race detector costs time and has nothing to find. Short: a race shows in few
# repetitions, and the many are counted without the detector.
RACE_PACKAGES := . ./client/... ./internal/serve/... ./internal/controlplane/fleet ./internal/runtime/... ./internal/observability/timeline/... ./node/external \
	./provider/openai ./provider/scripted ./transport/codec/... ./transport/feed ./transport/jitter ./transport/livekit ./transport/loopback \
	./transport/outbox ./transport/realtime ./transport/rtvi ./transport/sip ./transport/socket ./transport/telephony ./transport/websocket

# Revision by git rather than by the go command, which refuses to build in a clone that another user owns.
VERSION := $(shell git describe --always --dirty --tags 2>/dev/null || echo unknown)
BUILD_FLAGS := -trimpath -buildvcs=false -ldflags '-X github.com/parley-voice/parley/cli.version=$(VERSION)'
PLATFORMS := linux/amd64 linux/arm64 darwin/arm64 windows/amd64

say = @printf '==> %s\n'

.PHONY: help
help: ## list the targets (the default)
	@printf 'Parley: a runtime kernel for real-time voice agents\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nStart with make demo, then make test. Needed: Go 1.26 or later; for the speech engines, apt or an archive of them.\n'

.PHONY: need-go
need-go:
	@command -v $(GO) >/dev/null || { \
		printf 'make: no "%s" on PATH. Parley is built with Go 1.26 or later: https://go.dev/doc/install\n' '$(GO)' >&2; exit 1; }

.PHONY: engines
engines: need-go ## set up the offline speech engines (once; checked by checksum)
	@scripts/engines/build.sh

.PHONY: engines-archive
engines-archive: need-go ## pack the engines for a machine that cannot build them
	@scripts/engines/build.sh --archive

.PHONY: build
build: need-go ## build bin/parley, one static binary
	$(say) 'building $(PARLEY)'
	@CGO_ENABLED=0 $(GO) build $(BUILD_FLAGS) -o $(PARLEY) ./cmd/parley

.PHONY: demo
demo: engines build ## hear it: a conversation with a barge-in, in real time, no key; replaces the last one
	$(say) 'a conversation in real time; it leaves its recording, sound and timeline in $(DEMO_OUT)'
	@$(PARLEY) demo --overwrite --out $(DEMO_OUT)

.PHONY: test
test: engines lint vet python build sim race ## everything a change must pass; ends with go test's own lines
	$(say) 'go test'
	@$(GO) test -p $(TEST_PACKAGES) -timeout 20m ./...

.PHONY: lint
lint: need-go ## golangci-lint at the pinned version (built once)
	$(say) 'lint'
	@scripts/lint.sh

.PHONY: fmt
fmt: need-go ## format as lint wants it (gofumpt, grouped imports)
	@scripts/lint.sh fmt

.PHONY: vet
vet: need-go
	$(say) 'go vet'
	@$(GO) vet ./...

# What needs no process of its own; go test runs the rest.
.PHONY: python
python: ## the Python SDK's own tests, the quick ones; with Python 3.10 or later
	$(say) 'the Python SDK'
	@if command -v python3 >/dev/null; then \
		cd sdk/python && python3 -B -m unittest -q tests.test_event tests.test_declaration tests.test_wire tests.test_harness; \
	elif [ "$${PARLEY_CLIENTS-}" = required ]; then echo 'make: no python3: apt-get install python3' >&2; exit 1; \
	else echo 'make: no python3, its tests are left out: apt-get install python3' >&2; fi

.PHONY: sim
sim: build ## random conversations and faults against the kernel, each seed twice
	$(say) 'simulation, $(SIM_SEEDS) seeds'
	@$(PARLEY) sim --seeds $(SIM_SEEDS)

.PHONY: race
race: need-go
	$(say) 'go test -race where goroutines meet'
	@cc=$$($(GO) env CC); command -v "$${cc%% *}" >/dev/null || cc=clang; \
	command -v "$${cc%% *}" >/dev/null || { \
		echo 'make: the race detector needs a C compiler: apt-get install gcc libc6-dev' >&2; exit 1; }; \
	CC=$$cc CGO_ENABLED=1 $(GO) test -race -short -p $(TEST_PACKAGES) $(RACE_PACKAGES)

# The tests run with every other one as well, where their tools are; here it is a failure that one is missing.
.PHONY: clients-tools
clients-tools: ## set up what other people's clients run in: Chromium, sipp (apt, as root; else it says what)
	@scripts/clients.sh

.PHONY: clients
clients: need-go engines clients-tools ## other people's clients, unchanged, and sipp, and ours in node and Chromium; needs those and python
	$(say) 'other people'\''s clients'
	@PARLEY_CLIENTS=required $(GO) test -count=1 -timeout 30m -p $(TEST_PACKAGES) \
		-run 'Agents|OpenAI|Pipecat|ParleyServe|Sipp|ClientInNode|BrowserAudio|TestPage' \
		./transport/realtime ./transport/rtvi ./transport/telephony ./transport/sip ./clients/typescript ./cli

.PHONY: bench
bench: engines build ## the speed targets, as ratios beside their denominators
	$(say) 'benchmarks'
	@$(PARLEY) bench

.PHONY: page
page: engines build ## talk to the page in Chromium with recorded voices: how fast it falls silent; pictures in page-out/
	$(say) 'the page, in a browser'
	@$(GO) test ./cli -run TestPage -count 1 -timeout 20m -v -page.interruptions 20 -page.pictures '$(CURDIR)/page-out'

.PHONY: fuzz
fuzz: need-go ## every fuzz target for FUZZTIME (10s) each
	@GO=$(GO) scripts/fuzz.sh $(FUZZTIME)

.PHONY: cross
cross: need-go ## build for the other platforms, into dist/
	@for platform in $(PLATFORMS); do \
		os=$${platform%/*}; arch=$${platform#*/}; suffix=; [ $$os != windows ] || suffix=.exe; \
		echo "==> building for $$platform"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build $(BUILD_FLAGS) -o dist/parley-$$os-$$arch$$suffix ./cmd/parley; \
	done

.PHONY: arm64
arm64: engines build ## the same decisions on arm64 as here: scripts, simulation, and a call of here replayed there
	@GO=$(GO) scripts/arm64.sh $(PARLEY)

.PHONY: verify
verify: test cross fuzz clients ## make test, and what is too slow for every change
	$(say) 'go.mod is tidy and the modules are what go.sum says'
	@$(GO) mod tidy -diff
	@$(GO) mod verify

.PHONY: clean
clean: ## remove what was built here; the cache of engines and tools stays
	rm -rf bin dist page-out $(DEMO_OUT)
