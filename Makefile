# `make` prints this help. Everything a person or a pipeline runs is a target here.

PYTHON ?= python3
PORT ?= 8000
DOCKER ?= docker
IMAGE ?= gradient-service
VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
# More arguments for pytest, or for the benchmarks: make test ARGS="-k softmax -x", make bench ARGS=--quick
ARGS ?=
# How many processes run make test: one more than there are cores, for some tests wait for a clock.
PROCESSES ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# How long make fuzz feeds each reader.
FUZZ_SECONDS ?= 300
# How many requests make fuzz-requests draws, and from which seed; without one it takes a new seed and prints it.
REQUESTS ?= 1000000
SEED ?=
# make lock LOCK=--upgrade takes the newest versions; without it only what pyproject.toml asks for changes.
LOCK ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE := $(BIN)/uv pip compile --no-config --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(LOCK)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-all check format openapi openapi-check reference golden accuracy bench profile fuzz fuzz-requests lock \
	image clean

help: ## print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/run.stamp ## set up, then serve on 127.0.0.1:8000 (PORT=8123 make run)
	@$(BIN)/gradient-service serve --host 127.0.0.1 --port $(PORT)

test: .venv/dev.stamp ## set up, then all tests that need no browser, no extra servers, no big frameworks
	@$(BIN)/python -m pytest -m "not full" --numprocesses $(PROCESSES) $(ARGS)

test-all: .venv/frameworks.stamp ## set up, then every test
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

check: .venv/dev.stamp openapi-check ## format, lint, types, layers, and the committed OpenAPI document
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/repo

format: .venv/dev.stamp ## rewrite the sources as `make check` wants them, where that needs no thought
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: .venv/dev.stamp ## write openapi/ anew: the document and its binary examples
	@rm -rf .venv/openapi && mkdir -p .venv/openapi
	$(BIN)/gradient-service openapi --examples .venv/openapi/examples > .venv/openapi/openapi.json
	rm -rf openapi/openapi.json openapi/examples && mv .venv/openapi/* openapi

openapi-check: .venv/dev.stamp ## compare openapi/ with what the service says
	@rm -rf .venv/openapi && mkdir -p .venv/openapi
	$(BIN)/gradient-service openapi --examples .venv/openapi/examples > .venv/openapi/openapi.json
	@diff -ru --exclude=golden openapi .venv/openapi || { echo "openapi/ is stale: run 'make openapi'" >&2; exit 1; }

reference: .venv/dev.stamp ## write client/REFERENCE.md anew, from the client's docstrings
	$(BIN)/python -m tests.client.reference > client/REFERENCE.md

golden: .venv/dev.stamp ## write openapi/golden/ anew: questions of every kind with their correctly rounded answers
	$(BIN)/python -m tests.golden openapi/golden

accuracy: .venv/frameworks.stamp ## measure the errors of this service, PyTorch, SciPy and JAX, and rewrite docs/accuracy.md
	$(BIN)/python -m benchmarks.accuracy

bench: .venv/frameworks.stamp ## measure speed and memory beside every rival, and rewrite benchmarks/README.md (half an hour)
	$(BIN)/python -m benchmarks $(ARGS)

profile: .venv/dev.stamp ## sample where the time of a small and of a large call goes, and rewrite benchmarks/README.md
	$(BIN)/python -m benchmarks.profile

fuzz: .venv/fuzz.stamp ## feed both binary readers mutated bytes (FUZZ_SECONDS=300 each; tests/fuzz/README.md)
	@for reader in safetensors open_inference; do \
		mkdir -p .fuzz/$$reader && \
		$(BIN)/python -m tests.fuzz $$reader -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -rss_limit_mb=2048 \
			-dict=tests/fuzz/words.dict -print_final_stats=1 -artifact_prefix=.fuzz/$$reader- \
			.fuzz/$$reader tests/fuzz/corpus/$$reader || exit 1; \
	done

fuzz-requests: .venv/dev.stamp ## put fuzzed requests to the application (REQUESTS=1000000 SEED=1; tests/fuzz/README.md)
	@$(BIN)/python -W error -m tests.fuzz.calls --requests $(REQUESTS) $(if $(SEED),--seed $(SEED))

lock: .venv/dev.stamp ## pin what pyproject.toml asks for, with hashes (LOCK=--upgrade: at the newest versions)
	$(COMPILE) pyproject.toml --extra traces --output-file requirements.lock
	$(COMPILE) --group build --constraints requirements.lock --output-file requirements-build.lock
	$(COMPILE) --group image --constraints requirements.lock --constraints requirements-build.lock \
		--output-file requirements-image.lock
	$(COMPILE) pyproject.toml --extra traces --group dev --constraints requirements.lock \
		--constraints requirements-build.lock --constraints requirements-image.lock --output-file requirements-dev.lock

image: ## build the container image (needs docker; DOCKER=podman works too)
	$(DOCKER) build --tag $(IMAGE) --tag $(IMAGE):$(VERSION) .

clean: ## remove everything that make made
	rm -rf .venv .fuzz .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The project itself is installed for editing, without dependencies and without an isolated build: hatchling comes
# from the lock as well, so that nothing is downloaded whose hash is not in this repository.

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python >= 3.11 is needed and '$(PYTHON)' is not one: PYTHON=python3.12 make $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/run.stamp: requirements.lock requirements-build.lock pyproject.toml | .venv/bin/python
	$(PIP) install --require-hashes --requirement requirements.lock --requirement requirements-build.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: requirements-dev.lock pyproject.toml client/pyproject.toml | .venv/bin/python
	$(PIP) install --require-hashes --requirement requirements-dev.lock
	$(PIP) install --no-deps --no-build-isolation --editable . --editable client
	@touch $@

# The frameworks that are compared with; NumPy and the rest stay as locked.
.venv/frameworks.stamp: requirements-frameworks.txt .venv/dev.stamp
	$(PIP) install --requirement requirements-frameworks.txt
	@touch $@

# The fuzzer, whose wheels not every Python has; NumPy and the rest stay as locked.
.venv/fuzz.stamp: requirements-fuzz.txt .venv/dev.stamp
	$(PIP) install --requirement requirements-fuzz.txt
	@touch $@
