# `make help` lists the targets.

GO ?= go
# The folder for everything that targets fetch or build for themselves.
CACHE := .cache
LINT := $(CACHE)/golangci-lint

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build bin/logsluice
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/logsluice .

# Metadata of the image. IMAGE_FLAGS are additional flags for the builder.
IMAGE ?= logsluice
PLATFORMS ?= linux/amd64,linux/arm64
VERSION ?= $(shell git describe --tags --always --dirty)
image-flags = --platform $(PLATFORMS) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(shell git rev-parse HEAD) \
	--build-arg CREATED=$(shell date -u +%FT%TZ) --build-arg SOURCE=$(SOURCE) $(IMAGE_FLAGS)
BUILDER ?= $(if $(shell docker info 2>/dev/null | grep Server.Version),docker,buildah)

.PHONY: image
image: ## Build the image IMAGE=logsluice for PLATFORMS=linux/amd64,linux/arm64 with Docker, otherwise buildah; PUSH=1 pushes it
	@$(MAKE) --no-print-directory image-$(BUILDER)

.PHONY: builder
builder:
	@echo $(BUILDER)

.PHONY: image-docker
image-docker:
	docker buildx build $(image-flags) --tag $(IMAGE) $(if $(filter-out 0,$(PUSH)),--push,--load) .

# buildah 1.28 does not set BUILDPLATFORM, and adds images to an existing list instead of
# replacing it. Only Docker's format has health checks.
.PHONY: image-buildah
image-buildah:
	@buildah manifest rm $(IMAGE) >/dev/null 2>&1 || true
	buildah build $(image-flags) --build-arg BUILDPLATFORM=linux/$(shell $(GO) env GOHOSTARCH) --layers --format docker --manifest $(IMAGE) .
	$(if $(filter-out 0,$(PUSH)),buildah manifest push --all --format v2s2 $(IMAGE) docker://$(IMAGE))

.PHONY: assets
assets: ## Write the saved objects of each built-in schema to dist/dashboards, to be imported into OpenSearch Dashboards (INDEX_PREFIX=logs)
	@mkdir -p dist/dashboards
	for schema in $(basename $(notdir $(wildcard mapping/schema/schemas/*.yaml))); do \
		$(GO) run . assets dashboards --index-prefix=$(or $(INDEX_PREFIX),logs) --schema=$$schema >dist/dashboards/$$schema.ndjson || exit; \
	done

.PHONY: demo
demo: ## Run the demo on a real OpenSearch and DynamoDB (OPENSEARCH_URL=… for your own domain, KEEP=1 to keep running until Ctrl-C)
	@echo building the demo
	@$(GO) build -o $(CACHE)/demo ./local/demo
	@exec $(CACHE)/demo $(if $(OPENSEARCH_URL),-opensearch-url '$(OPENSEARCH_URL)') $(if $(filter-out 0,$(KEEP)),-keep)

# Packages that start goroutines, which make test also runs with the race detector.
CONCURRENT := ./checkpoint/... ./consumer/... ./indexer/... ./internal/fakeaws ./internal/ownbody ./internal/statelog ./local/... ./telemetry
# Process tests mostly wait, so more of them run concurrently than the machine has cores. The
# packages that take longest come first, next to all others.
PROCESSES := 6
PACKAGES := 4
gotest = $(CACHE)/gotestsum --format dots --hide-summary skipped --jsonfile $(CACHE)/$(1).json --

# The fuzzing is limited by runs: before Go 1.27 the end of a time limit can be reported as a
# failure (go.dev/issue/75804).
.PHONY: test
test: lint $(CACHE)/gotestsum ## Run all checks: vet, linters, unit tests, process tests on real servers, simulation, a little fuzzing
	$(GO) build -o $(CACHE)/services ./local/services
	LOGSLUICE_SEEDS=40 $(CACHE)/services -- $(call gotest,tests) -timeout 90m -p $(PACKAGES) -parallel $(PROCESSES) ./e2e ./deploy ./internal/sim ./...
	$(CACHE)/services -- $(call gotest,tests-race) -race -short -timeout 45m $(CONCURRENT)
	$(MAKE) --no-print-directory fuzz FUZZTIME=60000x

.PHONY: test-long
test-long: ## Run long tests: all tests and workers with the race detector, leases on DynamoDB Local in real time, outages of OUTAGE=2m, 5,000 stories (an hour or more)
	$(MAKE) --no-print-directory soak
	LOGSLUICE_LONG=1 $(CACHE)/services -- $(GO) test -race -timeout 2h -parallel $(PROCESSES) ./...

.PHONY: sim
sim: ## Simulate a cluster (SHARDS=1000 WORKERS=50): how fast it balances and what it costs, next to the unmodified KCL
	LOGSLUICE_SHARDS=$(or $(SHARDS),1000) LOGSLUICE_WORKERS=$(or $(WORKERS),50) LOGSLUICE_BESIDE_KCL=1 \
		$(GO) test -count=1 -timeout 0 -v -run 'TestScale|TestStoriesOfTheKCL' ./internal/sim

.PHONY: soak
soak: ## Simulate many stories (SEEDS=5000), then kill, suspend and drain real workers (SOAK=3m), and stop OpenSearch (OUTAGE=2m)
	LOGSLUICE_SEEDS=$(or $(SEEDS),5000) $(GO) test -count=1 -timeout 0 -v -run 'TestStories$$' ./internal/sim
	$(GO) build -o $(CACHE)/services ./local/services
	LOGSLUICE_SOAK=$(or $(SOAK),3m) LOGSLUICE_OUTAGE=$(or $(OUTAGE),2m) \
		$(CACHE)/services -- $(GO) test -race -count=1 -timeout 0 -v -run 'TestRunSoak|TestRunOutage|TestRunMemory' ./e2e

.PHONY: lint
lint: $(LINT) ## Run go vet and the linters
	$(GO) vet ./...
	$(LINT) run ./...

# The linter has its own module, so that logsluice does not get its dependencies.
$(LINT): tools/go.mod tools/go.sum
	cd tools && $(GO) build -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(CACHE)/gotestsum: tools/go.mod tools/go.sum
	cd tools && $(GO) build -o ../$@ gotest.tools/gotestsum

.PHONY: bench
bench: ## Measure the whole consumer as a process next to its stages, JSON libraries and Telegraf, and with a real OpenSearch, then run the benchmarks (PART=cost, search, latency or scaling for one part)
	$(GO) run ./bench -part $(or $(PART),all)
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-index
bench-index: ## Measure the cost of documents for a real OpenSearch in bytes and CPU, as Lambda functions and logsluice write them (ROUNDS=3)
	$(GO) run ./bench -part index -rounds $(or $(ROUNDS),3)

.PHONY: fuzz
fuzz: ## Fuzz the decoder, gunzip, numbers and the fields of lines, each for FUZZTIME=10m
	$(GO) test -run "^$$" -fuzz FuzzDecode -fuzztime $(or $(FUZZTIME),10m) ./subscription
	$(GO) test -run "^$$" -fuzz FuzzMember -fuzztime $(or $(FUZZTIME),10m) ./internal/inflate
	$(GO) test -run "^$$" -fuzz FuzzStructured -fuzztime $(or $(FUZZTIME),10m) ./internal/inflate
	$(GO) test -run "^$$" -fuzz FuzzFields -fuzztime $(or $(FUZZTIME),10m) ./mapping
	$(GO) test -run "^$$" -fuzz FuzzNumber -fuzztime $(or $(FUZZTIME),10m) ./internal/jsonscan

.PHONY: clean
clean: ## Remove everything that was built or fetched
	rm -rf bin dist $(CACHE)
